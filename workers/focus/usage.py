"""Usage by the hour: the charges of a period with the columns that say which resource ran.

What the plans for spot capacity and for commitments have in common.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.focus import values
from workers.focus.charge import COLUMNS, bad_field, read_charge, read_start
from workers.focus.period import choose_period
from workers.focus.survey import belongs_to, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.focus.charge import Charge, Record
    from workers.focus.period import PeriodName
    from workers.focus.records import Source

RESOURCE_COLUMNS = ("ResourceId", "ResourceType", "ServiceCategory", "Tags")
USAGE_COLUMNS = (*COLUMNS, *RESOURCE_COLUMNS)
"""What the source of a Usage must pick."""
HOURS_PER_MONTH = 730
"""A month is 8,760 ÷ 12 hours."""
MIN_HOURS = 168
"""A week: a shorter period shows no month."""
COMPUTE = "Compute"
_HOUR = timedelta(hours=1)
_HOUR_UNITS = frozenset({"hour", "hours"})
_SURVEY_SHARE = 0.3


class Usage(NamedTuple):
    """One charge and the resource it is for."""

    row: int
    charge: Charge
    resource_id: str | None
    resource_type: str | None
    service_category: str | None
    tags: str
    """The Tags column as it stands: JSON text, or no value."""

    @property
    def is_compute_time(self) -> bool:
        """Whether it is usage of compute capacity, priced by the hour, and no correction of another month."""
        charge = self.charge
        return (
            charge.charge_category == "Usage"
            and charge.charge_class is None
            and charge.pricing_quantity is not None
            and (charge.pricing_unit or "").casefold() in _HOUR_UNITS
            and self.service_category in (None, COMPUTE)
        )

    def is_instance(self, types: frozenset[str] | None) -> bool:
        """Whether it is compute time of one of the ResourceTypes (casefolded; None for any)."""
        if not self.is_compute_time:
            return False
        return types is None or (self.resource_type or "").casefold() in types

    @property
    def hour(self) -> datetime | None:
        """The start of the whole hour that the charge is for; None when it is for another length of time."""
        start, end = self.charge.charge_period_start, self.charge.charge_period_end
        whole = start.replace(minute=0, second=0, microsecond=0)
        return start if start == whole and end == start + _HOUR else None


@dataclass(slots=True)
class UsagePeriod:
    """The charges of an account and period; `usages` reads them once, then `hours` is known."""

    source: Source
    account_id: str | None
    period_name: PeriodName
    progress: Callable[[float, str], None]
    start: datetime = field(init=False)
    """The hour in which the first charge begins."""
    end: datetime = field(init=False)
    """The end of the last hour in which a charge begins, or of the last compute time, if that is later."""
    rows_read: int = field(init=False)
    rows_analyzed: int = 0
    currency: str | None = None
    _currency_row: int = 0
    _first_ordinal: int = field(init=False)

    def __post_init__(self) -> None:
        found = survey(
            self.source.records(lambda done: self.progress(done * _SURVEY_SHARE, "finding the period")),
            self.account_id,
        )
        if found.first_charge is None or found.last_charge is None:
            raise AssertionError("a survey that found rows knows when they begin")
        period = choose_period(
            self.period_name, found.first_charge.toordinal(), found.last_charge.toordinal()
        )
        opening = datetime.fromordinal(period.first_day)
        self._first_ordinal = period.first_day
        self.start = max(opening, _floor(found.first_charge))
        self.end = _floor(found.last_charge) + _HOUR
        self.rows_read = found.rows

    def usages(self) -> Iterator[Usage]:
        """Yield the charges of the account and period; raises PermanentError for two currencies."""
        for row, record in self.source.records(self._report):
            if belongs_to(record, self.account_id) and read_start(row, record).toordinal() >= (
                self._first_ordinal
            ):
                usage = _read(row, record)
                self._check_currency(usage)
                self.rows_analyzed += 1
                if usage.is_compute_time and usage.charge.charge_period_end is not None:
                    self.end = max(self.end, usage.charge.charge_period_end)
                yield usage

    def _report(self, done: float) -> None:
        self.progress(_SURVEY_SHARE + done * (1 - _SURVEY_SHARE), f"read {round(done * 100)} % of the rows")

    def _check_currency(self, usage: Usage) -> None:
        given = usage.charge.billing_currency
        if given is None or given == self.currency:
            return
        if self.currency is not None:
            raise bad_field(
                usage.row,
                "BillingCurrency",
                f"{given!r} after {self.currency!r} in row {self._currency_row}: amounts of two currencies "
                "have no sum; split the file by currency, or choose an account_id of one",
            )
        self.currency, self._currency_row = given, usage.row

    @property
    def hours(self) -> Fraction:
        """How long the period is."""
        return Fraction((self.end - self.start) // timedelta(seconds=1), 3600)

    @property
    def too_short(self) -> str | None:
        """Why the period shows no month, or None."""
        if self.hours >= MIN_HOURS:
            return None
        return f"the data covers {float(self.hours):g} hours; a month is worked out from {MIN_HOURS} or more"

    def hour_index(self, hour: datetime) -> int:
        """Return how many whole hours after `start` an hour begins."""
        return (hour - self.start) // _HOUR

    def describe(self) -> dict[str, Any]:
        """Return the period and the rows as the results state them."""
        return {
            "period": {
                "requested": self.period_name.value,
                "start": self.start.isoformat(" "),
                "end": self.end.isoformat(" "),
                "hours": float(self.hours),
            },
            "account_id": self.account_id,
            "currency": self.currency,
            "rows_analyzed": self.rows_analyzed,
            "rows_read": self.rows_read,
        }


def instance_types(given: list[str] | None) -> frozenset[str] | None:
    """Return the ResourceTypes as `Usage.is_instance` takes them."""
    return None if given is None else frozenset(item.casefold() for item in given)


def monthly(saving: Fraction, hours: Fraction) -> Fraction:
    """Return what a saving of so many hours comes to in HOURS_PER_MONTH."""
    return saving * HOURS_PER_MONTH / hours


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _read(row: int, record: Record) -> Usage:
    charge = read_charge(row, record[: len(COLUMNS)])
    resource = record[len(COLUMNS) :]
    read: list[str | None] = []
    for column, value in zip(RESOURCE_COLUMNS[:3], resource[:3], strict=True):
        try:
            read.append(values.text(value))
        except values.FieldError as error:
            raise bad_field(row, column, str(error)) from None
    return Usage(row, charge, read[0], read[1], read[2], resource[3])

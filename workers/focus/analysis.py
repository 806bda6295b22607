"""The analysis: a first pass finds the period, a second one sums it up, the sums become a bounded result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.focus.amounts import ZERO, decimal_text, exact_arithmetic, percentage_text
from workers.focus.breakdown import Breakdown, describe_days, describe_top
from workers.focus.charge import bad_field, read_charge, read_start
from workers.focus.commitments import CommitmentUse, describe_commitments
from workers.focus.movers import describe_movers
from workers.focus.period import MAX_DAYS, choose_period, day_text
from workers.focus.quality import Quality
from workers.focus.recommendation import describe_savings
from workers.focus.steady import SteadyUsageCheck
from workers.focus.survey import belongs_to, survey
from workers.focus.waste import WASTE_KINDS, WasteCheck, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.focus.breakdown import SpendText, Tally
    from workers.focus.charge import Charge
    from workers.focus.period import Period, PeriodName
    from workers.focus.records import Source
    from workers.focus.survey import Survey

    Progress = Callable[[float, str], None]

SURVEY_SHARE = 0.3
"""Part of the whole run that the first pass takes, for progress."""
_BREAKDOWN_COLUMNS = {"by_service": "ServiceName", "by_sub_account": "SubAccountId", "by_region": "RegionId"}


def analyze(
    source: Source, *, account_id: str | None, period_name: PeriodName, progress: Progress
) -> dict[str, Any]:
    """Return the analysis of a source as JSON-able values.

    Raises PermanentError for input that cannot be analysed, FileChangedError for a file written to meanwhile.
    """
    with exact_arithmetic():
        found = survey(
            source.records(lambda done: progress(done * SURVEY_SHARE, "finding the period")),
            account_id,
        )
        period = _period(found, period_name)
        sums = Sums(period, SteadyUsageCheck(found.committed_skus))
        report = _reporter(progress, found.rows)
        for row, record in source.records(report):
            if belongs_to(record, account_id) and read_start(row, record).toordinal() >= period.first_day:
                sums.add(row, read_charge(row, record))
        return _describe(found, sums, source.missing, account_id=account_id, period_name=period_name)


def _reporter(progress: Progress, rows: int) -> Callable[[float], None]:
    def report(done: float) -> None:
        progress(
            SURVEY_SHARE + done * (1 - SURVEY_SHARE), f"summed about {round(done * rows)} of {rows} rows"
        )

    return report


def _period(found: Survey, name: PeriodName) -> Period:
    if found.first_charge is None or found.last_charge is None:
        raise AssertionError("a survey that found rows knows when they begin")
    return choose_period(name, found.first_charge.toordinal(), found.last_charge.toordinal())


@dataclass(slots=True)
class Sums:
    """Everything the second pass keeps: sums and first row ids, never rows."""

    period: Period
    steady: SteadyUsageCheck
    by_service: Breakdown[str | None] = field(default_factory=Breakdown)
    by_sub_account: Breakdown[str | None] = field(default_factory=Breakdown)
    by_region: Breakdown[str | None] = field(default_factory=Breakdown)
    by_day: Breakdown[int] = field(default_factory=lambda: Breakdown(max_keys=MAX_DAYS))
    commitments: CommitmentUse = field(default_factory=CommitmentUse)
    quality: Quality = field(default_factory=Quality)
    waste: dict[str, WasteCheck] = field(
        default_factory=lambda: {kind.type: WasteCheck(kind) for kind in WASTE_KINDS}
    )

    def add(self, row: int, charge: Charge) -> None:
        """Count a charge of the period."""
        day = charge.charge_period_start.toordinal()
        half = self.period.half_of(day)
        self.by_service.add(charge.service_name, charge, half)
        self.by_sub_account.add(charge.sub_account_id, charge, half)
        self.by_region.add(charge.region_id, charge, half)
        self.by_day.add(day, charge, half)
        self.commitments.add(charge)
        self._check_currency(row, charge)
        self.quality.add(row, charge)
        kind = kind_of(charge)
        if kind is None:
            self.steady.add(row, day, charge)
        else:
            self.waste[kind.type].add(row, charge)

    def _check_currency(self, row: int, charge: Charge) -> None:
        first = self.quality.currency
        if first is not None and charge.billing_currency not in (None, first):
            raise bad_field(
                row,
                "BillingCurrency",
                f"{charge.billing_currency!r} after {first!r} in row {self.quality.currency_row}: amounts of "
                "two currencies have no sum; split the file by currency, or choose an account_id of one",
            )

    def breakdowns(self) -> dict[str, Breakdown[str | None]]:
        """Return the breakdowns by name."""
        return {
            "by_service": self.by_service,
            "by_sub_account": self.by_sub_account,
            "by_region": self.by_region,
        }


def _describe(
    found: Survey, sums: Sums, missing: frozenset[str], *, account_id: str | None, period_name: PeriodName
) -> dict[str, Any]:
    reasons: dict[str, str] = {}
    total = sums.by_day.total()
    text = sums.quality.spend_text(reasons, missing)
    savings = _savings(found, sums, total, missing, reasons)
    return {
        **{key: value for key, value in text.of(total).items() if key != "rows"},
        "currency": sums.quality.describe_currency(reasons),
        "rows_analyzed": total.rows,
        "rows_read": found.rows,
        "account_id": account_id,
        "period": _describe_period(found, sums.period, period_name),
        **_describe_breakdowns(sums, text, missing, reasons),
        "top_movers": _movers(sums, missing, reasons),
        "commitment_coverage": describe_commitments(sums.commitments, reasons, missing),
        **savings,
        "notes": sums.quality.notes(sums.breakdowns()),
        "insufficient_data": dict(sorted(reasons.items())),
    }


def _describe_period(found: Survey, period: Period, name: PeriodName) -> dict[str, Any]:
    return {
        "requested": name.value,
        "first_day": day_text(period.first_day),
        "last_day": day_text(period.last_day),
        "days": period.days,
        "last_charge": found.last_charge.isoformat(" ") if found.last_charge else None,
    }


def _describe_breakdowns(
    sums: Sums, text: SpendText, missing: frozenset[str], reasons: dict[str, str]
) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for name, breakdown in sums.breakdowns().items():
        column = _BREAKDOWN_COLUMNS[name]
        if column in missing:
            reasons[name] = f"the input has no column {column}"
        described[name] = None if column in missing else describe_top(breakdown, text)
    days = ((day_text(day), tally) for day, tally in sums.by_day.tallies.items())
    return {**described, "by_day": describe_days(days, text)}


def _movers(sums: Sums, missing: frozenset[str], reasons: dict[str, str]) -> dict[str, Any] | None:
    if sums.period.days == 1:
        reasons["top_movers"] = "the period is a single day, so there is nothing to compare it with"
        return None
    known = {
        name: table for name, table in sums.breakdowns().items() if _BREAKDOWN_COLUMNS[name] not in missing
    }
    return describe_movers(known, sums.period)


def _savings(
    found: Survey, sums: Sums, total: Tally, missing: frozenset[str], reasons: dict[str, str]
) -> dict[str, Any]:
    reports = [check.report(missing) for check in sums.waste.values()]
    reports.append(sums.steady.report(sums.period, missing, skus_left_out=found.committed_skus_left_out))
    described = describe_savings(reports, reasons)
    saving = sum((item.saving for report in reports for item in report.recommendations), ZERO)
    percentage = None
    if described["potential_savings"] is None:
        reasons["savings_percentage"] = "potential_savings is not known"
    elif total.billed <= 0:
        reasons["savings_percentage"] = (
            f"total_spend is {decimal_text(total.billed)}, so nothing is a share of it"
        )
    else:
        percentage = percentage_text(saving, total.billed)
    return {**described, "savings_percentage": percentage}

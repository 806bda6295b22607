"""What the data leaves open: missing amounts, the currency, and oddities worth knowing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.focus.breakdown import MAX_KEYS, SpendText
from workers.focus.recommendation import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from workers.focus.breakdown import Breakdown
    from workers.focus.charge import Charge

_DAY_SECONDS = 86_400


@dataclass(slots=True)
class Quality:
    """Counts over the charges of the period."""

    rows: int = 0
    no_effective: Evidence = field(default_factory=Evidence)
    no_list: Evidence = field(default_factory=Evidence)
    no_currency: Evidence = field(default_factory=Evidence)
    unamortized: Evidence = field(default_factory=Evidence)
    """Usage with a BilledCost other than 0 and an EffectiveCost of 0."""
    long_charges: Evidence = field(default_factory=Evidence)
    currency: str | None = None
    currency_row: int = 0

    def add(self, row: int, charge: Charge) -> None:
        """Look at a charge."""
        self.rows += 1
        if charge.billing_currency is None:
            self.no_currency.add(row, charge.billed_cost)
        elif self.currency is None:
            self.currency, self.currency_row = charge.billing_currency, row
        if charge.list_cost is None:
            self.no_list.add(row, charge.billed_cost)
        if charge.effective_cost is None:
            self.no_effective.add(row, charge.billed_cost)
        elif not charge.effective_cost and charge.billed_cost and charge.charge_category == "Usage":
            self.unamortized.add(row, charge.billed_cost)
        end = charge.charge_period_end
        if end is not None and _seconds(end - charge.charge_period_start) > _DAY_SECONDS:
            self.long_charges.add(row, charge.billed_cost)

    def spend_text(self, reasons: dict[str, str], missing: frozenset[str]) -> SpendText:
        """Return which amounts every charge has; reasons for the others go to `reasons`."""
        for name, column, lacking in (
            ("effective_spend", "EffectiveCost", self.no_effective),
            ("list_spend", "ListCost", self.no_list),
        ):
            if column in missing:
                reasons[name] = f"the input has no column {column}"
            elif lacking.count:
                reasons[name] = (
                    f"{lacking.count} of {self.rows} rows have no {column}, first row {lacking.first_rows[0]}"
                )
        return SpendText(has_effective=not self.no_effective.count, has_list=not self.no_list.count)

    def describe_currency(self, reasons: dict[str, str]) -> str | None:
        """Return the one currency of all charges."""
        if self.no_currency.count:
            first = self.no_currency.first_rows[0]
            reasons["currency"] = (
                f"{self.no_currency.count} of {self.rows} rows have no BillingCurrency, first row {first}"
            )
            return None
        return self.currency

    def notes(self, breakdowns: Mapping[str, Breakdown[str | None]]) -> list[str]:
        """Return what is worth knowing about the data, in sentences."""
        notes = [
            f"{name}: more than {MAX_KEYS} distinct keys; later ones are summed in `other`, not ranked"
            for name, breakdown in breakdowns.items()
            if not breakdown.is_complete
        ]
        if self.unamortized.count:
            notes.append(
                f"{self.unamortized.count} usage rows have a BilledCost but an EffectiveCost of 0, first row "
                f"{self.unamortized.first_rows[0]}: effective_spend is the sum of the column as it stands"
            )
        if self.long_charges.count:
            notes.append(
                f"{self.long_charges.count} charges last longer than a day, first row "
                f"{self.long_charges.first_rows[0]}: each is counted on the day it begins"
            )
        return notes


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()

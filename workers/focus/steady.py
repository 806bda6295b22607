"""On-demand usage of every day, priced at what the same SKU costs under a commitment in the same data.

For one SKU (SkuId, PricingUnit, RegionId), over the days of the period:
    committed rate = EffectiveCost ÷ PricingQuantity of the rows with CommitmentDiscountStatus Used
    on-demand rate = BilledCost ÷ PricingQuantity of the rows with PricingCategory Standard and no commitment
    steady quantity = the smallest on-demand PricingQuantity of any day of the period; 0 if a day has none
    saving = (on-demand rate - committed rate) * steady quantity * days
No rate comes from anywhere else: a SKU without committed rows that have a price is not recommended on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from workers.focus.amounts import ROUNDED_PLACES, ZERO, decimal_text, rounded_down
from workers.focus.recommendation import CheckReport, Evidence, Recommendation

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.focus.charge import Charge, SkuKey
    from workers.focus.period import Period

TYPE = "commit_steady_usage"
MIN_STEADY_DAYS = 7
"""A shorter period does not show that usage is steady."""
MAX_SKU_DAYS = 100_000
_COLUMNS = (
    "ChargeCategory",
    "PricingCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "SkuId",
    "PricingQuantity",
    "PricingUnit",
)
_FORMULA = (
    "(on_demand_cost ÷ on_demand_quantity - committed_cost ÷ committed_quantity) "
    "* steady_quantity_per_day * days, "
    f"rounded down to {ROUNDED_PLACES} decimal places"
)


@dataclass(slots=True)
class _Sku:
    on_demand: Evidence = field(default_factory=Evidence)
    on_demand_quantity: Decimal = ZERO
    committed: Evidence = field(default_factory=Evidence)
    committed_quantity: Decimal = ZERO
    quantity_by_day: dict[int, Decimal] = field(default_factory=dict)

    @property
    def has_committed_price(self) -> bool:
        return self.committed_quantity > 0 and self.committed.cost > 0


@dataclass(slots=True)
class SteadyUsageCheck:
    """Follows the SKUs that a first pass saw under a commitment."""

    committed_skus: set[SkuKey]
    skus: dict[SkuKey, _Sku] = field(default_factory=dict)
    sku_days: int = 0

    def add(self, row: int, day: int, charge: Charge) -> None:
        """Count a charge if it is priced usage of a followed SKU; corrections are left out."""
        key = charge.sku_key
        if key is None or key not in self.committed_skus or charge.charge_category != "Usage":
            return
        quantity = charge.pricing_quantity
        if quantity is None or charge.charge_class is not None:
            return
        if charge.commitment_discount_status == "Used":
            if charge.effective_cost is not None:
                sku = self.skus.setdefault(key, _Sku())
                sku.committed.add(row, charge.effective_cost)
                sku.committed_quantity += quantity
        elif charge.pricing_category == "Standard" and charge.commitment_discount_id is None:
            self._add_on_demand(self.skus.setdefault(key, _Sku()), row, day, quantity, charge.billed_cost)

    def _add_on_demand(self, sku: _Sku, row: int, day: int, quantity: Decimal, cost: Decimal) -> None:
        if day not in sku.quantity_by_day:
            self.sku_days += 1
            if self.sku_days > MAX_SKU_DAYS:
                return
        sku.quantity_by_day[day] = sku.quantity_by_day.get(day, ZERO) + quantity
        sku.on_demand.add(row, cost)
        sku.on_demand_quantity += quantity

    def report(self, period: Period, missing: frozenset[str], *, skus_left_out: bool) -> CheckReport:
        """Return a recommendation for each SKU whose steady usage costs more on demand than committed."""
        reason = self._insufficient(period, missing)
        if reason:
            return CheckReport(TYPE, insufficient=reason)
        recommended = [
            found for key, sku in self.skus.items() if (found := _recommend(key, sku, period)) is not None
        ]
        return CheckReport(
            TYPE,
            recommended,
            "only the first SKUs under a commitment were followed" if skus_left_out else None,
        )

    def _insufficient(self, period: Period, missing: frozenset[str]) -> str | None:
        absent = [column for column in _COLUMNS if column in missing]
        if absent:
            return f"the input has no column {', '.join(absent)}"
        if period.days < MIN_STEADY_DAYS:
            return f"the period has {period.days} days; steady usage shows over {MIN_STEADY_DAYS} or more"
        if self.sku_days > MAX_SKU_DAYS:
            return f"more than {MAX_SKU_DAYS} days of SKUs would have to be followed; choose a shorter period"
        if not any(sku.committed.count for sku in self.skus.values()):
            return "no usage of a SKU is charged to a commitment, so no committed rate is in the data"
        if not any(sku.has_committed_price for sku in self.skus.values()):
            return "the rows charged to commitments have no EffectiveCost above 0, hence no committed rate"
        return None


def _recommend(key: SkuKey, sku: _Sku, period: Period) -> Recommendation | None:
    if len(sku.quantity_by_day) < period.days or not sku.has_committed_price:
        return None
    steady = min(sku.quantity_by_day.values())
    if steady <= 0:
        return None
    on_demand_rate = Fraction(sku.on_demand.cost) / Fraction(sku.on_demand_quantity)
    committed_rate = Fraction(sku.committed.cost) / Fraction(sku.committed_quantity)
    saving = rounded_down((on_demand_rate - committed_rate) * Fraction(steady) * period.days)
    if saving <= 0:
        return None
    sku_id, unit, region = key
    return Recommendation(
        type=TYPE,
        subject={"sku_id": sku_id, "pricing_unit": unit, "region_id": region},
        saving=saving,
        formula=_FORMULA,
        inputs={
            "on_demand_cost": decimal_text(sku.on_demand.cost),
            "on_demand_quantity": decimal_text(sku.on_demand_quantity),
            "committed_cost": decimal_text(sku.committed.cost),
            "committed_quantity": decimal_text(sku.committed_quantity),
            "committed_row_ids": sku.committed.first_rows,
            "committed_row_ids_left_off": sku.committed.count - len(sku.committed.first_rows),
            "steady_quantity_per_day": decimal_text(steady),
            "days": period.days,
        },
        evidence=sku.on_demand,
    )

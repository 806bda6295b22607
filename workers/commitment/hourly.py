"""Usage of instances by SKU and hour, on demand and under commitments, out of billing data or a series."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from orchestrator import PermanentError
from workers.commitment.optimum import HourlyUsage
from workers.focus.amounts import ZERO
from workers.focus.commitments import CommitmentUse
from workers.series import onto_grid

if TYPE_CHECKING:
    from workers.focus.charge import Charge, SkuKey
    from workers.focus.usage import Usage, UsagePeriod
    from workers.series import Series

MAX_SKUS = 50_000
MAX_SKU_HOURS = 400_000
"""Hours of SKUs held in memory, about 100 MiB; with more there is no answer."""
MAX_RESOURCES = 200_000
HOUR_SECONDS = 3_600


@dataclass(slots=True)
class SkuUsage:
    """One SKU's usage in a period."""

    on_demand_by_hour: dict[int, Decimal] = field(default_factory=dict)
    on_demand_quantity: Decimal = ZERO
    on_demand_cost: Decimal = ZERO
    committed_quantity: Decimal = ZERO
    committed_cost: Decimal = ZERO
    unhourly_rows: int = 0
    """On-demand rows for another time than one whole hour: they do not say in which hours it ran."""

    @property
    def on_demand_rate(self) -> Fraction | None:
        """BilledCost ÷ PricingQuantity of the on-demand rows, where both are above 0."""
        return _rate(self.on_demand_cost, self.on_demand_quantity)

    @property
    def committed_rate(self) -> Fraction | None:
        """EffectiveCost ÷ PricingQuantity of the rows charged to commitments, where both are above 0."""
        return _rate(self.committed_cost, self.committed_quantity)


def _rate(cost: Decimal, quantity: Decimal) -> Fraction | None:
    return Fraction(cost) / Fraction(quantity) if cost > 0 and quantity > 0 else None


@dataclass(slots=True)
class InstanceUsage:
    """Everything that one reading of the period keeps."""

    types: frozenset[str] | None
    skus: dict[SkuKey, SkuUsage] = field(default_factory=dict)
    present: CommitmentUse = field(default_factory=CommitmentUse)
    resources: set[str] = field(default_factory=set)
    sku_hours: int = 0
    left_out_rows: int = 0
    """Rows of SKUs beyond MAX_SKUS."""
    rows_without_sku: int = 0

    @property
    def has_too_many_hours(self) -> bool:
        """Whether not all hours could be held."""
        return self.sku_hours > MAX_SKU_HOURS

    def read(self, period: UsagePeriod) -> None:
        """Count every charge of the period."""
        for usage in period.usages():
            self.present.add(usage.charge)
            if usage.is_instance(self.types):
                self._add(period, usage)

    def _add(self, period: UsagePeriod, usage: Usage) -> None:
        charge, key = usage.charge, usage.charge.sku_key
        is_used = charge.commitment_discount_status == "Used"
        is_on_demand = charge.pricing_category == "Standard" and charge.commitment_discount_id is None
        if not (is_used or is_on_demand):
            return
        if usage.resource_id is not None and len(self.resources) < MAX_RESOURCES:
            self.resources.add(usage.resource_id)
        if key is None:
            self.rows_without_sku += 1
        elif key not in self.skus and len(self.skus) >= MAX_SKUS:
            self.left_out_rows += 1
        elif is_used:
            self._add_committed(self.skus.setdefault(key, SkuUsage()), charge)
        else:
            self._add_on_demand(self.skus.setdefault(key, SkuUsage()), period, usage)

    @staticmethod
    def _add_committed(sku: SkuUsage, charge: Charge) -> None:
        sku.committed_quantity += charge.pricing_quantity or ZERO
        sku.committed_cost += charge.effective_cost or ZERO

    def _add_on_demand(self, sku: SkuUsage, period: UsagePeriod, usage: Usage) -> None:
        charge, hour = usage.charge, usage.hour
        quantity = charge.pricing_quantity or ZERO
        sku.on_demand_quantity += quantity
        sku.on_demand_cost += charge.billed_cost
        if hour is None:
            sku.unhourly_rows += 1
            return
        index = period.hour_index(hour)
        if index not in sku.on_demand_by_hour:
            self.sku_hours += 1
            if self.has_too_many_hours:
                return
        sku.on_demand_by_hour[index] = sku.on_demand_by_hour.get(index, ZERO) + quantity


def hours_of(period: UsagePeriod) -> int:
    """Return the hours of a period that was read, a part of an hour counted as one."""
    return ceil(period.hours)


def usage_of_series(series: Series) -> tuple[HourlyUsage | None, list[str], str | None]:
    """Return a series as hourly usage with notes, or the reason why it says nothing about hours.

    Points within an hour become their mean; hours without a point are left out, since nothing is known of
    them. Raises PermanentError for negative usage.
    """
    if series.step_seconds is None:
        return None, series.notes, "usage is a single point"
    if series.step_seconds > HOUR_SECONDS:
        step = f"{series.step_seconds:g} s"
        return None, series.notes, f"usage has a point every {step}, so single hours are not known"
    if float(series.values.min()) < 0:
        raise PermanentError(f"usage: holds {float(series.values.min()):g}; usage is 0 or more")
    grid = onto_grid(series, HOUR_SECONDS)
    known = grid.values[~np.isnan(grid.values)]
    notes = [*series.notes, *grid.notes]
    if grid.missing:
        notes.append(f"hours without a point: {grid.missing} of {len(grid)}; left out")
    return HourlyUsage.of((Decimal(repr(float(value))) for value in known), len(known)), notes, None

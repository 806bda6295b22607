"""How many instances keep utilisation at a target.

utilisation: count = ceil(instances now * forecast % ÷ target %), the rule of the Kubernetes Horizontal Pod
             Autoscaler (desiredReplicas = ceil(currentReplicas * currentMetric ÷ desiredMetric))
requests:    count = ceil(forecast ÷ (requests of one full instance in one step * target % ÷ 100))

Both take the work to spread evenly over the instances, and the amount of work not to depend on their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workers.scaling.forecasting import Forecasts
    from workers.series.series import Values

FULL_PERCENT = 100.0
_CEIL_DIGITS = 9
"""A count this close above a whole number is that number: 3 * 40 ÷ 60 must not become 3."""
_SECONDS_PER_HOUR = 3600


class Kind(StrEnum):
    """What the series measures."""

    UTILIZATION = "utilization"
    REQUESTS = "requests"


class PlanFor(StrEnum):
    """Which line of the forecast the counts are made for."""

    FORECAST = "forecast"
    UPPER = "upper"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What turns a value of the series into a count of instances."""

    kind: Kind
    full_instance: float
    """What one instance at 100 % adds to the series: 100 ÷ instances now, or requests in one step."""
    target_percent: float
    plan_for: PlanFor
    min_instances: int
    max_instances: int | None

    def needed(self, values: Values) -> Values:
        """Return the smallest counts that keep utilisation at or below the target, without any maximum."""
        per_instance = self.full_instance * self.target_percent / FULL_PERCENT
        return np.maximum(np.ceil(np.round(values / per_instance, _CEIL_DIGITS)), self.min_instances)

    def planned(self, forecasts: Forecasts) -> Values:
        """Return the counts for the chosen line of the forecasts, within the limits."""
        counts = self.needed(forecasts.upper if self.plan_for is PlanFor.UPPER else forecasts.mean)
        return counts if self.max_instances is None else np.minimum(counts, self.max_instances)

    def describe(self, forecasts: Forecasts, step_seconds: float) -> dict[str, Any]:
        """Return the counts over time and what they add up to."""
        counts = self.planned(forecasts)
        line = forecasts.upper if self.plan_for is PlanFor.UPPER else forecasts.mean
        hours = step_seconds / _SECONDS_PER_HOUR
        peak = int(counts.max())
        utilisation = forecasts.mean / (counts * self.full_instance) * FULL_PERCENT
        return {
            "planned_for": self.plan_for.value,
            "target_utilization": self.target_percent,
            "formula": _FORMULAS[self.kind],
            "counts": [int(count) for count in counts],
            "peak": peak,
            "lowest": int(counts.min()),
            "changes": int((np.diff(counts) != 0).sum()),
            "instance_hours": math.fsum(counts) * hours,
            "instance_hours_at_constant_peak": peak * len(counts) * hours,
            "highest_expected_utilization": float(utilisation.max()),
            "steps_limited_by_max_instances": int((self.needed(line) > counts).sum()),
        }

    def hindsight(self, actual: Values, forecasts: Forecasts) -> dict[str, Any]:
        """Return how the counts planned from the forecasts would have met the measured values."""
        known = ~np.isnan(actual)
        planned, needed = self.planned(forecasts)[known], self.needed(actual[known])
        return {
            "steps": len(needed),
            "steps_above_target": int((needed > planned).sum()),
            "mean_planned": float(planned.mean()) if len(planned) else None,
            "mean_needed": float(needed.mean()) if len(needed) else None,
        }


_FORMULAS = {
    Kind.UTILIZATION: "ceil(current_instances * value ÷ target_utilization), at least min_instances",
    Kind.REQUESTS: "ceil(value ÷ (capacity_per_instance * target_utilization ÷ 100)), at least min_instances",
}

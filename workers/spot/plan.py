"""The plan: which instances could run on spot capacity, and the saving that interruptions leave of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from workers.focus.amounts import ZERO, decimal_text, exact_arithmetic, rounded_down
from workers.focus.usage import HOURS_PER_MONTH, instance_types, monthly
from workers.spot.candidates import Candidates
from workers.spot.interruptions import break_even_monthly_rate
from workers.spot.qualification import MEANING, Verdict, judge

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.focus.usage import UsagePeriod
    from workers.spot.candidates import Candidate
    from workers.spot.interruptions import Interruptions
    from workers.spot.qualification import Tolerance

MAX_LISTED = 100
"""Instances listed that qualify, those of the highest saving."""
MAX_EXAMPLES = 5
TYPE = "migrate_to_spot"
_COLUMNS = ("ChargeCategory", "PricingCategory", "PricingUnit", "PricingQuantity", "ResourceId")
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Market:
    """What spot capacity costs."""

    discount: Decimal
    """Part of the on-demand price that it saves, above 0 and below 1."""
    interruptions: Interruptions
    cost_per_interruption: Decimal
    """Besides the hours, in the currency of the data."""

    def saving(self, item: Candidate) -> Saving:
        """Return the expected saving of an instance's on-demand hours."""
        cost, hours = Fraction(item.on_demand_cost), Fraction(item.on_demand_hours)
        on_spot = cost * (1 - Fraction(self.discount))
        extra = on_spot * (Fraction(self.interruptions.running_hours) - 1)
        count = hours * Fraction(self.interruptions.per_work_hour)
        return Saving(cost - on_spot, extra, count, count * Fraction(self.cost_per_interruption))


@dataclass(frozen=True, slots=True)
class Saving:
    """Expected figures over the period."""

    before_interruptions: Fraction
    extra_hours_cost: Fraction
    """Lost and repeated hours, at the spot price."""
    interruptions: Fraction
    interruptions_cost: Fraction

    @property
    def net(self) -> Fraction:
        """The saving that is left."""
        return self.before_interruptions - self.extra_hours_cost - self.interruptions_cost


def plan_spot(
    period: UsagePeriod, types: list[str] | None, tolerance: Tolerance, market: Market
) -> dict[str, Any]:
    """Return the plan as JSON-able values; raises PermanentError for data that cannot be read."""
    with exact_arithmetic():
        found = Candidates(instance_types(types), tolerance.tag_keys)
        found.read(period)
        missing = period.source.missing
        reasons = _reasons(found, period, tolerance, types)
        blocked = [column for column in _COLUMNS if column in missing]
        if blocked:
            reasons["recommendations"] = f"the input has no column {', '.join(blocked)}"
        chosen: list[tuple[Candidate, Saving]] = []
        refused: dict[Verdict, list[Candidate]] = {}
        for item in found.by_id.values():
            verdict, saving = _decide(item, tolerance, market)
            if verdict is Verdict.QUALIFIES and saving is not None:
                chosen.append((item, saving))
            else:
                refused.setdefault(verdict, []).append(item)
        chosen.sort(key=lambda pair: (-pair[1].net, pair[0].id))
        return {
            "total_instances": None if blocked else len(found.by_id),
            **_totals(chosen, period, reasons),
            "resources": [
                _describe(item, saving, period, tolerance, market) for item, saving in chosen[:MAX_LISTED]
            ],
            "resources_left_off": max(0, len(chosen) - MAX_LISTED),
            "not_qualified": [
                _refusal(verdict, refused[verdict]) for verdict in Verdict if verdict in refused
            ],
            "assumptions": _assumptions(market),
            **period.describe(),
            "insufficient_data": dict(sorted(reasons.items())),
        }


def _decide(item: Candidate, tolerance: Tolerance, market: Market) -> tuple[Verdict, Saving | None]:
    verdict = judge(item, tolerance)
    if verdict is not Verdict.QUALIFIES:
        return verdict, None
    saving = market.saving(item)
    return (verdict, saving) if saving.net > 0 else (Verdict.COSTS_MORE, saving)


def _reasons(
    found: Candidates, period: UsagePeriod, tolerance: Tolerance, types: list[str] | None
) -> dict[str, str]:
    reasons = {"average_size_reduction": "spot capacity changes no sizes"}
    missing = period.source.missing
    if tolerance.says_nothing:
        reasons["recommendations"] = (
            "nothing says which instances bear interruptions: give interruptible_ids or interruptible_tags"
        )
    elif tolerance.interruptible_tags and "Tags" in missing:
        reasons["interruptible_tags"] = "the input has no column Tags"
    if tolerance.protected_tags and "Tags" in missing:
        reasons["protected_tags"] = "the input has no column Tags: nothing is protected by its tags"
    if types is not None and "ResourceType" in missing:
        reasons["resource_types"] = "the input has no column ResourceType: set resource_types to null"
    if found.rows_without_resource:
        reasons["resources"] = f"{found.rows_without_resource} rows of instances have no ResourceId: left out"
    if found.left_out_rows:
        reasons["resources.limit"] = f"{found.left_out_rows} rows of instances beyond the first were left out"
    return reasons


def _totals(
    chosen: list[tuple[Candidate, Saving]], period: UsagePeriod, reasons: dict[str, str]
) -> dict[str, Any]:
    savings = [saving for _, saving in chosen]
    net = sum((item.net for item in savings), Fraction(0))
    if "recommendations" in reasons:
        reasons["monthly_savings"] = reasons["recommendations"]
    elif period.too_short:
        reasons["monthly_savings"] = period.too_short
    month = None if "monthly_savings" in reasons else _money(monthly(net, period.hours))
    recommendation = {
        "type": TYPE,
        "instances": len(chosen),
        "monthly_savings": month,
        "saving": _money(net),
        "saving_before_interruptions": _money(sum((s.before_interruptions for s in savings), Fraction(0))),
        "interruptions_cost": _money(
            sum((s.extra_hours_cost + s.interruptions_cost for s in savings), Fraction(0))
        ),
        "expected_interruptions": _figure(sum((s.interruptions for s in savings), Fraction(0))),
    }
    return {
        "monthly_savings": month,
        "average_size_reduction": None,
        "saving": None if "recommendations" in reasons else _money(net),
        "recommendations": [recommendation] if chosen else [],
    }


def _describe(
    item: Candidate, saving: Saving, period: UsagePeriod, tolerance: Tolerance, market: Market
) -> dict[str, Any]:
    hours = f"on demand for all of its {decimal_text(item.on_demand_hours)} hours"
    because = [hours, tolerance.why_interruptible(item)]
    fixed = (
        Fraction(market.cost_per_interruption)
        * Fraction(item.on_demand_hours)
        / Fraction(item.on_demand_cost)
    )
    rate = break_even_monthly_rate(
        market.interruptions, discount=float(market.discount), cost_in_hours=float(fixed)
    )
    return {
        "id": item.id,
        "service": item.service,
        "region_id": item.region,
        "because": [text for text in because if text],
        "on_demand_hours": decimal_text(item.on_demand_hours),
        "on_demand_cost": decimal_text(item.on_demand_cost),
        "saving_before_interruptions": _money(saving.before_interruptions),
        "interruptions_cost": _money(saving.extra_hours_cost + saving.interruptions_cost),
        "expected_interruptions": _figure(saving.interruptions),
        "saving": _money(saving.net),
        "monthly_savings": None if period.too_short else _money(monthly(saving.net, period.hours)),
        "break_even_interruption_rate": None if rate is None else round(rate, _PLACES),
        "first_row_id": item.first_row,
    }


def _refusal(verdict: Verdict, items: list[Candidate]) -> dict[str, Any]:
    items.sort(key=lambda item: (-item.on_demand_cost, item.id))
    return {
        "reason": verdict.value,
        "meaning": MEANING[verdict],
        "instances": len(items),
        "on_demand_cost": decimal_text(sum((item.on_demand_cost for item in items), ZERO)),
        "examples": [item.id for item in items[:MAX_EXAMPLES]],
    }


def _assumptions(market: Market) -> dict[str, Any]:
    plan = market.interruptions
    return {
        "discount": decimal_text(market.discount),
        "interruption_rate": plan.monthly_rate,
        "checkpoint_hours": plan.checkpoint_hours,
        "restart_hours": plan.restart_hours,
        "cost_per_interruption": decimal_text(market.cost_per_interruption),
        "running_hours_per_work_hour": round(plan.running_hours, 9),
        "interruptions_per_work_hour": round(plan.per_work_hour, 9),
        "hours_per_month": HOURS_PER_MONTH,
    }


def _figure(value: Fraction) -> float:
    return round(float(value), _PLACES)


def _money(amount: Fraction) -> str:
    return decimal_text(rounded_down(amount))

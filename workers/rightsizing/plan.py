"""The plan over all instances: totals, recommendations by type, and every instance with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from workers.focus.amounts import decimal_text, percentage_text, rounded_down
from workers.rightsizing.fit import Action, choose, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.rightsizing.catalogue import Catalogue, Size
    from workers.rightsizing.fit import Choice, Rules
    from workers.rightsizing.source import Instance

MAX_LISTED = 500
"""Instances described one by one, those of the largest savings first."""
_ORDER = {Action.DOWNSIZE: 0, Action.UPSIZE: 1, Action.KEEP: 2, None: 3}


@dataclass(frozen=True, slots=True)
class Prices:
    """What an hour of a size costs, as the caller says, and how many hours a month has."""

    by_size: dict[str, Decimal]
    hours_per_month: Decimal
    currency: str | None = None

    def monthly_saving(self, present: Size, recommended: Size) -> Fraction | None:
        """Return what the change saves in a month (below 0: costs more); None without both prices."""
        if present is recommended:
            return Fraction(0)
        prices = [self.by_size.get(size.name) for size in (present, recommended)]
        if prices[0] is None or prices[1] is None:
            return None
        return (Fraction(prices[0]) - Fraction(prices[1])) * Fraction(self.hours_per_month)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one instance, and what it saves; None where that is not known."""

    instance: Instance
    choice: Choice
    saving: Fraction | None


def plan_sizes(
    instances: Iterable[Instance],
    catalogue: Catalogue,
    rules: Rules,
    prices: Prices,
    not_found: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the plan as JSON-able values; `not_found` are instances asked for that the data does not have.

    Savings are exact decimal texts, rounded down at ten places.
    """
    decisions = [_decide(instance, catalogue, rules, prices) for instance in instances]
    decisions.sort(key=_rank)
    missing = sorted(not_found)
    reasons = _reasons(decisions, missing)
    counted = [item for item in decisions if item.choice.action in (Action.DOWNSIZE, Action.UPSIZE)]
    reductions = [part for item in decisions if (part := item.choice.cpu_reduction) is not None]
    if not reductions:
        reasons["average_size_reduction"] = "no instance is recommended a smaller size"
    average = sum(reductions, Fraction(0)) / len(reductions) if reductions else None
    total = _sum(counted, reasons, "monthly_savings", all_answered=any(d.choice.action for d in decisions))
    return {
        "total_instances": len(decisions) + len(missing),
        "monthly_savings": total,
        "average_size_reduction": None if average is None else _percent(average),
        "recommendations": [
            {
                "type": action.value,
                "instances": len(chosen),
                "monthly_savings": _sum(chosen, reasons, f"recommendations.{action.value}"),
            }
            for action in (Action.DOWNSIZE, Action.UPSIZE)
            if (chosen := [item for item in counted if item.choice.action is action])
        ],
        "instances": [_describe(item) for item in decisions[:MAX_LISTED]],
        "instances_left_off": max(0, len(decisions) - MAX_LISTED),
        "assumptions": {
            "headroom": decimal_text(rules.headroom),
            "max_steps": rules.max_steps,
            "minimum_days": rules.minimum_days,
            "hours_per_month": decimal_text(prices.hours_per_month),
            "currency": prices.currency,
            "catalogue": "shipped" if catalogue.is_shipped else "given",
            "prices": "given" if prices.by_size else None,
        },
        "insufficient_data": dict(sorted(reasons.items())),
    }


def _decide(instance: Instance, catalogue: Catalogue, rules: Rules, prices: Prices) -> Decision:
    choice = choose(instance.size, instance.cpu, instance.memory, catalogue, rules)
    saving = None
    if choice.size is not None and choice.recommended is not None:
        saving = prices.monthly_saving(choice.size, choice.recommended)
    return Decision(instance, choice, saving)


def _rank(item: Decision) -> tuple[int, Fraction, Fraction, str]:
    reduction = item.choice.cpu_reduction or Fraction(0)
    return _ORDER[item.choice.action], -(item.saving or Fraction(0)), -reduction, item.instance.id


def _reasons(decisions: list[Decision], missing: list[str]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    unanswered = [item for item in decisions if item.choice.action is None]
    if unanswered:
        first = unanswered[0]
        reasons["instances"] = (
            f"{len(unanswered)} of {len(decisions)} have no answer, the first of them {first.instance.id}: "
            f"{first.choice.reason}"
        )
    if missing:
        reasons["instance_ids"] = f"{len(missing)} are not in the data, the first of them {missing[0]}"
    unmeasured = sum(item.instance.memory is None and item.choice.action is not None for item in decisions)
    if unmeasured:
        reasons["memory"] = f"{unmeasured} instances have no memory figures: judged by their CPUs alone"
    return reasons


def _sum(
    decisions: list[Decision], reasons: dict[str, str], name: str, *, all_answered: bool = True
) -> str | None:
    unpriced = sorted(
        {
            size.name
            for item in decisions
            if item.saving is None
            for size in (item.choice.size, item.choice.recommended)
            if size is not None
        }
    )
    if not all_answered:
        reasons[name] = "no instance has an answer"
        return None
    if unpriced:
        reasons[name] = f"prices are not given for all of {', '.join(unpriced[:5])}"
        return None
    return _money(sum((item.saving or Fraction(0) for item in decisions), Fraction(0)))


def _describe(item: Decision) -> dict[str, Any]:
    choice, instance = item.choice, item.instance
    described: dict[str, Any] = {
        "id": instance.id,
        "size": instance.size,
        "action": choice.action.value if choice.action else None,
        "reason": choice.reason,
        "recommended_size": choice.recommended.name if choice.recommended else None,
        "fitting_size": choice.fitting.name if choice.fitting else None,
        "monthly_savings": None if item.saving is None else _money(item.saving),
        "judged_by": ["cpu"] if instance.memory is None else ["cpu", "memory"],
        "notes": [*choice.notes, *instance.notes][:10],
    }
    if choice.size is not None and choice.recommended is not None:
        described["cpu"] = instance.cpu.describe(ratio(choice.recommended.cpu, choice.size.cpu))
        memories = (choice.recommended.memory, choice.size.memory)
        if instance.memory is not None:
            known = memories[0] is not None and memories[1] is not None
            scale = ratio(memories[0], memories[1]) if known and memories[0] and memories[1] else Fraction(1)
            described["memory"] = instance.memory.describe(scale)
    return described


def _percent(part: Fraction) -> str:
    return percentage_text(Decimal(part.numerator), Decimal(part.denominator))


def _money(amount: Fraction) -> str:
    return decimal_text(rounded_down(amount))

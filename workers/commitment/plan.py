"""The commitments worth buying: for each SKU of billing data, or for one usage series."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from workers.commitment.describe import MAX_LISTED, Recommended, describe_offer, money_text
from workers.commitment.hourly import MAX_RESOURCES, MAX_SKU_HOURS, InstanceUsage, hours_of, usage_of_series
from workers.commitment.optimum import HourlyUsage, Rates, best_offer
from workers.focus.amounts import exact_arithmetic
from workers.focus.commitments import COVERAGE_COLUMNS, describe_commitments
from workers.focus.usage import HOURS_PER_MONTH, MIN_HOURS, instance_types

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.commitment.hourly import SkuUsage
    from workers.focus.charge import SkuKey
    from workers.focus.usage import UsagePeriod
    from workers.series import Series

_COLUMNS = (
    *COVERAGE_COLUMNS,
    "SkuId",
    "PricingQuantity",
    "PricingUnit",
    "ChargePeriodEnd",
)
_NO_RESOURCES = "no instance has a ResourceId"
_NO_SIZES = "a commitment changes no sizes"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a commitment would cost. Of the rates, the first that is there holds: by SKU, discount, data."""

    term_months: int
    committed_rates: dict[str, Decimal]
    """Per hour, by SkuId."""
    discount: Decimal | None
    """Part of the on-demand rate that a commitment saves, above 0 and below 1."""

    def rate(self, sku_id: str, on_demand: Fraction, seen: Fraction | None) -> tuple[Fraction, str] | None:
        """Return a SKU's committed rate and where it is from; None where nothing says it."""
        given = self.committed_rates.get(sku_id)
        if given is not None:
            return Fraction(given), "committed_rates"
        if self.discount is not None:
            return on_demand * (1 - Fraction(self.discount)), "discount"
        return None if seen is None else (seen, "data")


def plan_commitments(period: UsagePeriod, types: list[str] | None, terms: Terms) -> dict[str, Any]:
    """Return the plan for the SKUs of billing data, JSON-able; raises PermanentError for bad data."""
    with exact_arithmetic():
        usage = InstanceUsage(instance_types(types))
        usage.read(period)
        missing = period.source.missing
        reasons: dict[str, str] = {"average_size_reduction": _NO_SIZES}
        present = describe_commitments(usage.present, reasons, missing)
        if not usage.resources:
            reasons["total_instances"] = _NO_RESOURCES
        elif len(usage.resources) == MAX_RESOURCES:
            reasons["total_instances"] = f"counted to {MAX_RESOURCES}; there may be more"
        if types is not None and "ResourceType" in missing:
            reasons["resource_types"] = "the input has no column ResourceType: set resource_types to null"
        blocked = _blocked(period, missing, usage)
        skus, found = ({}, []) if blocked else _examine(usage, hours_of(period), terms, reasons)
        if blocked:
            reasons["monthly_savings"] = blocked
        return {
            "total_instances": len(usage.resources) or None,
            **_totals(found, answered="monthly_savings" not in reasons),
            "skus": skus,
            "commitment_coverage": present,
            **period.describe(),
            "term_months": terms.term_months,
            "hours_per_month": HOURS_PER_MONTH,
            "notes": _notes(usage),
            "insufficient_data": dict(sorted(reasons.items())),
        }


def _notes(usage: InstanceUsage) -> list[str]:
    negative = sum(value < 0 for sku in usage.skus.values() for value in sku.on_demand_by_hour.values())
    return [f"hours of a SKU with negative usage: {negative}; counted as 0"] if negative else []


def plan_commitment(
    series: Series, *, on_demand_rate: Decimal, committed_rate: Decimal | None, terms: Terms
) -> dict[str, Any]:
    """Return the plan for one usage series (units in use); a committed rate goes before the discount."""
    with exact_arithmetic():
        usage, notes, reason = usage_of_series(series)
        reasons = {
            "average_size_reduction": _NO_SIZES,
            "total_instances": "a usage series does not say which instances it is of",
            "commitment_coverage": "a usage series does not say what is charged to commitments",
        }
        if usage is not None and usage.hours < MIN_HOURS:
            reason = f"usage covers {usage.hours} hours; a commitment is worked out from {MIN_HOURS} or more"
        on_demand = Fraction(on_demand_rate)
        rate = terms.rate("", on_demand, None)
        if committed_rate is not None:
            rate = Fraction(committed_rate), "committed_rate"
        if rate is None:
            reason = reason or "neither discount nor committed_rate says what a commitment costs"
        found: list[Recommended] = []
        if reason is None and usage is not None and rate is not None:
            offer = best_offer(usage, Rates(on_demand, rate[0]))
            if offer.quantity:
                found = [Recommended(None, offer, rate[1], Fraction(0), terms.term_months)]
        else:
            reasons["monthly_savings"] = reason or ""
        return {
            "total_instances": None,
            **_totals(found, answered="monthly_savings" not in reasons),
            "commitment_coverage": None,
            "term_months": terms.term_months,
            "hours_per_month": HOURS_PER_MONTH,
            "notes": notes,
            "insufficient_data": dict(sorted(reasons.items())),
        }


def _blocked(period: UsagePeriod, missing: frozenset[str], usage: InstanceUsage) -> str | None:
    absent = [column for column in _COLUMNS if column in missing]
    if absent:
        return f"the input has no column {', '.join(absent)}"
    if period.too_short:
        return period.too_short
    if usage.has_too_many_hours:
        return (
            f"more than {MAX_SKU_HOURS} hours of SKUs would have to be followed; choose a shorter period, or "
            "an account_id"
        )
    if not usage.skus:
        return "no usage of instances with a SkuId is in the period"
    return None


def _examine(
    usage: InstanceUsage, hours: int, terms: Terms, reasons: dict[str, str]
) -> tuple[dict[str, int], list[Recommended]]:
    found: list[Recommended] = []
    counts = dict.fromkeys(("recommended", "below_break_even", "nothing_uncovered", "without_answer"), 0)
    unanswered: dict[str, list[str]] = {}
    for key, sku in usage.skus.items():
        outcome = _recommend(key, sku, hours, terms)
        if not (sku.on_demand_by_hour or sku.unhourly_rows):
            counts["nothing_uncovered"] += 1
        elif isinstance(outcome, str):
            unanswered.setdefault(outcome, []).append(key[0])
            counts["without_answer"] += 1
        elif outcome is None:
            counts["below_break_even"] += 1
        else:
            found.append(outcome)
            counts["recommended"] += 1
    if unanswered:
        reasons["skus"] = "; ".join(
            f"{len(skus)} SKUs, the first of them {skus[0]}: {reason}"
            for reason, skus in sorted(unanswered.items())
        )
    if unanswered and not counts["recommended"] + counts["below_break_even"]:
        reasons["monthly_savings"] = "no SKU has an answer; see skus"
    if usage.left_out_rows:
        reasons["skus.limit"] = f"{usage.left_out_rows} rows are of SKUs beyond the first: left out"
    if usage.rows_without_sku:
        reasons["skus.without_id"] = f"{usage.rows_without_sku} rows have no SkuId: left out"
    return {"examined": len(usage.skus), **counts}, found


def _recommend(key: SkuKey, sku: SkuUsage, hours: int, terms: Terms) -> Recommended | str | None:
    """Return the recommendation, None where no commitment pays, or why that is not known."""
    if sku.unhourly_rows:
        return "charges for other times than one whole hour do not say in which hours it ran"
    on_demand = sku.on_demand_rate
    if on_demand is None:
        return "the on-demand rows have no BilledCost above 0, hence no rate"
    rate = terms.rate(key[0], on_demand, sku.committed_rate)
    if rate is None:
        return "no committed rate: give discount or committed_rates; the data has none with a price"
    offer = best_offer(HourlyUsage.of(sku.on_demand_by_hour.values(), hours), Rates(on_demand, rate[0]))
    if not offer.quantity:
        return None
    return Recommended(key, offer, rate[1], Fraction(sku.committed_quantity), terms.term_months)


def _totals(found: list[Recommended], *, answered: bool) -> dict[str, Any]:
    found.sort(key=lambda item: (-item.monthly_saving, [part or "" for part in item.key or ()]))
    rest = found[MAX_LISTED:]
    total = sum((item.monthly_saving for item in found), Fraction(0))
    return {
        "monthly_savings": money_text(total) if answered else None,
        "average_size_reduction": None,
        "recommendations": [describe_offer(item) for item in found[:MAX_LISTED]],
        "recommendations_left_off": {
            "count": len(rest),
            "monthly_savings": money_text(sum((item.monthly_saving for item in rest), Fraction(0))),
        },
    }

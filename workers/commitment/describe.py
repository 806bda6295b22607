"""A recommended commitment as JSON: its figures, and how other quantities would do."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any

from workers.commitment.optimum import Offer
from workers.focus.amounts import decimal_text, percentage_text, rounded_down
from workers.focus.usage import monthly

if TYPE_CHECKING:
    from workers.focus.charge import SkuKey

MAX_LISTED = 25
"""Recommendations in the result, those of the highest saving."""
TYPE = "commit"
QUANTILES = (0, 5, 10, 25, 50, 75, 90, 95, 100)
"""Percent of the hours."""
_MONTH_PLACES = 2


@dataclass(frozen=True, slots=True)
class Recommended:
    """An offer worth taking."""

    key: SkuKey | None
    """None for the usage series of a request."""
    offer: Offer
    rate_from: str
    present_covered: Fraction
    """Unit-hours of the SKU that commitments cover already; they are not part of the offer's usage."""
    term_months: int

    @property
    def monthly_saving(self) -> Fraction:
        """What the offer saves in a month of such usage."""
        return monthly(self.offer.saving, Fraction(self.offer.usage.hours))


def describe_offer(item: Recommended) -> dict[str, Any]:
    """Return the JSON of a recommendation."""
    offer, usage, rates = item.offer, item.offer.usage, item.offer.rates
    sku_id, unit, region = item.key or (None, None, None)
    before = Fraction(usage.total) + item.present_covered
    return {
        "type": TYPE,
        "instances": offer.quantity,
        "monthly_savings": money_text(item.monthly_saving),
        "sku_id": sku_id,
        "pricing_unit": unit,
        "region_id": region,
        "hours": usage.hours,
        "saving": money_text(offer.saving),
        "on_demand_rate": money_text(rates.on_demand),
        "committed_rate": money_text(rates.committed),
        "committed_rate_from": item.rate_from,
        "uncovered_unit_hours": decimal_text(usage.total),
        "usage_quantiles": {
            str(percent): decimal_text(usage.quantile(Fraction(percent, 100))) for percent in QUANTILES
        },
        "optimal_quantile_percentage": percent_text(1 - rates.break_even_utilization),
        "utilization_percentage": percent_text(offer.utilization),
        "coverage_percentage": percent_text(offer.coverage),
        "coverage_before_percentage": percent_text(item.present_covered / before),
        "coverage_after_percentage": percent_text((item.present_covered + offer.covered) / before),
        "break_even_utilization_percentage": percent_text(rates.break_even_utilization),
        "break_even_months": _months(offer.break_even_months(item.term_months)),
        "options": [_option(option) for option in _options(offer)],
    }


def _options(best: Offer) -> list[Offer]:
    """Return the best quantity and those at the quantiles of usage, rounded up."""
    quantities = {ceil(best.usage.quantile(Fraction(percent, 100))) for percent in QUANTILES}
    return [Offer(best.usage, best.rates, quantity) for quantity in sorted(quantities | {best.quantity})]


def _option(option: Offer) -> dict[str, Any]:
    return {
        "instances": option.quantity,
        "utilization_percentage": percent_text(option.utilization),
        "coverage_percentage": percent_text(option.coverage),
        "saving": money_text(option.saving),
    }


def _months(months: Fraction | None) -> float | None:
    return None if months is None else round(float(months), _MONTH_PLACES)


def percent_text(part: Fraction | None) -> str | None:
    """Return a share in percent, two places, rounded half to even."""
    return None if part is None else percentage_text(Decimal(part.numerator), Decimal(part.denominator))


def money_text(amount: Fraction) -> str:
    """Return an amount, rounded down at ten places."""
    return decimal_text(rounded_down(amount))

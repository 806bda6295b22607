"""What grew and what shrank: billed spend of the later half of the period against the earlier half."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from workers.focus.amounts import decimal_text, percentage_text
from workers.focus.period import day_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.focus.breakdown import Breakdown, Tally
    from workers.focus.period import Period

TOP_MOVERS = 10
"""Movers in the result for each dimension."""


def describe_movers(breakdowns: Mapping[str, Breakdown[str | None]], period: Period) -> dict[str, Any]:
    """Return, for each dimension, the keys whose spend changed most. The period has two days or more."""
    half = period.half_days
    return {
        "earlier": {"start": day_text(period.first_day), "end": day_text(period.first_day + half - 1)},
        "later": {"start": day_text(period.last_day - half + 1), "end": day_text(period.last_day)},
        **{name: _top(breakdown) for name, breakdown in breakdowns.items()},
    }


def _top(breakdown: Breakdown[str | None]) -> list[dict[str, Any]]:
    moved = [item for item in breakdown.tallies.items() if item[1].later != item[1].earlier]
    top = heapq.nsmallest(
        TOP_MOVERS, moved, key=lambda item: (-abs(item[1].later - item[1].earlier), item[0] or "")
    )
    return [_described(key, tally) for key, tally in top]


def _described(key: str | None, tally: Tally) -> dict[str, Any]:
    change = tally.later - tally.earlier
    return {
        "key": key,
        "earlier_spend": decimal_text(tally.earlier),
        "later_spend": decimal_text(tally.later),
        "change": decimal_text(change),
        "change_percentage": percentage_text(change, tally.earlier) if tally.earlier > 0 else None,
    }

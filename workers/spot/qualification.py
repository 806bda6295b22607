"""Whether an instance qualifies for spot capacity, and why, or why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.spot.candidates import Candidate

Tags = dict[str, list[str]]


class Verdict(StrEnum):
    """The first of these that holds, in this order."""

    PROTECTED = "protected"
    ON_SPOT = "on_spot_already"
    COMMITTED = "covered_by_commitment"
    OTHER_PRICING = "priced_in_another_way"
    TOLERANCE_UNKNOWN = "tolerance_unknown"
    NO_COST = "no_on_demand_cost"
    COSTS_MORE = "costs_more_with_interruptions"
    QUALIFIES = "qualifies"


MEANING = {
    Verdict.PROTECTED: "named as not to be interrupted",
    Verdict.ON_SPOT: "runs on spot capacity in the period",
    Verdict.COMMITTED: "a commitment covers it at least in part, and would stand unused without it",
    Verdict.OTHER_PRICING: "its pricing category is neither standard, committed nor dynamic",
    Verdict.TOLERANCE_UNKNOWN: "nothing says that it bears interruptions; billing data cannot",
    Verdict.NO_COST: "its on-demand cost is not above 0, so a discount saves nothing",
    Verdict.COSTS_MORE: "interruptions would cost as much as the discount saves, or more",
    Verdict.QUALIFIES: "runs on demand, bears interruptions, and costs less on spot capacity",
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What the caller says of interruptions; what is protected is so whatever else is said of it."""

    interruptible_ids: frozenset[str] = frozenset()
    interruptible_tags: Tags = field(default_factory=dict)
    """Tag: the values that mean an instance bears interruptions."""
    protected_ids: frozenset[str] = frozenset()
    protected_tags: Tags = field(default_factory=dict)

    @property
    def says_nothing(self) -> bool:
        """Whether no instance can be known to bear interruptions."""
        return not self.interruptible_ids and not self.interruptible_tags

    @property
    def tag_keys(self) -> frozenset[str]:
        """The tags that anything is said of."""
        return frozenset(self.interruptible_tags) | frozenset(self.protected_tags)

    def why_interruptible(self, item: Candidate) -> str | None:
        """Return what says that an instance bears interruptions, or None."""
        return _named(item, self.interruptible_ids, self.interruptible_tags, "interruptible")

    def why_protected(self, item: Candidate) -> str | None:
        """Return what says that an instance must not be interrupted, or None."""
        return _named(item, self.protected_ids, self.protected_tags, "protected")


def _named(item: Candidate, ids: frozenset[str], tags: Tags, what: str) -> str | None:
    if item.id in ids:
        return f"{what}_ids has it"
    for key, values in tags.items():
        if item.tags.get(key) in values:
            return f"{what}_tags has {key}={item.tags[key]}"
    return None


def judge(item: Candidate, tolerance: Tolerance) -> Verdict:
    """Return the verdict as far as it does not depend on the saving."""
    if tolerance.why_protected(item):
        return Verdict.PROTECTED
    if item.committed_hours > 0:
        return Verdict.COMMITTED
    if item.spot_hours > 0:
        return Verdict.ON_SPOT
    if item.other_hours > 0:
        return Verdict.OTHER_PRICING
    if not tolerance.why_interruptible(item):
        return Verdict.TOLERANCE_UNKNOWN
    return Verdict.QUALIFIES if item.on_demand_cost > 0 else Verdict.NO_COST

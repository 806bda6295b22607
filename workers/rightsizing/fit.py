"""The size for one instance: what fits by its percentiles and head-room, and the next step towards it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from workers.rightsizing.catalogue import Catalogue, Size
    from workers.rightsizing.demand import Demand


class Action(StrEnum):
    """What is recommended."""

    DOWNSIZE = "downsize"
    UPSIZE = "upsize"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a size must leave free, how far one recommendation goes, and how long a series must be."""

    headroom: Decimal
    """Part of each resource, below 1, that stays free at the percentile."""
    max_steps: int | None
    """Sizes of the family between the present and the recommended one, that included; None for any number."""
    minimum_days: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome for one instance; without an action the reason says why there is no answer."""

    action: Action | None
    reason: str
    size: Size | None = None
    """The present one; None where the catalogue does not have it."""
    recommended: Size | None = None
    fitting: Size | None = None
    """The smallest size of the family that fits, however many steps away."""
    notes: list[str] = field(default_factory=list)

    @property
    def cpu_reduction(self) -> Fraction | None:
        """The part of the CPUs that a downsize gives up."""
        if self.action is not Action.DOWNSIZE or self.size is None or self.recommended is None:
            return None
        return 1 - ratio(self.recommended.cpu, self.size.cpu)


def choose(name: str, cpu: Demand, memory: Demand | None, catalogue: Catalogue, rules: Rules) -> Choice:
    """Return the size for an instance of size `name`."""
    size = catalogue.sizes.get(name)
    if size is None:
        near = catalogue.near(name)
        hint = f"; near: {', '.join(near)}" if near else "; hand in a catalogue that has it"
        return Choice(None, f"size {name!r} is not in the catalogue{hint}")
    days = cpu.days if memory is None else min(cpu.days, memory.days)
    if days < rules.minimum_days:
        return Choice(None, f"the data covers {days:.2f} days, fewer than {rules.minimum_days:g}", size)
    return _step(size, cpu, memory, catalogue.ladder(size), rules)


def ratio(part: Decimal, whole: Decimal) -> Fraction:
    """Return part ÷ whole, exactly."""
    return Fraction(part) / Fraction(whole)


def fits(present: Size, candidate: Size, cpu: Demand, memory: Demand | None, headroom: Decimal) -> bool:
    """Whether both percentiles leave the head-room free on the candidate.

    Without memory figures a candidate is judged by its CPUs; where the catalogue does not say how much memory
    a size has, and memory was measured, only the present size is known to do.
    """
    most = 100 * (1 - Fraction(headroom))
    if cpu.after(ratio(candidate.cpu, present.cpu)) > most:
        return False
    if memory is None:
        return True
    if candidate is present:
        return memory.value <= most
    if candidate.memory is None or present.memory is None:
        return False
    return memory.after(ratio(candidate.memory, present.memory)) <= most


def _step(size: Size, cpu: Demand, memory: Demand | None, ladder: list[Size], rules: Rules) -> Choice:
    here = ladder.index(size)
    good = [index for index, item in enumerate(ladder) if fits(size, item, cpu, memory, rules.headroom)]
    first = good if here in good else [index for index in good if index > here] or good
    there = first[0] if first else len(ladder) - 1
    fitting = ladder[there] if first else None
    most = len(ladder) if rules.max_steps is None else rules.max_steps
    if there < here:
        target = next(index for index in first if index >= (here - most if here in good else there))
    else:
        target = min(here + most, there)
    notes = [
        f"{what} reached {demand.highest:g} %: the size may have held the demand down"
        for what, demand in (("cpu", cpu), ("memory", memory))
        if demand is not None and demand.is_saturated
    ]
    action = Action.KEEP if target == here else Action.DOWNSIZE if target < here else Action.UPSIZE
    return Choice(action, _reason(action, fitting, ladder[target]), size, ladder[target], fitting, notes)


def _reason(action: Action, fitting: Size | None, target: Size) -> str:
    if fitting is None:
        tail = "its largest is recommended" if action is Action.UPSIZE else "it is the largest already"
        return f"no size of the family leaves the head-room free; {tail}"
    if action is Action.KEEP:
        return "no smaller size leaves the head-room free"
    if fitting is target:
        return "the smallest size of the family that leaves the head-room free"
    return f"a step towards {fitting.name}, the smallest size of the family that leaves the head-room free"

"""Strikes with faults at random moments from a seed, and notes whom, when and what it had in hand."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.faults import FAULTS
from tests.chaos.journal import Reader, boottime

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from tests.chaos.faults import Fault, Victim
    from tests.chaos.stack import Stack

GAP_SECONDS = (0.5, 3.0)
"""Between the end of one fault and the next."""
LOOK_FOR_A_HOLDER_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that happened; times are seconds of CLOCK_BOOTTIME."""

    fault: str
    victim: str
    held: frozenset[str]
    began: float
    ended: float


def schedule(count: int, rng: random.Random, faults: Sequence[Fault] = FAULTS) -> list[Fault]:
    """Return `count` faults: every kind once in random order, then every kind again, and so on."""
    planned: list[Fault] = []
    while len(planned) < count:
        planned += rng.sample(list(faults), len(faults))
    return planned[:count]


@dataclass
class Injector:
    """Strikes one fault after another; the system is given no time to recover in between."""

    stack: Stack
    rng: random.Random
    tell: Callable[[str], None]
    ask_for_work: Callable[[], None]

    def __post_init__(self) -> None:
        self._reader = Reader(self.stack.journal)
        self._pause = threading.Event()

    def strike(self, fault: Fault) -> Strike:
        """Wait a random while, and until the victim has a task in hand, strike, and lift the fault again."""
        self._pause.wait(self.rng.uniform(*GAP_SECONDS))
        victim = self._victim(fault)
        seconds = self.rng.uniform(*fault.seconds)
        began = boottime()
        fault.strike(self.stack, victim)
        try:
            self._pause.wait(seconds)
        finally:
            fault.lift(self.stack, victim)
        ended = boottime()
        self.tell(f"{fault.name}: {victim.name}, {ended - began:.1f} s, {len(victim.held)} in hand")
        return Strike(fault.name, victim.name, victim.held, began, ended)

    def _victim(self, fault: Fault) -> Victim:
        until = boottime() + LOOK_FOR_A_HOLDER_SECONDS
        while True:
            victim = fault.choose(self.stack, self._reader.open_runs(), self.rng)
            if victim.held or boottime() >= until:
                return victim
            self.ask_for_work()
            self._pause.wait(0.05)

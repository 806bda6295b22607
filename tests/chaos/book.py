"""What every caller asked for and was told."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.journal import boottime

TERMINAL = frozenset({"completed", "failed", "timeout", "cancelled"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission that was answered with 201."""

    task_id: str
    kind: str
    caller: str
    at: float


@dataclass(frozen=True, slots=True)
class Told:
    """A caller was told that a task had ended, and how; `result` is None where the answer carries none."""

    task_id: str
    caller: str
    how: str
    status: str
    result: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A wish to cancel that was answered: 200 settled, 202 noted, 409 too late."""

    task_id: str
    status_code: int
    at: float


@dataclass
class Book:
    """All of it, written by many threads."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    """How often each call was answered with each status code, or not at all."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, task_id: str, kind: str, caller: str) -> None:
        """Note a 201."""
        with self._lock:
            self.accepted[task_id] = Accepted(task_id, kind, caller, boottime())

    def tell(self, task_id: str, caller: str, how: str, status: str, result: str | None) -> None:
        """Note that a caller saw the end of a task."""
        with self._lock:
            self.told.append(Told(task_id, caller, how, status, result, boottime()))

    def cancel(self, task_id: str, status_code: int) -> None:
        """Note the answer to a DELETE."""
        with self._lock:
            self.cancellations.append(Cancellation(task_id, status_code, boottime()))

    def answered(self, call: str, answer: str) -> None:
        """Count an answer."""
        with self._lock:
            self.answers[f"{call} {answer}"] += 1

    def ended(self) -> list[str]:
        """Return the ids of tasks whose end some caller has seen, oldest first."""
        with self._lock:
            return list(dict.fromkeys(told.task_id for told in self.told))

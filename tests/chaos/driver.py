"""Callers: threads that submit, cancel and ask, and note every answer that they are given."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.chaos.book import TERMINAL
from tests.chaos.journal import boottime
from tests.chaos.orders import draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.book import Book
    from tests.chaos.orders import Order

WINDOW = 20
"""Tasks that one caller has open at most."""
ANSWER_SECONDS = 12.0
PAUSE_SECONDS = 0.05
LOOKS_A_ROUND = 6


@dataclass
class Quota:
    """How many tasks may have been submitted by now, shared by all callers."""

    total: int
    allowed: int = 0
    taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Take one if there is one."""
        with self._lock:
            if self.taken >= min(self.allowed, self.total):
                return False
            self.taken += 1
            return True

    def give_back(self) -> None:
        """Return one that was refused or not answered."""
        with self._lock:
            self.taken -= 1

    def allow(self, share: float) -> None:
        """Let this share of the total be submitted."""
        self.allowed = max(self.allowed, round(self.total * share))

    def allow_another(self) -> None:
        """Let one more than has been taken be submitted: somebody waits for work to be in hand."""
        self.allowed = max(self.allowed, self.taken + 1)


@dataclass
class _Open:
    order: Order
    cancel_at: float | None


class Caller(threading.Thread):
    """One client of the API; it stops when told and keeps nothing open longer than a request."""

    def __init__(
        self, name: str, book: Book, quota: Quota, *, urls: Sequence[str], key: str, seed: str, journal: str,
        mix: Mapping[str, int],
    ) -> None:  # fmt: skip
        super().__init__(name=name, daemon=True)
        self._book, self._quota, self._journal, self._mix = book, quota, journal, mix
        self._rng = random.Random(f"{seed}:{name}")
        self._urls = list(urls)
        self._http = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=ANSWER_SECONDS)
        self._open: dict[str, _Open] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let it end after the request that is under way."""
        self._stopping.set()

    @property
    def waits(self) -> bool:
        """Whether it still has a task whose end it has not seen."""
        return bool(self._open)

    def run(self) -> None:
        with self._http:
            while not self._stopping.is_set():
                self._submit()
                self._cancel_what_is_due()
                self._look()
                self._look_at_others()
                self._stopping.wait(PAUSE_SECONDS)

    def _submit(self) -> None:
        while len(self._open) < WINDOW and not self._stopping.is_set() and self._quota.take():
            order = draw(self._rng, self._mix, self._journal)
            answer = self._call("POST", "/tasks", json=order.body)
            if answer is None or answer.status_code != httpx.codes.CREATED:
                self._quota.give_back()
                return
            task_id = str(answer.json()["task_id"])
            self._book.accept(task_id, order.kind, self.name)
            after = order.cancel_after_seconds
            self._open[task_id] = _Open(order, None if after is None else boottime() + after)

    def _cancel_what_is_due(self) -> None:
        for task_id, entry in list(self._open.items()):
            if entry.cancel_at is not None and boottime() >= entry.cancel_at:
                answer = self._call("DELETE", f"/tasks/{task_id}")
                if answer is not None and answer.status_code in (200, 202, 409):
                    entry.cancel_at = None
                    self._book.cancel(task_id, answer.status_code)
                    if answer.status_code == httpx.codes.OK:
                        self._book.tell(task_id, self.name, "DELETE", str(answer.json()["status"]), None)
                    elif answer.status_code == httpx.codes.CONFLICT:
                        status = str(answer.json()["detail"]).rpartition(": ")[2]
                        self._book.tell(task_id, self.name, "DELETE", status, None)

    def _look(self) -> None:
        for task_id in list(self._open)[:LOOKS_A_ROUND]:
            entry = self._open.pop(task_id)
            if not self._ask(task_id):
                self._open[task_id] = entry

    def _look_at_others(self) -> None:
        ended = self._book.ended()
        if ended and self._rng.random() < 0.3:
            self._ask(self._rng.choice(ended))

    def _ask(self, task_id: str) -> bool:
        """GET a task; True when it was seen to have ended."""
        answer = self._call("GET", f"/tasks/{task_id}")
        if answer is None:
            return False
        if answer.status_code == httpx.codes.NOT_FOUND:
            self._book.tell(task_id, self.name, "GET", "not found", None)
            return True
        if answer.status_code != httpx.codes.OK:
            return False
        task = answer.json()
        if task["status"] not in TERMINAL:
            return False
        result = json.dumps(task["result"], sort_keys=True)
        self._book.tell(task_id, self.name, "GET", task["status"], result)
        return True

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response | None:
        call = method if path == "/tasks" else f"{method} task"
        try:
            answer = self._http.request(method, self._rng.choice(self._urls) + path, **arguments)
        except httpx.TransportError as error:
            self._book.answered(call, type(error).__name__)
            return None
        self._book.answered(call, str(answer.status_code))
        return answer

"""`python -m tests.chaos.stock`: the suite's tasks and faults, as far as a plain Celery has their parts."""

from __future__ import annotations

import random
import secrets
import tempfile
import threading
import time
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from tests.chaos.checker import OVERLAP_SECONDS
from tests.chaos.faults import FAULTS
from tests.chaos.injector import Injector, schedule
from tests.chaos.journal import Reader, boottime, overlap_seconds
from tests.chaos.orders import MIX, draw
from tests.chaos.stock.stack import StockStack

if TYPE_CHECKING:
    from celery import Celery

    from tests.chaos.journal import Run
    from tests.chaos.orders import Order

PARTS = ("worker", "pool child", "Redis", "connection")
WINDOW = 80
PATIENCE_SECONDS = 15.0
"""What has been open for longer does not hold new submissions back: it may be lost."""
DRAIN_SECONDS = 150.0
"""Twice the visibility timeout and more: by then whatever Celery gives out again has been given out."""
READY = frozenset({"SUCCESS", "FAILURE", "REVOKED"})


class Submitter(threading.Thread):
    """Submits the orders of the suite, at most WINDOW open at a time, and revokes what is to be cancelled."""

    def __init__(self, app: Celery, total: int, seed: int, journal: str) -> None:
        super().__init__(daemon=True)
        self._app, self._total, self._journal = app, total, journal
        self._rng = random.Random(f"{seed}:stock")
        self._revoke_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self.share = 0.0
        self.refused = 0
        self.accepted: dict[str, str] = {}
        self.open: dict[str, float] = {}

    def stop(self) -> None:
        """End after the call that is under way."""
        self._stopping.set()

    @property
    def done(self) -> bool:
        return len(self.accepted) >= self._total

    def ask_for_work(self) -> None:
        """Let one more task in."""
        self.share = max(self.share, (len(self.accepted) + 1) / self._total)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except Exception:  # noqa: BLE001 - kombu and redis raise many kinds while Redis is away
                self.refused += 1
            self._stopping.wait(0.05)

    def _waited_for(self) -> int:
        return sum(at > boottime() - PATIENCE_SECONDS for at in self.open.values())

    def _round(self) -> None:
        while self._waited_for() < WINDOW and len(self.accepted) < round(self.share * self._total):
            order = draw(self._rng, MIX, self._journal)
            task_id = str(_send(self._app, order).id)
            self.accepted[task_id] = order.kind
            self.open[task_id] = boottime()
            if order.cancel_after_seconds is not None:
                self._revoke_at[task_id] = boottime() + order.cancel_after_seconds
        for task_id in [name for name, at in self._revoke_at.items() if boottime() >= at]:
            self._app.control.revoke(task_id, terminate=True)
            del self._revoke_at[task_id]
        for task_id in list(self.open):
            if self._app.AsyncResult(task_id).state in READY:
                del self.open[task_id]


def _send(app: Celery, order: Order) -> Any:
    body = order.body
    retries = {
        "max_retries": body.get("max_retries", 3),
        "retry_delay_seconds": body.get("retry_delay_seconds", 5),
    }
    limit = body.get("timeout_seconds", 30)
    return app.send_task(
        body["task_type"],
        kwargs={**body["parameters"], **retries},
        countdown=body.get("delay_seconds"),
        soft_time_limit=limit,
        time_limit=limit + 1,
    )


@click.command()
@click.option("--tasks", default=10_000, show_default=True)
@click.option("--faults", default=60, show_default=True)
@click.option("--seed", type=int)
def main(*, tasks: int, faults: int, seed: int | None) -> None:
    """Run it and print what became of the tasks; nothing is asserted."""
    console, seed = (
        Console(width=110, highlight=False),
        secrets.randbelow(1_000_000) if seed is None else seed,
    )
    with tempfile.TemporaryDirectory(prefix="chaos-stock-") as folder:
        stack = StockStack(Path(folder))
        try:
            stack.start()
            console.print(f"seed {seed}: {tasks} tasks, {faults} faults, plain Celery with acks_late")
            submitter = Submitter(stack.app(), tasks, seed, str(stack.journal))
            _drive(stack, submitter, faults, seed, console)
            runs = Reader(stack.journal).read()
        finally:
            stack.close()
    console.print(_table(submitter, list(runs.values())))


def _drive(stack: StockStack, submitter: Submitter, count: int, seed: int, console: Console) -> None:
    rng = random.Random(seed)
    kinds = [fault for fault in FAULTS if fault.name.startswith(PARTS)]
    injector = Injector(stack, rng, lambda line: console.print(line, markup=False), submitter.ask_for_work)
    submitter.start()
    planned = schedule(count, rng, kinds)
    for number, fault in enumerate(planned, 1):
        submitter.share = max(submitter.share, number / (len(planned) + 1))
        injector.strike(fault)
    submitter.share = 1.0
    pause, last, moved_at = threading.Event(), (-1, -1), time.monotonic()
    while not (submitter.done and not submitter.open) and time.monotonic() - moved_at < DRAIN_SECONDS:
        state = (len(submitter.accepted), len(submitter.open))
        if state != last:
            last, moved_at = state, time.monotonic()
        pause.wait(0.5)
    submitter.stop()
    submitter.join(30)


def _table(submitter: Submitter, runs: list[Run]) -> Table:
    by_task: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_task[run.task_id].append(run)
    finished = {run.task_id for run in runs if run.how is not None}
    once = [name for name, kind in submitter.accepted.items() if kind not in ("failing", "retrying")]
    overlaps = [
        any(overlap_seconds(*pair) > OVERLAP_SECONDS for pair in combinations(by_task[name], 2))
        for name in submitter.accepted
    ]
    table = Table("plain Celery, acks_late", "found")
    table.columns[1].justify = "right"
    for what, found in (
        ("accepted", len(submitter.accepted)),
        ("rounds of submitting or asking that failed", submitter.refused),
        ("ended with a result that its caller could read", len(submitter.accepted) - len(submitter.open)),
        ("lost: no result, and no run came to its end", len(submitter.open.keys() - finished)),
        ("outcome forgotten: a run came to its end, no result", len(submitter.open.keys() & finished)),
        ("ran more than once without asking for it", sum(len(by_task[name]) > 1 for name in once)),
        ("on two workers at once for longer than 0.5 s", sum(overlaps)),
    ):
        table.add_row(what, f"{found:,}")
    return table


if __name__ == "__main__":
    main()

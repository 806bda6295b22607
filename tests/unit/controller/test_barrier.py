from __future__ import annotations

from typing import TYPE_CHECKING, cast

from orchestrator.controller.progress import Barrier, Progress

if TYPE_CHECKING:
    from orchestrator.broker.stream import EventStream


class Growing:
    """A stream that is longer at each look."""

    def __init__(self) -> None:
        self.last = 0

    def tail(self) -> str | None:
        self.last += 10
        return f"{self.last}-0"


def test_a_recorder_that_never_catches_up_still_passes_the_end_that_was_noted() -> None:
    stream, progress = Growing(), Progress()
    barrier = Barrier(cast("EventStream", stream), progress)
    answers = []
    for recorded in (4, 8, 12, 16, 20):
        progress.reached(f"{recorded}-0")
        answers.append(barrier.passed(timeout_seconds=0.0))

    assert answers == [False, False, True, False, True]


def test_a_stream_that_begins_anew_is_looked_at_anew() -> None:
    stream, progress = Growing(), Progress()
    barrier = Barrier(cast("EventStream", stream), progress)
    stream.last = 1000
    assert not barrier.passed(timeout_seconds=0.0)

    stream.last = 0
    barrier.restart()

    progress.reached("10-0")
    assert barrier.passed(timeout_seconds=0.0)

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.broker.registry import AgentStatus, AgentView
from orchestrator.controller.liveness import Absences, Liveness


def view(seq: int, *tokens: str, agent_id: str = "a", incarnation: str = "i") -> AgentView:
    heard = datetime(2026, 1, 1, tzinfo=UTC)
    return AgentView(
        agent_id, incarnation, {}, AgentStatus.HEALTHY, seq, "r", 0, {}, frozenset(tokens), heard
    )


def looks(liveness: Liveness, *steps: tuple[float, list[AgentView]]) -> list[frozenset[str]]:
    return [liveness.look(agents, now=now) for now, agents in steps]


def test_an_agent_whose_counter_stands_still_for_the_timeout_is_offline() -> None:
    still = [view(3)]

    answers = looks(Liveness(3.0), *((second, still) for second in range(5)))

    assert answers == [frozenset()] * 3 + [frozenset("a")] * 2


def test_a_beat_a_new_incarnation_and_another_agent_start_from_nothing() -> None:
    liveness = Liveness(2.0)

    answers = looks(
        liveness,
        (0, [view(1)]),
        (1, [view(1)]),
        (2, [view(2)]),
        (3, [view(2)]),
        (4, [view(2, incarnation="j"), view(1, agent_id="b")]),
        (5, [view(2, incarnation="j"), view(1, agent_id="b")]),
        (6, [view(2, incarnation="j"), view(2, agent_id="b")]),
    )

    assert answers == [frozenset()] * 6 + [frozenset("a")]


def test_time_in_which_the_controller_saw_nothing_does_not_count() -> None:
    answers = looks(
        Liveness(3.0), (0, [view(1)]), (1, [view(1)]), (60, [view(1)]), (61, [view(1)]), (62, [view(1)])
    )

    assert answers == [frozenset()] * 5


def test_after_a_restart_the_count_begins_again() -> None:
    liveness = Liveness(2.0)
    looks(liveness, (0, [view(1)]), (1, [view(1)]))
    liveness.restart()

    assert looks(liveness, (2, [view(1)]), (3, [view(1)]), (4, [view(1)])) == [
        frozenset(),
        frozenset(),
        frozenset("a"),
    ]


def test_a_run_is_dropped_when_two_later_beats_leave_it_out() -> None:
    absences = Absences()

    answers = [absences.look("t", view(seq)) for seq in (5, 5, 6, 7, 7, 8)]

    assert answers == [False] * 5 + [True]


def test_a_beat_that_lists_the_run_again_starts_anew() -> None:
    absences = Absences()

    answers = [
        absences.look("t", agent) for agent in (view(5), view(7), view(8, "t"), view(9), view(11), view(12))
    ]

    assert answers == [False] * 5 + [True]


def test_runs_that_no_longer_matter_are_forgotten() -> None:
    absences = Absences()
    for seq in (5, 7):
        absences.look("t", view(seq))
    absences.keep_only(set())

    assert not absences.look("t", view(8))
    absences.restart()
    assert not absences.look("t", view(11))

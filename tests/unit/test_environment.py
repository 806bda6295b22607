"""Settings out of an environment that is handed in: read as a whole, refused as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from orchestrator.broker.options import BrokerOptions
from orchestrator.environment import read, refuse_slips, setting, unknown_names
from orchestrator.errors import SettingsError
from orchestrator.worker.options import AgentOptions


@dataclass(frozen=True)
class Options:
    url: str = field(repr=False, metadata=setting("URL", "where it is", secret=True))
    count: int = field(default=3, metadata=setting("COUNT", "how many", low=1, high=9))
    pause: float | None = field(default=None, metadata=setting("PAUSE", "seconds", low=0.5))
    loud: bool = field(default=False, metadata=setting("LOUD", "whether"))
    kind: str = field(default="a", metadata=setting("KIND", "which", choices=("a", "b")))


def test_what_is_given_is_read_and_the_rest_is_as_declared() -> None:
    given, _ = read(
        Options, AgentOptions, environ={"URL": "x", "COUNT": "9", "PAUSE": "0.5", "LOUD": "true", "KIND": "b"}
    )
    silent, _ = read(Options, AgentOptions, environ={"URL": "x", "COUNT": "", "PAUSE": ""})

    assert given == Options("x", 9, 0.5, loud=True, kind="b")
    assert silent == Options("x")


def test_every_problem_of_every_class_is_named_at_once() -> None:
    environ = {"COUNT": "10", "PAUSE": "nan", "LOUD": "perhaps", "KIND": "c", "HEARTBEAT_INTERVAL": "often"}

    with pytest.raises(SettingsError) as refusal:
        read(Options, AgentOptions, environ=environ, also=["and this"])

    lines = str(refusal.value).splitlines()
    assert lines[0] == "the settings are refused:"
    assert len(lines) == 8
    for part in (
        "URL is missing: where it is",
        "COUNT: 10 is out of range; 1 to 9",
        "PAUSE",
        "LOUD",
        "KIND",
        "and this",
    ):
        assert part in str(refusal.value)
    assert "HEARTBEAT_INTERVAL" in str(refusal.value)


def test_a_slip_of_our_own_names_is_refused_and_others_names_are_not() -> None:
    refuse_slips(
        {"ORCHESTRATOR_DATA_DIR": "x", "ORCHESTRATOR_RESULT_LIMIT": "9", "OTHER": "y"},
        BrokerOptions,
        AgentOptions,
    )

    with pytest.raises(SettingsError, match="did you mean ORCHESTRATOR_RESULT_LIMIT"):
        refuse_slips({"ORCHESTRATOR_RESULT_LIMITS": "9"}, BrokerOptions, AgentOptions)


def test_unknown_names_are_shown_with_the_near_ones() -> None:
    problems = unknown_names(
        {"ORCHESTRATOR_PORTS": "1", "ORCHESTRATOR_XYZZY": "1", "PORTS": "1"}, {"ORCHESTRATOR_PORT"}
    )

    assert problems == [
        "ORCHESTRATOR_PORTS is not a setting; did you mean ORCHESTRATOR_PORT?",
        "ORCHESTRATOR_XYZZY is not a setting",
    ]


@pytest.mark.parametrize("text", ["inf", "-inf", "1e999"])
def test_an_endless_number_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"HEARTBEAT_TIMEOUT: .*not permitted"):
        read(BrokerOptions, environ={"HEARTBEAT_TIMEOUT": text})


def test_three_beats_fit_into_a_timeout_unless_told() -> None:
    assert AgentOptions().interval_seconds(9.0) == 3.0
    assert AgentOptions(heartbeat_interval_seconds=2.0).interval_seconds(9.0) == 2.0

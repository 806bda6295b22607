"""What an agent's author may declare, and how a slip is refused."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import Schema, fields

from orchestrator import Agent, PermanentError, RetryLater
from orchestrator.errors import DeclarationError


def print_one(task: Any) -> None: ...


def print_three(task: Any, parameters: Any, more: Any) -> None: ...


class Parameters(Schema):
    account = fields.String(required=True, metadata={"description": "whose"})
    days = fields.Integer(load_default=7)


def handler(task: Any, parameters: dict[str, Any]) -> Any:
    return parameters


def test_a_declaration_keeps_its_options_and_defaults() -> None:
    agent = Agent("cost", version="1.0")
    assert agent.task("one")(handler) is handler
    agent.task(
        "two", schema=Parameters, timeout_seconds=60, max_retries=0, retry_delay_seconds=1, exclusive=True
    )(handler)

    plain, full = agent.task_types["one"].describe(), agent.task_types["two"].describe()

    defaults = {"timeout_seconds": 30, "max_retries": 3, "retry_delay_seconds": 5.0}
    assert plain == {"task_type": "one", "parameters_schema": None, "defaults": defaults, "exclusive": False}
    assert full["defaults"] == {"timeout_seconds": 60, "max_retries": 0, "retry_delay_seconds": 1.0}
    assert full["exclusive"]
    assert full["parameters_schema"]["required"] == ["account"]
    assert full["parameters_schema"]["properties"]["account"] == {"type": "string", "description": "whose"}
    assert full["parameters_schema"]["$schema"].endswith("2020-12/schema")


def test_a_mistyped_option_is_refused_with_the_near_name() -> None:
    with pytest.raises(
        DeclarationError, match=r"unknown option 'timeout_second' .*did you mean 'timeout_seconds'"
    ):
        Agent("cost").task("one", timeout_second=1)
    with pytest.raises(DeclarationError, match=r"options are schema, timeout_seconds"):
        Agent("cost").task("one", xyz=1)


def test_a_task_type_is_declared_once() -> None:
    agent = Agent("cost")
    agent.task("one")(handler)

    with pytest.raises(DeclarationError, match="'one' is declared twice in agent 'cost'"):
        agent.task("one")(handler)


@pytest.mark.parametrize("name", ["", "Cost", "a b", "x" * 129, None, "ä", "a\n"])
def test_names_are_plain(name: Any) -> None:
    with pytest.raises(DeclarationError, match="must be 1 to 128 characters"):
        Agent(name)
    with pytest.raises(DeclarationError, match="must be 1 to 128 characters"):
        Agent("cost").task(name)


@pytest.mark.parametrize("version", ["", "x" * 65, 1, None])
def test_a_version_is_a_short_text(version: Any) -> None:
    with pytest.raises(DeclarationError, match="version must be a text"):
        Agent("cost", version=version)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout_seconds": 0},
        {"timeout_seconds": 86_401},
        {"timeout_seconds": 1.5},
        {"timeout_seconds": True},
        {"max_retries": -1},
        {"max_retries": 101},
        {"retry_delay_seconds": -0.1},
        {"retry_delay_seconds": float("nan")},
        {"exclusive": "yes"},
        {"schema": dict},
        {"schema": {"type": "object"}},
        {"retry_on": "ValueError"},
        {"give_up_on": (ValueError, 5)},
    ],
)
def test_a_bad_value_is_refused_where_it_stands(options: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=f"^.*{next(iter(options))}.*$"):
        Agent("cost").task("one", **options)(handler)


@pytest.mark.parametrize("wrong", [lambda: 1, print_one, print_three, 5, "handler"])
def test_a_handler_takes_task_and_parameters(wrong: Any) -> None:
    with pytest.raises(DeclarationError, match="the handler of task type 'one'"):
        Agent("cost").task("one")(wrong)


def test_a_handler_runs_without_a_server() -> None:
    agent = Agent("cost")

    @agent.task("one", schema=Parameters, timeout_seconds=9)
    def one(task: Any, parameters: dict[str, Any]) -> Any:
        task.progress(0.5, "half")
        task.log("a line")
        return parameters, task.attempt, task.metadata, (task.deadline.tzinfo is not None)

    assert agent.run("one", {"account": "7"}, metadata={"m": 1}) == (
        {"account": "7", "days": 7},
        1,
        {"m": 1},
        True,
    )
    with pytest.raises(PermanentError, match="account"):
        agent.run("one")
    with pytest.raises(DeclarationError, match="has no task type 'ome'; near: one"):
        agent.run("ome")


def test_give_up_on_wins_over_retry_on() -> None:
    agent = Agent("cost")
    agent.task("one", retry_on=LookupError, give_up_on=[KeyError])(handler)
    declared = agent.find("one")

    assert [declared.is_retryable(error) for error in (IndexError(), KeyError(), ValueError())] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf")])
def test_progress_is_a_fraction(fraction: float) -> None:
    agent = Agent("cost")
    agent.task("one")(lambda task, _: task.progress(fraction))

    with pytest.raises(ValueError, match="0 to 1"):
        agent.run("one")


@pytest.mark.parametrize("seconds", [-1, 86_401, float("nan")])
def test_retry_later_takes_a_day_at_most(seconds: float) -> None:
    with pytest.raises(ValueError, match="0 to 86400"):
        RetryLater(seconds)

"""What an agent's author declares: task types with their handlers, schemas and defaults."""

from __future__ import annotations

import difflib
import inspect
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import marshmallow

from orchestrator.context import TaskContext
from orchestrator.errors import DeclarationError
from orchestrator.parameters import load_parameters, to_json_schema
from orchestrator.tasks.submission import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_RETRY_DELAY_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    NAME_PATTERN,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Any, dict[str, Any]], Any]

MAX_TIMEOUT_SECONDS = 86_400
MAX_RETRIES = 100
MAX_RETRY_DELAY_SECONDS = 3600.0
MAX_VERSION_CHARACTERS = 64
_OPTIONS = (
    "schema",
    "timeout_seconds",
    "max_retries",
    "retry_delay_seconds",
    "retry_on",
    "give_up_on",
    "exclusive",
)


@dataclass(frozen=True, slots=True)
class TaskType:
    """One declared capability: its handler, and what holds where a submission is silent."""

    name: str
    handler: Handler
    schema: marshmallow.Schema | None
    timeout_seconds: int
    max_retries: int
    retry_delay_seconds: float
    retry_on: tuple[type[BaseException], ...]
    give_up_on: tuple[type[BaseException], ...]
    exclusive: bool

    def is_retryable(self, error: BaseException) -> bool:
        """Whether the declaration lets this exception be retried: `give_up_on` wins over `retry_on`."""
        return not isinstance(error, self.give_up_on) and isinstance(error, self.retry_on)

    def describe(self) -> dict[str, Any]:
        """Return the capability as the registry and the catalogue keep it."""
        return {
            "task_type": self.name,
            "parameters_schema": to_json_schema(self.schema) if self.schema else None,
            "defaults": {
                "timeout_seconds": self.timeout_seconds,
                "max_retries": self.max_retries,
                "retry_delay_seconds": self.retry_delay_seconds,
            },
            "exclusive": self.exclusive,
        }


@dataclass(eq=False)
class Agent:
    """An agent type's handlers.

        agent = Agent("cost", version="1.0.0")

        @agent.task("analyze_cost", schema=AnalyzeCost, timeout_seconds=30, max_retries=3)
        def analyze_cost(task, parameters): ...

    A wrong declaration raises DeclarationError where it stands, with the near names.
    """

    agent_type: str
    version: str = "0"
    metadata: dict[str, Any] = field(default_factory=dict)
    task_types: dict[str, TaskType] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        _require_name("agent type", self.agent_type)
        _require_version(self.version)

    def task(self, name: str, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a task type.

        Options: `schema` (a marshmallow Schema class or instance), `timeout_seconds` (soft limit, 1 to
        86,400, default 30), `max_retries` (0 to 100, default 3), `retry_delay_seconds` (0 to 3,600, default
        5; doubles with each retry), `retry_on` and `give_up_on` (exception classes), `exclusive` (never
        overlaps itself: a run stops when its agent loses touch with Redis).
        """
        _require_name("task type", name)
        if name in self.task_types:
            raise DeclarationError(f"task type {name!r} is declared twice in agent {self.agent_type!r}")
        for option in options:
            if option not in _OPTIONS:
                raise DeclarationError(f"unknown option {option!r} of task type {name!r}{_near(option)}")

        def declare(handler: Handler) -> Handler:
            _require_handler(name, handler)
            self.task_types[name] = _task_type(name, handler, **options)
            return handler

        return declare

    def run(
        self,
        task_type: str,
        parameters: dict[str, Any] | None = None,
        *,
        metadata: dict[str, Any] | None = None,
    ) -> Any:
        """Run a handler here and now, without a server: what a test of an agent calls.

        Parameters pass the schema first. Raises what the handler raises, PermanentError for bad parameters,
        and DeclarationError for a task type that is not declared.
        """
        declared = self.find(task_type)
        return declared.handler(
            TaskContext.offline(declared.timeout_seconds, metadata or {}),
            load_parameters(declared.schema, parameters or {}),
        )

    def find(self, task_type: str) -> TaskType:
        """Return a declared task type, or raise DeclarationError with the near names."""
        if task_type not in self.task_types:
            near = difflib.get_close_matches(task_type, self.task_types)
            known = ", ".join(near or sorted(self.task_types)) or "none"
            raise DeclarationError(f"agent {self.agent_type!r} has no task type {task_type!r}; near: {known}")
        return self.task_types[task_type]

    @cached_property
    def celery(self) -> Any:
        """The Celery application of this agent, built at first use from the environment."""
        from orchestrator.worker.app import build_from_environment  # noqa: PLC0415 - Celery loads only for a worker

        return build_from_environment(self)


def _task_type(
    name: str,
    handler: Handler,
    *,
    schema: Any = None,
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS,
    max_retries: int = DEFAULT_MAX_RETRIES,
    retry_delay_seconds: float = DEFAULT_RETRY_DELAY_SECONDS,
    retry_on: Any = Exception,
    give_up_on: Any = (),
    exclusive: bool = False,
) -> TaskType:
    delay = "retry_delay_seconds"
    _require_number(name, "timeout_seconds", timeout_seconds, int, low=1, high=MAX_TIMEOUT_SECONDS)
    _require_number(name, "max_retries", max_retries, int, low=0, high=MAX_RETRIES)
    _require_number(name, delay, retry_delay_seconds, (int, float), low=0, high=MAX_RETRY_DELAY_SECONDS)
    if not isinstance(exclusive, bool):
        raise DeclarationError(f"exclusive of task type {name!r} must be True or False, not {exclusive!r}")
    return TaskType(
        name=name,
        handler=handler,
        schema=_schema(name, schema),
        timeout_seconds=timeout_seconds,
        max_retries=max_retries,
        retry_delay_seconds=float(retry_delay_seconds),
        retry_on=_exceptions(name, "retry_on", retry_on),
        give_up_on=_exceptions(name, "give_up_on", give_up_on),
        exclusive=exclusive,
    )


def _schema(name: str, schema: Any) -> marshmallow.Schema | None:
    if schema is None or isinstance(schema, marshmallow.Schema):
        return schema
    if inspect.isclass(schema) and issubclass(schema, marshmallow.Schema):
        return schema()
    raise DeclarationError(f"schema of task type {name!r} must be a marshmallow Schema, not {schema!r}")


def _exceptions(name: str, option: str, given: Any) -> tuple[type[BaseException], ...]:
    classes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    for item in classes:
        if not (inspect.isclass(item) and issubclass(item, BaseException)):
            raise DeclarationError(f"{option} of task type {name!r} takes exception classes, not {item!r}")
    return classes


def _require_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
        raise DeclarationError(f"{what} {name!r} must be 1 to 128 characters of a-z, 0-9, '_', '.', '-'")


def _require_version(version: Any) -> None:
    if not isinstance(version, str) or not 0 < len(version) <= MAX_VERSION_CHARACTERS:
        raise DeclarationError(f"version must be a text of 1 to {MAX_VERSION_CHARACTERS} characters")


def _require_number(name: str, option: str, value: Any, kind: Any, *, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        raise DeclarationError(f"{option} of task type {name!r} must be {low} to {high}, not {value!r}")


def _require_handler(name: str, handler: Any) -> None:
    if not callable(handler):
        raise DeclarationError(f"the handler of task type {name!r} must be a function of (task, parameters)")
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError as error:
        raise DeclarationError(
            f"the handler of task type {name!r} must take (task, parameters): {error}"
        ) from error


def _near(option: str) -> str:
    near = difflib.get_close_matches(option, _OPTIONS)
    return f"; did you mean {near[0]!r}?" if near else f"; options are {', '.join(_OPTIONS)}"

"""What a run came to, as the event that reports it."""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.context import clip
from orchestrator.errors import PermanentError, RetryLater
from orchestrator.parameters import ParametersError

if TYPE_CHECKING:
    from orchestrator.agent import TaskType

MAX_ERROR_BYTES = 8192
MAX_TRACEBACK_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event type with its payload; `error` is what Celery is shown."""

    kind: str
    payload: dict[str, Any]
    error: Exception | None = None

    @property
    def retryable(self) -> bool:
        """Whether another run may end better."""
        return bool(self.payload.get("retryable"))


def completed(value: object, *, limit_bytes: int) -> Outcome:
    """Return the outcome of a handler that returned; a value that cannot be kept is a failure, with why."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return _refused(
            "result_not_json", f"the handler returned what is not JSON: {_describe(value, error)}"
        )
    if len(text) > limit_bytes:
        return _refused(
            "result_too_large",
            f"the result has {len(text):,} bytes of JSON, the limit is {limit_bytes:,}"
            " (ORCHESTRATOR_RESULT_LIMIT)",
        )
    return Outcome("completed", {"result": value})


def failed(error: Exception, declared: TaskType | None) -> Outcome:
    """Return the outcome of a handler that raised."""
    retryable, code = _classify(error, declared)
    return Outcome(
        "failed",
        {
            "error": clip(_text(error), MAX_ERROR_BYTES),
            "error_type": type(error).__qualname__,
            "traceback": clip("".join(traceback.format_exception(error)), MAX_TRACEBACK_BYTES),
            "code": code,
            "retryable": retryable,
            "retry_after": error.seconds if isinstance(error, RetryLater) else None,
        },
        error,
    )


def timed_out(limit_seconds: float | None, *, hard: bool) -> Outcome:
    """Return the outcome of a run that reached its soft limit, or was killed at its hard one."""
    text = "the hard time limit was reached and the run was killed"
    return Outcome(
        "timeout",
        {
            "error": text if hard else f"the time limit of {limit_seconds:g} s was reached",
            "error_type": "TimeLimitExceeded" if hard else "SoftTimeLimitExceeded",
            "code": "hard_time_limit" if hard else "soft_time_limit",
            "retryable": True,
            "retry_after": None,
        },
    )


def lost(reason: str) -> Outcome:
    """Return the outcome of a run whose process is gone: `child_died`, `stopped` or `abandoned`."""
    texts = {
        "child_died": "the process that ran the task died",
        "stopped": "the process that ran the task was told to end",
        "abandoned": "the agent lost touch with Redis and stopped this exclusive run",
    }
    return Outcome("lost", {"error": texts[reason], "reason": reason})


def unreadable(code: str, error: str) -> Outcome:
    """Return the permanent failure of a message that no handler can be given."""
    return Outcome(
        "failed",
        {
            "error": clip(error, MAX_ERROR_BYTES),
            "error_type": "MessageError",
            "code": code,
            "retryable": False,
        },
    )


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception as unspeakable:  # noqa: BLE001 - a strange exception's own code
        return f"{type(error).__name__} (its text cannot be had: {type(unspeakable).__name__})"


def _refused(code: str, text: str) -> Outcome:
    error = PermanentError(text)
    payload = {
        "error": clip(text, MAX_ERROR_BYTES),
        "error_type": "ResultError",
        "code": code,
        "retryable": False,
    }
    return Outcome("failed", payload, error)


def _describe(value: object, error: BaseException) -> str:
    return f"{type(value).__qualname__} ({clip(_text(error), 500)})"


def _classify(error: BaseException, declared: TaskType | None) -> tuple[bool, str]:
    if isinstance(error, ParametersError):
        return False, "invalid_parameters"
    if isinstance(error, PermanentError):
        return False, "permanent"
    if isinstance(error, RetryLater):
        return True, "retry_later"
    retryable = declared.is_retryable(error) if declared else True
    return retryable, "handler_error"

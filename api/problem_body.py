"""The one shape of every error (RFC 9457); knows no Flask, because a connection's errors have none."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:orchestrator:problem:"
MAX_TEXT_CHARACTERS = 2000
MAX_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it is answered; `errors` are reasons by field."""

    status: int
    code: str
    detail: str
    errors: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def problem_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return the members of the answer, each of a bounded length."""
    detail = _bounded(problem.detail)
    errors = dict(list(problem.errors.items())[:MAX_FIELDS])
    reasons = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in errors.items())
    return {
        "type": TYPE_PREFIX + problem.code,
        "title": HTTPStatus(problem.status).phrase,
        "status": int(problem.status),
        "detail": detail,
        "code": problem.code,
        "errors": errors,
        "request_id": request_id,
        "error": _bounded(" ".join(f"{detail}: {reasons}".split()) if reasons else " ".join(detail.split())),
    }


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARACTERS else text[:MAX_TEXT_CHARACTERS] + "…"

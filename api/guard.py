"""At the door of every request: its id, its time, its key. Nothing of the body is read here."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import g, request

from api.problems import ForbiddenError, UnauthorizedError
from orchestrator.intake.access import Scope, allows
from orchestrator.intake.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from werkzeug.wrappers import Response

    from orchestrator.intake.access import KeyRing

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_SCOPE_ATTRIBUTE = "required_scope"
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how long the answer may take."""

    tenant: str
    request_id: str
    budget: Budget


def require(view: Callable[..., object], scope: Scope | None) -> None:
    """Declare the scope that a view asks for; None opens it to everybody.

    A view without one asks for admin.
    """
    setattr(view, _SCOPE_ATTRIBUTE, scope)


def caller() -> Caller:
    """Return who asks; only behind a route that asks for a key."""
    return Caller(cast("str", g.api_key.tenant), cast("str", g.request_id), cast("Budget", g.budget))


def install(app: Flask, keys: KeyRing, *, request_seconds: float) -> None:
    """Guard every route of the application."""

    def begin() -> None:
        g.request_id = _request_id()
        g.budget = Budget.of(request_seconds)
        if request.endpoint is None:
            return  # no such path or method: answered as that
        scope = getattr(app.view_functions[request.endpoint], _SCOPE_ATTRIBUTE, Scope.ADMIN)
        if scope is not None:
            _admit(keys, scope)

    def finish(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.get("request_id", "")
        return response

    app.before_request(begin)
    app.after_request(finish)


def _admit(keys: KeyRing, scope: Scope) -> None:
    key = _presented_key()
    found = keys.find(key)
    if found is None:
        raise UnauthorizedError("this key is not valid", code="invalid_key")
    if not allows(found, scope):
        raise ForbiddenError(f"this key has not the scope {scope}", code="missing_scope")
    g.api_key = found


def _presented_key() -> str:
    named = request.headers.get("X-API-Key", "").strip()
    authorization = request.headers.get("Authorization", "").strip()
    bearer = authorization[len(_BEARER) :].strip() if authorization[: len(_BEARER)].lower() == _BEARER else ""
    if named and bearer and named != bearer:
        raise UnauthorizedError("two different keys were sent", code="invalid_key")
    if not (bearer or named):
        raise UnauthorizedError(
            "send a key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'", code="missing_key"
        )
    return bearer or named


def _request_id() -> str:
    sent = request.headers.get(REQUEST_ID_HEADER, "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex

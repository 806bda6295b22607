"""The one place that touches flask-smorest, which is untyped: routes declared in one typed call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask_smorest import Api, Blueprint

from api.guard import require
from api.problem_body import MEDIA_TYPE
from api.problems import ProblemSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flask import Flask
    from marshmallow import Schema

    from api.bodies import RequestParser
    from orchestrator.intake.access import Scope

View = TypeVar("View", bound="Callable[..., object]")

OPENAPI_VERSION = "3.1.0"
_SECURITY: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_COMMON_PROBLEMS = (401, 403, 503)


class Routes:
    """A group of routes.

    Views are functions: of the query, the body (where declared), then the path's parts by name.
    """

    def __init__(self, name: str, description: str, parser: RequestParser) -> None:
        self._blueprint: Any = Blueprint(name, __name__, description=description)
        self._blueprint.ARGUMENTS_PARSER = parser

    def add(
        self,
        method: str,
        *paths: str,
        scope: Scope | None,
        answer: Schema,
        status: int = 200,
        query: Schema | None = None,
        body: Schema | None = None,
        also: Mapping[int, Schema] | None = None,
        problems: Sequence[int] = (),
    ) -> Callable[[View], View]:
        """Answer `method` on each of `paths` with the decorated view.

        `answer` is both what is documented and what is dumped; `also` are other successes. `scope` None opens
        the route to everybody.
        """

        def declare(view: View) -> View:
            wrapped: Any = self._answering(view, {status: answer}, also or {})
            wrapped = self._documented(wrapped, scope, problems)
            if body is not None:
                wrapped = self._blueprint.arguments(body)(wrapped)
            if query is not None:
                wrapped = self._blueprint.arguments(query, location="query")(wrapped)
            require(wrapped, scope)
            for index, path in enumerate(paths):
                name = view.__name__ if index == 0 else f"{view.__name__}_{index}"
                self._blueprint.route(path, methods=[method], endpoint=name)(wrapped)
            return view

        return declare

    def _answering(
        self, view: Callable[..., object], usual: Mapping[int, Schema], also: Mapping[int, Schema]
    ) -> Any:
        wrapped: Any = view
        for status, schema in usual.items():
            wrapped = self._blueprint.response(status, schema)(wrapped)
        for status, schema in also.items():
            wrapped = self._blueprint.alt_response(status, schema=schema, success=True)(wrapped)
        return wrapped

    def _documented(self, view: Any, scope: Scope | None, problems: Sequence[int]) -> Any:
        wrapped = view
        for code in sorted({*problems, *(() if scope is None else _COMMON_PROBLEMS)}):
            wrapped = self._blueprint.alt_response(code, schema=ProblemSchema, content_type=MEDIA_TYPE)(
                wrapped
            )
        security: list[dict[str, list[str]]] = [] if scope is None else [{name: []} for name in _SECURITY]
        scope_note = "Open without a key." if scope is None else f"Scope: `{scope}`."
        return self._blueprint.doc(security=security, description=scope_note)(wrapped)

    def register(self, api: Any) -> None:
        """Put the routes into the application and its document."""
        api.register_blueprint(self._blueprint)


class _OwnErrors(Api):  # type: ignore[misc] # flask-smorest is untyped
    """flask-smorest without its error handler: problems.py answers."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        pass


def document(app: Flask, groups: Sequence[Routes], *, title: str, version: str) -> dict[str, Any]:
    """Register the groups in the application; return the OpenAPI document of all of them."""
    app.config.update(API_TITLE=title, API_VERSION=version, OPENAPI_VERSION=OPENAPI_VERSION)
    api: Any = _OwnErrors(app)
    for name, scheme in _SECURITY.items():
        api.spec.components.security_scheme(name, scheme)
    for group in groups:
        group.register(api)
    document_: dict[str, Any] = api.spec.to_dict()
    return document_

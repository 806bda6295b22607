"""Reads a request's body: its type, its size, its time, its JSON."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from api.problems import MediaTypeError
from orchestrator.errors import RejectedError
from orchestrator.intake.json_text import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from flask import Request
    from marshmallow import Schema, ValidationError

BODY_SECONDS = 10.0
KEPT_AS_TEXT = frozenset({"parameters"})
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class RequestParser(FlaskParser):
    """webargs with our JSON, our errors, and no unknown names in a query.

    `deadline(seconds)` bounds the reading of a body by raising BodyTimeoutError inside its block; a server
    whose sockets have timeouts of their own needs none.
    """

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": "raise"}  # noqa: RUF012

    def __init__(self, deadline: Callable[[float], AbstractContextManager[object]] = nullcontext) -> None:
        super().__init__()
        self.deadline = deadline

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - webargs hands it in
        """Return the members of the body."""
        _require_json(req)
        with self.deadline(BODY_SECONDS):
            body = req.get_data(cache=False)
        limit = req.max_content_length
        if req.content_length is None and limit is not None and len(body) >= limit:
            raise RequestEntityTooLarge  # Werkzeug cuts a body of unannounced length without a word
        return parse_object(body, keep=KEPT_AS_TEXT)

    def handle_error(
        self,
        error: ValidationError,
        req: Request,  # noqa: ARG002
        schema: Schema,  # noqa: ARG002
        *,
        error_status_code: int | None,  # noqa: ARG002
        error_headers: Mapping[str, str] | None,  # noqa: ARG002
    ) -> NoReturn:
        """Name every bad field."""
        problems: dict[str, list[str]] = {}
        for by_field in error.messages_dict.values():
            flatten(by_field, "", problems)
        raise RejectedError("the request is invalid", fields=problems) from error


def flatten(messages: Any, path: str, into: dict[str, list[str]]) -> None:
    """Collect marshmallow's nested messages under dotted names."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            own = "" if name == "_schema" else str(name)[:200]
            flatten(inner, f"{path}.{own}".strip("."), into)
    else:
        reasons = messages if isinstance(messages, list) else [messages]
        into.setdefault(path or "body", []).extend(str(reason) for reason in reasons)


def _require_json(req: Request) -> None:
    if req.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaTypeError("a compressed body is not read", code="unsupported_media_type")
    if not (req.mimetype == "application/json" or req.mimetype.endswith("+json")):
        shown = req.mimetype[:100] or "none"
        raise MediaTypeError(f"send application/json, not {shown}", code="unsupported_media_type")
    if req.mimetype_params.get("charset", "utf-8").lower() not in _UTF_8:
        raise MediaTypeError("send JSON in UTF-8", code="unsupported_media_type")

"""Every error leaves as application/problem+json (RFC 9457), of one shape."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from flask import current_app, g
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException

from api.problem_body import MEDIA_TYPE, Problem, problem_body
from orchestrator.errors import (
    BrokerUnavailableError,
    CommitUnknownError,
    ConflictError,
    LedgerDataError,
    NotFoundError,
    OverloadedError,
    RejectedError,
    SchemaMismatchError,
    UnavailableError,
)
from orchestrator.intake.json_text import NotJsonError

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 2


class ProblemSchema(Schema):
    """What every error looks like."""

    type = fields.String(required=True, metadata={"description": "stable URI of the kind of problem"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "what is wrong with this request"})
    code = fields.String(required=True, metadata={"description": "stable name of the kind of problem"})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata={"description": "reasons by field; empty where no field is at fault"},
    )
    request_id = fields.String(required=True)
    error = fields.String(required=True, metadata={"description": "the same in one line, for older clients"})


class UnauthorizedError(RejectedError):
    """No key, or one that is not valid."""


class ForbiddenError(RejectedError):
    """The key does not allow this."""


class BodyTimeoutError(RejectedError):
    """The body did not arrive in time."""


class MediaTypeError(RejectedError):
    """The body is of a media type or encoding that is not read."""


_REJECTED: tuple[tuple[type[RejectedError], HTTPStatus], ...] = (
    (NotJsonError, HTTPStatus.BAD_REQUEST),
    (UnauthorizedError, HTTPStatus.UNAUTHORIZED),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (BodyTimeoutError, HTTPStatus.REQUEST_TIMEOUT),
    (ConflictError, HTTPStatus.CONFLICT),
    (MediaTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (RejectedError, HTTPStatus.UNPROCESSABLE_ENTITY),
)
_UNAVAILABLE: tuple[tuple[type[UnavailableError], str], ...] = (
    (CommitUnknownError, "commit_unknown"),
    (BrokerUnavailableError, "broker_unavailable"),
    (OverloadedError, "overloaded"),
    (UnavailableError, "ledger_unavailable"),
)
_HTTP_CODES = {
    400: "bad_request",
    404: "no_such_route",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_HTTP_DETAILS = {
    404: "there is nothing at this path",
    405: "this path does not answer this method",
    413: "the body is larger than this server takes",
}


def problem_of(error: BaseException) -> Problem:
    """Return the problem that an error is answered with; one that is not ours to expect is a 500."""
    match error:
        case RejectedError():
            status = next(status for kind, status in _REJECTED if isinstance(error, kind))
            headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
            return Problem(status, error.code, str(error), error.fields, headers)
        case UnavailableError():
            code = next(code for kind, code in _UNAVAILABLE if isinstance(error, kind))
            return Problem(503, code, str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        case SchemaMismatchError():
            return Problem(
                503, "schema_mismatch", str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
            )
        case LedgerDataError():
            return Problem(422, "not_storable", f"the ledger cannot hold this: {error}")
        case HTTPException():
            return _of_http(error)
        case _:
            return Problem(
                500, "internal_error", "an unexpected error; it is in the log under this request id"
            )


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    kept = {"Allow", "Retry-After"}
    headers = {name: value for name, value in error.get_headers() if name in kept}
    detail = _HTTP_DETAILS.get(status) or error.description or error.name
    code = _HTTP_CODES.get(status) or re.sub("[^a-z]+", "_", error.name.lower())
    return Problem(status, code, detail, headers=headers)


def answer(problem: Problem) -> Response:
    """Return the response of a problem."""
    body = problem_body(problem, g.get("request_id", ""))
    response = current_app.response_class(
        current_app.json.dumps(body), status=problem.status, mimetype=MEDIA_TYPE
    )
    response.headers.extend(problem.headers)
    return response


def handle(error: Exception) -> Response:
    """Answer any error of a request; log the ones that are our own fault."""
    if isinstance(error, HTTPException) and error.code is not None and error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()  # a redirect is no problem
    problem = problem_of(error)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", request_id=g.get("request_id", ""), exc_info=error)
    return answer(problem)


def install(app: Flask) -> None:
    """Answer every error of the application as a problem."""
    app.register_error_handler(Exception, handle)

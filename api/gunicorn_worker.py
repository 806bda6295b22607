"""A gevent worker that answers what is no HTTP like every other error, and logs nothing of what was sent."""

from __future__ import annotations

import json
import uuid
from typing import Any

import structlog
from gunicorn import util
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.ggevent import GeventWorker

from api.problem_body import MEDIA_TYPE, Problem, problem_body

log = structlog.get_logger()

_TOO_LONG = Problem(414, "uri_too_long", "the request line is longer than this server takes")
_TOO_LARGE = Problem(431, "headers_too_large", "the headers are larger than this server takes")
_UNREADABLE = Problem(400, "bad_request", "this is no HTTP request that this server reads")
_FAULT = Problem(500, "internal_error", "an unexpected error; it is in the log under this request id")


class ProblemWorker(GeventWorker):  # type: ignore[misc] # gunicorn is untyped
    """What goes wrong before or beside the application is answered as application/problem+json."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Answer and close."""
        request_id = uuid.uuid4().hex
        problem = problem_of_connection(exc)
        if problem is _FAULT:
            log.error("connection_failed", request_id=request_id, exc_info=exc)
        else:
            log.info("request_unreadable", request_id=request_id, kind=type(exc).__name__)
        try:
            util.write_nonblock(client, as_http(problem, request_id))
        except OSError:
            log.debug("answer_not_sent", request_id=request_id)


def problem_of_connection(error: BaseException) -> Problem:
    """Return what a connection's failure is answered with."""
    match error:
        case LimitRequestLine():
            return _TOO_LONG
        case LimitRequestHeaders():
            return _TOO_LARGE
        case ParseException():
            return _UNREADABLE
        case _:
            return _FAULT


def as_http(problem: Problem, request_id: str) -> bytes:
    """Return the whole answer, as it goes over the wire."""
    body = problem_body(problem, request_id)
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {problem.status} {body['title']}\r\n"
        "Connection: close\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\n"
        f"X-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode("ascii") + content

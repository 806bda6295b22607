"""Cursor, JSON out, problems, and what a connection's failures are answered with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine, ParseException
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import default_exceptions

from api.cursor import read_cursor, write_cursor
from api.fields import is_clean, timestamp
from api.gunicorn_worker import as_http, problem_of_connection
from api.json_provider import TextJsonProvider
from api.problem_body import MAX_FIELDS, MAX_TEXT_CHARACTERS, Problem, problem_body
from api.problems import problem_of
from orchestrator import errors
from orchestrator.intake.json_text import JsonText

if TYPE_CHECKING:
    import uuid

    from werkzeug.exceptions import HTTPException


@given(st.uuids())
def test_cursor_comes_back(task_id: uuid.UUID) -> None:
    assert read_cursor(write_cursor(task_id)) == task_id


@given(st.text(max_size=30) | st.text(alphabet="AZaz09-_=", min_size=20, max_size=24))
def test_what_is_no_cursor_is_refused_by_name(text: str) -> None:
    try:
        found = read_cursor(text)
    except errors.RejectedError as error:
        assert set(error.fields) == {"cursor"}  # noqa: PT017 - either way is right
    else:
        assert write_cursor(found) == text


@given(st.lists(st.recursive(st.text() | st.integers() | st.none(), st.lists)))
def test_stored_text_goes_out_as_it_is(values: list[object]) -> None:
    provider = TextJsonProvider(Flask("test"))
    texts = [json.dumps(value, indent=1) for value in values]

    written = provider.dumps({"a": "x", "stored": [JsonText(text, None) for text in texts]})

    assert written == '{"a":"x","stored":[' + ",".join(texts) + "]}"


def test_stored_text_cannot_forge_a_place() -> None:
    provider = TextJsonProvider(Flask("test"))
    forged = json.dumps([f"{provider._nonce}:0", f"{provider._nonce}:1"])

    assert provider.dumps([JsonText(forged, None), JsonText("1", None)]) == f"[{forged},1]"


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"])
def test_what_is_no_json_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        TextJsonProvider(Flask("test")).dumps(value)


def test_time_is_utc_with_z() -> None:
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))

    assert timestamp(moment) == "2026-01-01T00:00:00.000000Z"
    assert timestamp(datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)) == "2026-01-01T00:00:00.000005Z"


@pytest.mark.parametrize(("text", "clean"), [("ä😀", True), ("", True), ("a\0", False), ("\ud800", False)])
def test_clean_text(text: str, clean: bool) -> None:
    assert is_clean(text) is clean


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.RejectedError("x"), 422, "invalid"),
        (errors.NotFoundError("x", code="not_found"), 404, "not_found"),
        (errors.ConflictError("x", code="task_ended"), 409, "task_ended"),
        (errors.LedgerUnavailableError("x"), 503, "ledger_unavailable"),
        (errors.LedgerConflictError("x"), 503, "ledger_unavailable"),
        (errors.CommitUnknownError("x"), 503, "commit_unknown"),
        (errors.BrokerUnavailableError("x"), 503, "broker_unavailable"),
        (errors.OverloadedError("x"), 503, "overloaded"),
        (errors.SchemaMismatchError("x"), 503, "schema_mismatch"),
        (errors.LedgerDataError("x"), 422, "not_storable"),
        (RuntimeError("secret"), 500, "internal_error"),
    ],
)
def test_every_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.code) == (status, code)
    assert ("Retry-After" in problem.headers) is (status == 503)
    assert "secret" not in problem.detail


@pytest.mark.parametrize("kind", default_exceptions.values())
def test_every_http_error_is_a_problem(kind: type[HTTPException]) -> None:
    problem = problem_of(kind())
    body = problem_body(problem, "id")

    assert body["status"] == kind.code
    assert body["code"].isascii()
    assert body["title"]


def test_problem_is_bounded_and_its_error_is_one_line() -> None:
    fields = {f"f{n}": ["a\nb" * 100] for n in range(1000)}

    body = problem_body(Problem(422, "invalid", "x\ny" * 10_000, fields), "id")

    assert len(body["errors"]) == MAX_FIELDS
    assert len(body["detail"]) <= MAX_TEXT_CHARACTERS + 1
    assert len(body["error"]) <= MAX_TEXT_CHARACTERS + 1
    assert "\n" not in body["error"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LimitRequestLine(5000, 4094), 414),
        (LimitRequestHeaders("too many"), 431),
        (InvalidHeader("Authorization: Bearer secret"), 400),
        (ParseException("x"), 400),
        (RuntimeError("secret"), 500),
    ],
)
def test_connections_failure_is_a_problem_that_repeats_nothing(error: Exception, status: int) -> None:
    answer = as_http(problem_of_connection(error), "id-1").decode()

    head, content = answer.split("\r\n\r\n", 1)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert f"Content-Length: {len(content)}" in head
    assert json.loads(content)["request_id"] == "id-1"
    assert "secret" not in answer

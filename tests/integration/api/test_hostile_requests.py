"""Requests that no client of ours sends: each a clear 4xx of one shape, none a 500."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api_process import ANYTHING

if TYPE_CHECKING:
    import httpx

    from tests.support.api_process import ApiProcess

MEMBERS = {"type", "title", "status", "detail", "code", "errors", "request_id", "error"}
JSON = {"Content-Type": "application/json"}


def require_problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == MEMBERS
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert "\n" not in problem["error"]
    if code is not None:
        assert problem["code"] == code
    return problem


def body(**changes: object) -> bytes:
    return json.dumps({**ANYTHING, **changes}).encode()


def with_parameters(text: str) -> bytes:
    return json.dumps(ANYTHING)[:-1].encode() + f', "parameters": {text}}}'.encode()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"{'a': 1}", 400, "not_json"),
        (b"\xff\xfe", 400, "not_json"),
        (b'{"a": "\xed\xa0\x80"}', 400, "not_json"),
        (b'{"a": "\x00"}', 400, "not_json"),
        (b'{"a": NaN}', 400, "not_json"),
        (b'{"a": -Infinity}', 400, "not_json"),
        (b"{} {}", 400, "not_json"),
        (b"\xef\xbb\xbf{}", 400, "not_json"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"7", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"a": 1, "a": 2}', 422, "duplicate_key"),
        (with_parameters('{"x": {"y": 1, "y": 2}}'), 422, "duplicate_key"),
        (with_parameters('{"x": 1e999}'), 422, "number_out_of_range"),
        (with_parameters('{"x": ' + "9" * 5000 + "}"), 422, "number_out_of_range"),
        (with_parameters("[" * 101 + "]" * 101), 422, "too_deep"),
        (with_parameters("[" * 100_000), 422, "too_deep"),
        (with_parameters('{"x":' * 5000 + "1" + "}" * 5000), 422, "too_deep"),
        (with_parameters('"' + "x" * (2 * 1024 * 1024) + '"'), 413, "body_too_large"),
    ],
)
def test_hostile_body_is_refused(api: ApiProcess, content: bytes, status: int, code: str) -> None:
    require_problem(api.http.post("/tasks", content=content, headers=JSON), status, code)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"agent_type": ""}, {"agent_type"}),
        ({"agent_type": "Probe"}, {"agent_type"}),
        ({"agent_type": "probe\n"}, {"agent_type"}),
        ({"agent_type": "x" * 129}, {"agent_type"}),
        ({"agent_type": None}, {"agent_type"}),
        ({"agent_type": 7}, {"agent_type"}),
        ({"task_type": "a\x00b"}, {"task_type"}),
        ({"task_type": ["greet"]}, {"task_type"}),
        ({"agent_id": "a\ud800"}, {"agent_id"}),
        ({"agent_id": "a\x00"}, {"agent_id"}),
        ({"agent_id": ""}, {"agent_id"}),
        ({"pin": "require"}, {"pin"}),
        ({"pin": "maybe"}, {"pin"}),
        ({"parameters": []}, {"parameters"}),
        ({"parameters": "{}"}, {"parameters"}),
        ({"priority": 16}, {"priority"}),
        ({"priority": -1}, {"priority"}),
        ({"priority": "5"}, {"priority"}),
        ({"priority": True}, {"priority"}),
        ({"priority": 1.5}, {"priority"}),
        ({"priority": 10**40}, {"priority"}),
        ({"priority": {}}, {"priority"}),
        ({"timeout_seconds": 301}, {"timeout_seconds"}),
        ({"timeout_seconds": -1}, {"timeout_seconds"}),
        ({"timeout_seconds": False}, {"timeout_seconds"}),
        ({"max_retries": 101}, {"max_retries"}),
        ({"max_retries": -1}, {"max_retries"}),
        ({"retry_delay_seconds": -0.1}, {"retry_delay_seconds"}),
        ({"retry_delay_seconds": 10**400}, {"retry_delay_seconds"}),
        ({"retry_delay_seconds": "5"}, {"retry_delay_seconds"}),
        ({"delay_seconds": 10**12}, {"delay_seconds"}),
        ({"run_at": "tomorrow"}, {"run_at"}),
        ({"run_at": "2026-01-01T00:00:00"}, {"run_at"}),
        ({"run_at": "0001-01-01T00:00:00+23:59"}, {"run_at"}),
        ({"run_at": "9999-12-31T23:59:59-23:59"}, {"run_at"}),
        ({"run_at": "9999-01-01T00:00:00Z"}, {"run_at"}),
        ({"run_at": "2026-01-01T00:00:00Z", "delay_seconds": 1}, {"run_at"}),
        ({"expires_seconds": 0}, {"expires_seconds"}),
        ({"metadata": []}, {"metadata"}),
        ({"metadata": {"a": {}}}, {"metadata.a"}),
        ({"metadata": {"a": [1]}}, {"metadata.a"}),
        ({"metadata": {"a": "\x00"}}, {"metadata.a"}),
        ({"metadata": {"a": "\udfff"}}, {"metadata.a"}),
        ({"metadata": {"\x00": 1}}, {"metadata"}),
        ({"metadata": {"": 1}}, {"metadata"}),
        ({"metadata": {str(n): n for n in range(33)}}, {"metadata"}),
        ({"metadata": {"a": 10**30}}, {"metadata.a"}),
        ({"metadata": {"a": "x" * 5000}}, {"metadata.a"}),
        ({"bogus": 1}, {"bogus"}),
        ({"priority": 99, "timeout_seconds": 999, "bogus": 1, "max_retries": "x"},
         {"priority", "timeout_seconds", "bogus", "max_retries"}),
        ({"agent_type": "prob", "priority": 99}, {"agent_type", "priority"}),
        ({"task_type": "greet"}, {"parameters.name"}),
        ({"task_type": "greet", "parameters": {"name": 1, "times": 0}},
         {"parameters.name", "parameters.times"}),
        ({"task_type": "greet", "parameters": {"times": 0}, "priority": -1},
         {"parameters.name", "parameters.times", "priority"}),
    ],
)  # fmt: skip
def test_every_bad_field_is_named(api: ApiProcess, changes: dict[str, Any], fields: set[str]) -> None:
    problem = require_problem(api.http.post("/tasks", content=body(**changes), headers=JSON), 422, "invalid")

    assert set(problem["errors"]) == fields
    assert all(name in problem["error"] for name in fields)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_other_media_types_are_415(api: ApiProcess, headers: dict[str, str]) -> None:
    require_problem(api.http.post("/tasks", content=body(), headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=x", "limit=1e3", "limit=" + "9" * 3000,
        "status=done", "status=", "bogus=1",
        "agent_type=A", "agent_type=%00", "cursor=", "cursor=x", "cursor=" + "A" * 100_0, "cursor=%00",
        "cursor=AAAAAAAAAAAAAAAAAAAAAB", "cursor=%F0%9F%98%80" + "A" * 21, "offset=5",
    ],
)  # fmt: skip
def test_bad_query_is_422(api: ApiProcess, query: str) -> None:
    problem = require_problem(api.http.get(f"/tasks?{query}"), 422)

    assert problem["errors"]


@pytest.mark.parametrize("path", ["/nope", "/tasks/x/y", "/%00", "/tasks/%ff", "/" + "x" * 3000])
def test_unknown_path_is_404(api: ApiProcess, path: str) -> None:
    require_problem(api.http.get(api.url + path), 404)


def test_other_methods_are_405_and_say_which_are_allowed(api: ApiProcess) -> None:
    response = api.http.put("/tasks", content=b"{}")

    require_problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    "task_id", ["x", "7", "0" * 32, "{00000000-0000-0000-0000-000000000000}", "%00", "a" * 900]
)
def test_what_is_no_task_id_is_404(api: ApiProcess, task_id: str) -> None:
    require_problem(api.http.get(f"/tasks/{task_id}"), 404)


@pytest.mark.parametrize("given", ["abc-1", "a" * 128, "A.b_c:d/e+f=g@h"])
def test_request_id_is_echoed(api: ApiProcess, given: str) -> None:
    response = api.http.get("/tasks/x", headers={"X-Request-ID": given})

    assert require_problem(response, 404)["request_id"] == given


@pytest.mark.parametrize("given", ["a" * 129, "a b", "<script>", "a\tb", "\xe4"])
def test_strange_request_id_is_replaced(api: ApiProcess, given: str) -> None:
    response = api.http.get("/health", headers={"X-Request-ID": given.encode("latin-1")})

    assert response.headers["X-Request-ID"] not in {given, ""}


def test_chunked_body_over_the_limit_is_413(api: ApiProcess) -> None:
    def chunks() -> Any:
        for _ in range(40):
            yield b"x" * 65536

    with api.http.stream("POST", "/tasks", content=chunks(), headers=JSON) as response:
        response.read()
        require_problem(response, 413)


def test_body_that_does_not_arrive_is_408(api: ApiProcess) -> None:
    with socket.create_connection(api.address, timeout=20) as connection:
        connection.sendall(
            f"POST /tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        assert b" 408 " in connection.recv(4096).split(b"\r\n", 1)[0]


def test_api_still_works_and_has_seen_no_fault(api: ApiProcess) -> None:
    assert api.submit()["status"] == "queued"
    assert "request_failed" not in api.log


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 9000, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"\r\n".join(b"X-%d: 1" % n for n in range(200)), 431, "headers_too_large"),
        (b"NONSENSE", 400, "bad_request"),
        (b"GET / HTTP/9.9\r\nHost: x", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense", 400, "bad_request"),
    ],
)
def test_what_is_no_http_is_refused_in_the_same_shape(
    api: ApiProcess, head: bytes, status: int, code: str
) -> None:
    with socket.create_connection(api.address, timeout=20) as connection:
        connection.sendall(head + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    headers, content = answer.split(b"\r\n\r\n", 1)
    assert f" {status} ".encode() in headers.split(b"\r\n", 1)[0]
    assert b"application/problem+json" in headers
    problem = json.loads(content)
    assert set(problem) == MEMBERS
    assert (problem["status"], problem["code"]) == (status, code)

"""Keys: who is let in, decided before the body is read, and how long a revoked one works."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from orchestrator.ledger.keys import hash_key, new_key
from tests.support.api_process import ANYTHING, prepare
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger
    from tests.support.api_process import ApiProcess

OPEN = ["/health", "/health/live", "/health/ready", "/openapi.json"]


def test_every_documented_route_but_the_open_ones_asks_for_a_key(api: ApiProcess) -> None:
    paths = api.http.get("/openapi.json").json()["paths"]
    asked = [
        (method, path) for path, methods in paths.items() for method in methods if method != "parameters"
    ]
    with api.client(None) as nobody:
        for method, path in asked:
            filled = path.replace("{task_id}", "x").replace("{agent_id}", "x")
            response = nobody.request(method, filled)
            assert response.status_code == (200 if path in OPEN else 401), (method, path)
            if path not in OPEN:
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert response.json()["code"] == "missing_key"
        for path in OPEN:
            assert nobody.get(path).status_code == 200
    assert len(asked) >= 14


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Bearer {new_key()}"},
        {"Authorization": "Basic dTpw"},
        {"X-API-Key": "\xe4" * 50},
        {"X-API-Key": "x" * 5000},
        {"Authorization": f"Bearer {new_key()}", "X-API-Key": new_key()},
    ],
)
def test_other_keys_are_refused(api: ApiProcess, headers: dict[str, str]) -> None:
    with api.client(None) as stranger:
        response = stranger.get("/tasks", headers={k: v.encode("latin-1") for k, v in headers.items()})

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"


def test_both_ways_of_showing_the_key_work(api: ApiProcess) -> None:
    with api.client(None) as client:
        assert client.get("/tasks", headers={"X-API-Key": api.key}).status_code == 200
        assert client.get("/tasks", headers={"Authorization": f"bearer {api.key}"}).status_code == 200


def test_scope_decides(api: ApiProcess, shared_ledger: Ledger) -> None:
    with api.client(prepare(shared_ledger, scopes=("tasks:read",))) as reader:
        assert reader.get("/tasks").status_code == 200
        response = reader.post("/tasks", json=ANYTHING)

    assert response.status_code == 403
    assert "tasks:submit" in response.json()["detail"]


def test_refusal_comes_before_the_body(api: ApiProcess) -> None:
    with socket.create_connection(api.address, timeout=5) as connection:
        head = b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000"
        connection.sendall(head + b"\r\n\r\n")
        assert b" 401 " in connection.recv(4096).split(b"\r\n", 1)[0]


def test_revoked_key_stops_working_within_seconds(api: ApiProcess, shared_ledger: Ledger) -> None:
    key = prepare(shared_ledger)
    with api.client(key) as client:
        assert client.get("/tasks").status_code == 200
        with shared_ledger.transaction() as connection:
            connection.execute(
                text("UPDATE api_keys SET revoked_at = now() WHERE key_hash = :hash"), {"hash": hash_key(key)}
            )
        wait_for(lambda: client.get("/tasks").status_code == 401, within=7, what="the end of a revoked key")


def test_no_key_is_ever_logged(api: ApiProcess) -> None:
    api.http.get("/tasks?bogus=1")
    api.submit()

    assert api.key not in api.log

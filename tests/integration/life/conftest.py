"""One cluster for all tests of this folder: none of them breaks anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.ledger.migrate import migrate
from tests.support.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer
    from tests.support.redis import RedisServer


@pytest.fixture(scope="module")
def cluster(redis_session: RedisServer, postgres_server: PostgresServer) -> Iterator[Cluster]:
    """API, controller and one worker of two children, on the session's servers."""
    redis_session.client().flushall()
    database = postgres_server.create_database()
    migrate(postgres_server.options(database))
    settings = {"ORCHESTRATOR_HARD_LIMIT_GRACE": "1"}
    built = Cluster(redis_session, postgres_server, database, Path(tempfile.mkdtemp()), settings=settings)
    try:
        built.add_controller()
        built.add_worker("probe-1")
        yield built
    finally:
        built.close()
        postgres_server.drop_database(database)

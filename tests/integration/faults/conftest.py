"""A cluster of its own for each test that breaks things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.ledger.migrate import migrate
from tests.support.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer
    from tests.support.redis import RedisServer


@pytest.fixture
def cluster(
    own_redis_server: RedisServer, own_postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[Cluster]:
    """Redis with its file, PostgreSQL, API, one controller and two workers of two children each."""
    database = own_postgres_server.create_database()
    migrate(own_postgres_server.options(database))
    built = Cluster(own_redis_server, own_postgres_server, database, tmp_path)
    try:
        built.add_controller()
        built.add_worker("probe-1")
        built.add_worker("probe-2")
        yield built
    finally:
        built.close()

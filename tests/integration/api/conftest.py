from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.migrate import migrate
from tests.support.api_process import ApiProcess, prepare
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresServer


@pytest.fixture(scope="package")
def shared_ledger(postgres_server: PostgresServer, ledger_template: str) -> Iterator[Ledger]:
    """The ledger behind `api`."""
    database = postgres_server.create_database(ledger_template)
    ledger = Ledger(postgres_server.options(database), application_name="test")
    yield ledger
    ledger.close()
    postgres_server.drop_database(database)


@pytest.fixture(scope="package")
def api_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis behind `api`, with a blessed epoch."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    server.bless()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def api(
    postgres_server: PostgresServer, api_redis: RedisServer, shared_ledger: Ledger
) -> Iterator[ApiProcess]:
    """An API that tests share, with one admin key and the probe's capabilities."""
    with shared_ledger.transaction() as connection:
        database = str(connection.exec_driver_sql("SELECT current_database()").scalar_one())
    process = ApiProcess(postgres_server.url(database), api_redis.url, prepare(shared_ledger), {})
    yield process
    process.stop()


@pytest.fixture
def own_api(
    own_postgres_server: PostgresServer, own_redis_server: RedisServer
) -> Iterator[tuple[ApiProcess, Ledger]]:
    """An API on servers of its own, to freeze and kill."""
    own_redis_server.bless()
    options = own_postgres_server.options("postgres")
    migrate(options)
    ledger = Ledger(options, application_name="test")
    process = ApiProcess(own_postgres_server.url("postgres"), own_redis_server.url, prepare(ledger), {})
    yield process, ledger
    process.stop()
    ledger.close()

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.worker import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.redis import RedisServer


@pytest.fixture(scope="module")
def shared_stage(redis_session: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    client = redis_session.client()
    client.flushall()
    client.close()
    stage = Stage(redis_session, tmp_path_factory.mktemp("workers"))
    stage.start_worker("probe-1", concurrency=2, ORCHESTRATOR_RESULT_LIMIT="2048")
    yield stage
    stage.close()


@pytest.fixture
def shared(shared_stage: Stage) -> Stage:
    """A stage with one worker of two slots that the tests of a module share."""
    return shared_stage


@pytest.fixture
def stage(redis_server: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    """A stage of the test's own, on the shared server."""
    stage = Stage(redis_server, tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def own_stage(own_redis_server: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    """A stage whose server the test may kill."""
    stage = Stage(own_redis_server, tmp_path)
    yield stage
    stage.close()

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config import healthcheck
from tests.support.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def checked_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(tmp_path_factory.mktemp("checks") / "data", flower=True) as stack:
        yield stack


def test_a_running_controller_is_healthy(checked_stack: LocalStack) -> None:
    healthcheck.check_controller({"DATABASE_URL": checked_stack.connection["database_url"]})


def test_a_running_agent_is_healthy_and_one_that_is_not_there_is_not(checked_stack: LocalStack) -> None:
    environ = {"REDIS_URL": checked_stack.connection["redis_url"]}

    healthcheck.check_agent("cost", environ)
    with pytest.raises(healthcheck.UnhealthyError, match="none is registered"):
        healthcheck.check_agent("no-such-type", environ)


def test_a_running_api_and_flower_are_healthy(checked_stack: LocalStack) -> None:
    healthcheck.check_url(f"{checked_stack.url}/health/ready")
    healthcheck.check_url(f"{checked_stack.connection['flower_url']}/healthcheck")

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.tasks.ids import new_token
from orchestrator.worker.link import AgentLink, Run
from tests.support.worker import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.tasks.state import Publishable
    from tests.support.redis import RedisServer


class Scene(Stage):
    """A stage whose agents are links that the test moves by hand."""

    def link(self, agent_id: str = "probe-1", incarnation: str = "life-1") -> AgentLink:
        link = AgentLink(self.server.options(), agent_id=agent_id, incarnation=incarnation)
        self.links.append(link)
        return link

    @property
    def links(self) -> list[AgentLink]:
        return self.__dict__.setdefault("_links", [])

    def held(self, item: Publishable, link: AgentLink) -> Run:
        """Publish and claim."""
        assert self.broker.publish([item]) == ["QUEUED"]
        return self.claimed(item, link)

    def claimed(self, item: Publishable, link: AgentLink) -> Run:
        run = run_of(item)
        assert link.claim(run, pid=1)[0] == "GRANTED"
        return run

    def key(self, item: Publishable) -> dict[str, str]:
        return dict(self.client.hgetall(f"orch:task:{item.id}"))

    def close(self) -> None:
        for link in self.links:
            link.close()
        super().close()


def run_of(item: Publishable) -> Run:
    return Run(str(item.id), item.delivery, new_token())


@pytest.fixture
def scene(redis_server: RedisServer, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(redis_server, tmp_path)
    yield scene
    scene.close()


@pytest.fixture
def own_scene(own_redis_server: RedisServer, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(own_redis_server, tmp_path)
    yield scene
    scene.close()

"""Whether the parts of a running stack answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from orchestrator.local.data_dir import Connection

PROBE_SECONDS = 1.0
READY = ("healthy", "draining", "paused", "degraded")


class Probes:
    """Asks the parts of a running stack how they are; each answer comes within a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = httpx.Client(
            base_url=connection.url,
            headers={"Authorization": f"Bearer {connection.api_key}"},
            timeout=PROBE_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def api(self) -> bool:
        """Tell whether the API accepts submissions and has a broker to hand them to."""
        answer = self._get("/health/ready")
        return answer is not None and answer.get("status") == "healthy"

    def controller(self) -> bool:
        """Tell whether a controller leads."""
        answer = self._get("/health/system") or {}
        found = answer.get("components", {}).get("controller", {})
        return bool(found.get("status") == "healthy")

    def agent(self, name: str) -> bool:
        """Tell whether the agent of this name has registered."""
        answer = self._get("/agents/list") or {}
        return any(
            agent.get("agent_id") == name and agent.get("status") in READY
            for agent in answer.get("agents", [])
        )

    def flower(self) -> bool:
        """Tell whether Flower answers; True if there is none."""
        if self._connection.flower_url is None:
            return True
        try:
            return httpx.get(
                f"{self._connection.flower_url}/healthcheck", timeout=PROBE_SECONDS, trust_env=False
            ).is_success
        except httpx.HTTPError:
            return False

    def _get(self, path: str) -> dict[str, Any] | None:
        try:
            answer = self._client.get(path)
            body = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError):
            return None
        return body if isinstance(body, dict) else None

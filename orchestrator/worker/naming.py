"""Who an agent's process is, and whether another one has its name."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.errors import AgentNameTakenError
from orchestrator.worker.liveness import is_alive

if TYPE_CHECKING:
    from orchestrator.worker.link import AgentLink, Registration

_LOOK_SECONDS = 0.25


def agent_id_of(nodename: str, agent_type: str) -> str:
    """Return the agent id of a node name: what is before the @, or type and host for Celery's default."""
    name, _, host = nodename.partition("@")
    return name if name not in ("", "celery") else f"{agent_type}-{host or socket.gethostname()}"


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, recognisable also after its pid was given to another."""

    host: str
    pid: int
    started_at: float

    @classmethod
    def mine(cls) -> Identity:
        """Return the identity of this process."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time())


def is_dead_here(record: dict[str, Any]) -> bool:
    """Whether the record's process ran on this host and is gone; False for any other host."""
    if record.get("host") != socket.gethostname():
        return False
    try:
        return not is_alive(int(record["pid"]), started_at=float(record["process_started_at"]))
    except (KeyError, ValueError):
        return True


def take_name(link: AgentLink, record: dict[str, Any], *, heartbeat_timeout_seconds: float) -> None:
    """Register under the record's name.

    If another incarnation has it: take it over at once when its process is dead on this host, else when its
    heartbeat has stood still for the timeout. Raises AgentNameTakenError when it is alive.
    """
    answer = link.register(record)
    if answer.granted:
        return
    if is_dead_here(answer.holder_record or {}) or _stands_still(
        link, record, answer, heartbeat_timeout_seconds
    ):
        answer = link.register(record, dead_incarnation=answer.holder_incarnation)
        if answer.granted:
            return
    holder = answer.holder_record or {}
    raise AgentNameTakenError(
        f"the agent name {link.agent_id!r} is taken by a live process"
        f" (pid {holder.get('pid')} on {holder.get('host')}); stop it, or start this one with another --name"
    )


def _stands_still(
    link: AgentLink, record: dict[str, Any], first: Registration, timeout_seconds: float
) -> bool:
    pause, until = threading.Event(), time.monotonic() + timeout_seconds
    while time.monotonic() < until:
        pause.wait(_LOOK_SECONDS)
        now = link.register(record)
        if now.granted:
            return True
        if now.holder_incarnation != first.holder_incarnation or now.holder_seq != first.holder_seq:
            return False
    return True

"""Names of everything the orchestrator keeps in Redis, beside the Celery queues themselves."""

from __future__ import annotations

EPOCH = "orch:epoch"
"""`<uuid>:<run id of the server>`: which life of Redis the leader has blessed."""
EVENTS = "orch:events"
STREAM = "orch:stream"
"""A random name of the event stream; a stream without one is new."""
SEQUENCE = "orch:sequence"
LISTS = "orch:lists"
"""Every list that a task was ever put on in this life of Redis."""
AGENTS = "orch:agents"
CONTROLLER = "orch:controller"
FINISHED = "orch:finished"
"""Pub/sub channel on which the controller announces the ids of tasks that have ended."""
REREAD_ALL = "*"


def task_key(task_id: str) -> str:
    """Return the key of an unfinished task: which delivery, in what state, held by whom."""
    return f"orch:task:{task_id}"


def agent_key(agent_id: str) -> str:
    """Return the key of a live agent's record and last heartbeat."""
    return f"orch:agent:{agent_id}"


def nudge_key(incarnation: str) -> str:
    """Return the list on which an agent's heartbeat thread waits: an entry makes it beat at once."""
    return f"orch:nudge:{incarnation}"


def waiting_key(list_name: str) -> str:
    """Return the index of the tasks that wait in one list."""
    return f"orch:waiting:{list_name}"

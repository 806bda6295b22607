"""One delivery as a Celery message: protocol 2 of Celery in kombu's Redis envelope.

Built from text, so that parameters reach the handler as the client sent them and a publish costs no second
encoding.
Sources: Celery's "Message Protocol" (version 2) and kombu's virtual transport (properties, base64 body).
"""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.tasks.ids import celery_id
from orchestrator.tasks.routing import band_of, list_key, queue_of

if TYPE_CHECKING:
    from orchestrator.tasks.routing import Band
    from orchestrator.tasks.state import Publishable

FORMAT_VERSION = 1
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message and the list it goes on."""

    list_name: str
    text: str


def encode(item: Publishable, *, hard_limit_grace_seconds: float) -> Encoded:
    """Return the message of the row's present delivery. Its Celery id is new for each delivery."""
    pinned = None if item.pin == "prefer" else item.pinned_agent_id
    queue = queue_of(item.agent_type, item.task_type, pinned)
    band = band_of(item.priority)
    message = {
        "body": b64encode(_body(item).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(item, hard_limit_grace_seconds),
        "properties": _properties(item, queue, band),
    }
    return Encoded(list_key(queue, band), json.dumps(message))


def _body(item: Publishable) -> str:
    envelope = {
        "v": FORMAT_VERSION,
        "attempt": item.attempt,
        "retries": item.retry_count,
        "max_retries": item.max_retries,
        "timeout_seconds": item.timeout_seconds,
        "log_lines": item.log_lines,
        "metadata": item.metadata,
        "request_id": item.request_id,
    }
    arguments = f'{{"envelope": {json.dumps(envelope)}, "parameters": {item.parameters_json}}}'
    return f"[[], {arguments}, {json.dumps(_EMBED)}]"


def _headers(item: Publishable, hard_limit_grace_seconds: float) -> dict[str, Any]:
    return {
        "lang": "py",
        "task": f"{item.agent_type}.{item.task_type}",
        "id": celery_id(str(item.id), item.delivery),
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": item.retry_count,
        "timelimit": [item.timeout_seconds + hard_limit_grace_seconds, item.timeout_seconds],
        "root_id": str(item.id),
        "parent_id": None,
        "argsrepr": "",
        "kwargsrepr": "",
        "origin": "orchestrator",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def _properties(item: Publishable, queue: str, band: Band) -> dict[str, Any]:
    return {
        "correlation_id": celery_id(str(item.id), item.delivery),
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": int(band),
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }

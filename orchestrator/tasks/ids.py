"""Identifiers: task ids sort by acceptance, a delivery's Celery id names the task and the delivery."""

from __future__ import annotations

import secrets
import uuid

import uuid_utils

_TOKEN_BYTES = 12


def new_task_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562) of this machine's clock."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


def new_token() -> str:
    """Return the name of one execution: never reused, even by the same agent for the same delivery."""
    return secrets.token_hex(_TOKEN_BYTES)


def celery_id(task_id: str, delivery: int) -> str:
    """Return the Celery id of one delivery, new for each: Celery drops an id that it once saw revoked."""
    return f"{task_id}.{delivery}"


def parse_celery_id(text: str) -> tuple[str, int] | None:
    """Return (task id, delivery) of a Celery id that is ours, else None."""
    task_id, dot, delivery = text.rpartition(".")
    if not dot or not delivery.isascii() or not delivery.isdigit():
        return None
    try:
        return str(uuid.UUID(task_id)), int(delivery)
    except ValueError:
        return None

"""The place in a list as the client carries it: opaque, of one length."""

from __future__ import annotations

import base64
import uuid

from orchestrator.errors import RejectedError

_LENGTH = 22


def write_cursor(last_id: uuid.UUID) -> str:
    """Return the cursor of the page after this task."""
    return base64.urlsafe_b64encode(last_id.bytes).rstrip(b"=").decode()


def read_cursor(cursor: str) -> uuid.UUID:
    """Return the task that the page comes after. Raises RejectedError for what is no cursor of ours."""
    found = _decoded(cursor)
    if found is None or write_cursor(found) != cursor:
        raise RejectedError("the request is invalid", fields={"cursor": ["is no cursor of this list"]})
    return found


def _decoded(cursor: str) -> uuid.UUID | None:
    if len(cursor) != _LENGTH:
        return None
    try:
        return uuid.UUID(
            bytes=base64.b64decode(cursor.encode("ascii") + b"==", altchars=b"-_", validate=True)
        )
    except ValueError:  # of the alphabet, the padding or the length
        return None

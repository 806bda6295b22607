"""Who may do what: keys are looked up by their hash and remembered for a few seconds.

No key is ever compared with another: what is looked up is the SHA-256 of 256 random bits, so how long that
takes says nothing about any key.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.intake.shared_read import SharedRead
from orchestrator.ledger.keys import find_key, hash_key

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger
    from orchestrator.ledger.keys import ApiKey

REMEMBERED_SECONDS = 5.0
"""A revoked key works for at most so long after it was last looked up."""
MAX_REMEMBERED = 1000
_KEY_SHAPE = re.compile(r"[A-Za-z0-9_-]{20,128}")


class Scope(StrEnum):
    """What a key may be allowed to do; `admin` contains all."""

    TASKS_SUBMIT = "tasks:submit"
    TASKS_READ = "tasks:read"
    TASKS_MANAGE = "tasks:manage"
    AGENTS_REGISTER = "agents:register"
    AGENTS_READ = "agents:read"
    AGENTS_MANAGE = "agents:manage"
    ADMIN = "admin"


def allows(key: ApiKey, scope: Scope) -> bool:
    """Whether the key has this scope."""
    return scope in key.scopes or Scope.ADMIN in key.scopes


class KeyRing:
    """Finds the record of a key.

    What it remembers is bounded in number and in time; the key itself is not kept.
    """

    def __init__(self, ledger: Ledger, *, timeout_seconds: float) -> None:
        self._ledger = ledger
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, SharedRead[ApiKey | None]] = OrderedDict()

    def find(self, key: str) -> ApiKey | None:
        """Return the key's record if it is valid now. Raises LedgerUnavailableError."""
        if not _KEY_SHAPE.fullmatch(key):
            return None
        key_hash = hash_key(key)
        found = self._reading(key_hash).get()
        expired = found is not None and found.expires_at is not None and found.expires_at <= datetime.now(UTC)
        return None if expired else found

    def _reading(self, key_hash: str) -> SharedRead[ApiKey | None]:
        with self._lock:
            reading = self._remembered.get(key_hash)
            if reading is None:
                reading = SharedRead(lambda: self._look_up(key_hash), fresh_seconds=REMEMBERED_SECONDS)
                self._remembered[key_hash] = reading
            self._remembered.move_to_end(key_hash)
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return reading

    def _look_up(self, key_hash: str) -> ApiKey | None:
        with self._ledger.transaction(self._timeout_seconds) as connection:
            return find_key(connection, key_hash)

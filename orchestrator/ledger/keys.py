"""API keys. Only a key's SHA-256 is kept: it has 256 random bits, so a slow hash would protect nothing."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert

from orchestrator.ledger import schema
from orchestrator.tasks.submission import DEFAULT_TENANT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

_BRAND = "ork"
_PREFIX_BYTES = 4
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's record. `prefix` is the part that may be shown."""

    key_id: uuid.UUID
    tenant: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None


def new_key() -> str:
    """Return a new key: `ork_`, eight characters by which people tell it apart, and 256 random bits."""
    return f"{_BRAND}_{secrets.token_hex(_PREFIX_BYTES)}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def hash_key(key: str) -> str:
    """Return what the ledger keeps of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def ensure_key(
    connection: Connection, *, key: str, name: str, tenant: str = DEFAULT_TENANT, scopes: Sequence[str]
) -> None:
    """Make `key` valid under this name and these scopes; a key that was revoked stays so."""
    values = {
        "key_id": uuid.uuid4(),
        "tenant": tenant,
        "name": name,
        "prefix": key[: len(_BRAND) + 1 + 2 * _PREFIX_BYTES],
        "key_hash": hash_key(key),
        "scopes": list(scopes),
        "created_at": func.now(),
    }
    statement = insert(schema.api_keys).values(values)
    changed = {column: statement.excluded[column] for column in ("tenant", "name", "scopes")}
    connection.execute(statement.on_conflict_do_update(index_elements=["key_hash"], set_=changed))


def find_key(connection: Connection, key_hash: str) -> ApiKey | None:
    """Return the key of this hash if it is neither revoked nor expired."""
    keys = schema.api_keys.c
    query = select(
        keys.key_id, keys.tenant, keys.name, keys.prefix, keys.scopes, keys.created_at, keys.expires_at
    ).where(
        keys.key_hash == key_hash,
        keys.revoked_at.is_(None),
        or_(keys.expires_at.is_(None), keys.expires_at > func.now()),
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return ApiKey(row[0], row[1], row[2], row[3], tuple(row[4]), row[5], row[6])

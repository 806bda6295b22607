from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import func, text

from orchestrator.ledger import schema
from orchestrator.ledger.keys import ensure_key, find_key, hash_key, new_key

if TYPE_CHECKING:
    from orchestrator.ledger.engine import Ledger


def test_a_key_is_found_by_its_hash_and_never_stored(ledger: Ledger) -> None:
    key = new_key()
    with ledger.transaction() as connection:
        ensure_key(connection, key=key, name="local", scopes=["admin"])
        found = find_key(connection, hash_key(key))
        assert found is not None
        assert (found.tenant, found.name, found.scopes, found.expires_at) == (
            "default",
            "local",
            ("admin",),
            None,
        )
        assert key.startswith(found.prefix)
        assert find_key(connection, hash_key(key + "x")) is None
        stored = connection.execute(text("SELECT CAST(k AS text) FROM api_keys AS k")).scalar_one()
    assert key.rsplit("_", 1)[-1] not in stored


def test_making_sure_of_a_key_twice_makes_one(ledger: Ledger) -> None:
    key = new_key()
    with ledger.transaction() as connection:
        ensure_key(connection, key=key, name="old", scopes=["tasks:read"])
        first = find_key(connection, hash_key(key))
        ensure_key(connection, key=key, name="new", tenant="t", scopes=["tasks:read", "tasks:submit"])
        second = find_key(connection, hash_key(key))
    assert first is not None
    assert second is not None
    assert (second.key_id, second.name, second.tenant) == (first.key_id, "new", "t")
    assert second.scopes == ("tasks:read", "tasks:submit")


def test_a_key_that_was_revoked_or_has_expired_opens_nothing(ledger: Ledger) -> None:
    for column in ("revoked_at", "expires_at"):
        key = new_key()
        with ledger.transaction() as connection:
            ensure_key(connection, key=key, name=column, scopes=["admin"])
            connection.execute(
                schema.api_keys.update()
                .where(schema.api_keys.c.key_hash == hash_key(key))
                .values({column: func.now()})
            )
            assert find_key(connection, hash_key(key)) is None
            ensure_key(connection, key=key, name=column, scopes=["admin"])
            assert find_key(connection, hash_key(key)) is None


def test_keys_look_alike_and_differ() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"ork_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", key) for key in keys)

"""Many rows in one statement: one array per column, put side by side by `unnest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.ledger.text import LIMITS, storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Types = dict[str, str]
"""Names of fields, with PostgreSQL's types."""


def unnest(types: Mapping[str, str]) -> str:
    """Return a table expression named `v` with a column per field."""
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    return f"unnest({arrays}) AS v ({', '.join(types)})"


def columns_of(types: Mapping[str, str], items: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the arrays of `items`; text that people wrote is made storable and cut to its limit."""
    return {name: [_value(item, name, kind) for item in items] for name, kind in types.items()}


def _value(item: Any, name: str, kind: str) -> Any:
    value = getattr(item, name)
    if name in LIMITS:
        return storable(value, LIMITS[name])
    return str(value) if kind == "uuid" else value

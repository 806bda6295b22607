"""What a failure of psycopg2 means to the engine: wait, try again, or set the value aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2

from orchestrator.errors import (
    LedgerConflictError,
    LedgerDataError,
    LedgerUnavailableError,
    OrchestratorError,
    SchemaMismatchError,
)
from orchestrator.ledger.deadline import DeadlinePassedError

if TYPE_CHECKING:
    from sqlalchemy import ExceptionContext

MAX_REASON = 500
_CONFLICTS = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available."""
_UNAVAILABLE = frozenset({"25006", "25P03", "25P04", "57014"})
"""Read-only server (a standby), idle or whole transaction timed out, statement cancelled by its timeout."""
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57", "58"})
"""Connection, resources, operator (shutdown, start-up), system."""
_DATA_CLASSES = frozenset({"21", "22", "23", "54"})
"""Cardinality, data, constraint, program limit: the value, not the server."""
_SCHEMA = frozenset({"42P01", "42703"})
"""Undefined table, undefined column."""


def translate_error(context: ExceptionContext) -> OrchestratorError | None:
    """Return the engine's error for a vendor's, None to let it pass (a mistake in our own SQL)."""
    cause = context.original_exception
    if isinstance(cause, OrchestratorError):
        return None
    if isinstance(cause, DeadlinePassedError):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
        return LedgerUnavailableError(str(cause))
    if isinstance(cause, psycopg2.Error):
        return _translate_driver(cause)
    if isinstance(cause, ValueError) and context.connection is not None:
        return LedgerDataError(_reason(cause))
    return None


def _translate_driver(cause: psycopg2.Error) -> OrchestratorError | None:
    code = cause.pgcode or ""
    if code in _CONFLICTS:
        return LedgerConflictError(_reason(cause))
    if code in _UNAVAILABLE or code[:2] in _UNAVAILABLE_CLASSES:
        return LedgerUnavailableError(_reason(cause))
    if code[:2] in _DATA_CLASSES:
        return LedgerDataError(_reason(cause))
    if code in _SCHEMA:
        return SchemaMismatchError(f"{_reason(cause)}; run `orchestrator migrate`")
    if not code and isinstance(
        cause, psycopg2.OperationalError | psycopg2.InterfaceError | psycopg2.DatabaseError
    ):
        return LedgerUnavailableError(_reason(cause))
    return None


def _reason(cause: BaseException) -> str:
    """Return the first line of the message: the later ones quote values and statements."""
    text = str(cause).strip()
    return text.splitlines()[0][:MAX_REASON] if text else type(cause).__name__

"""What executions leave behind: a row each, and the lines they logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from orchestrator.ledger.arrays import columns_of, unnest

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from orchestrator.tasks.state import AttemptState, LogLine

_ATTEMPT = {
    "task_id": "uuid",
    "token": "text",
    "delivery": "int",
    "series": "int",
    "number": "int",
    "agent_id": "text",
    "incarnation": "text",
    "started_seconds_ago": "float8",
    "ended_seconds_ago": "float8",
    "execution_time_ms": "float8",
    "outcome": "text",
    "error": "text",
    "error_type": "text",
    "error_code": "text",
    "traceback": "text",
}
_WRITTEN_ONCE = (
    "started_at",
    "ended_at",
    "execution_time_ms",
    "outcome",
    "error",
    "error_type",
    "error_code",
    "traceback",
)
_WRITE_ATTEMPTS = text(f"""
    INSERT INTO attempts AS t (task_id, token, delivery, series, number, agent_id, incarnation, started_at,
        ended_at, execution_time_ms, outcome, error, error_type, error_code, traceback)
    SELECT task_id, token, delivery, series, number, agent_id, incarnation,
        now() - started_seconds_ago * interval '1 second', now() - ended_seconds_ago * interval '1 second',
        execution_time_ms, outcome, error, error_type, error_code, traceback
    FROM {unnest(_ATTEMPT)}
    ON CONFLICT (task_id, token) DO UPDATE
    SET {", ".join(f"{name} = coalesce(t.{name}, excluded.{name})" for name in _WRITTEN_ONCE)}
""")  # noqa: S608 - built from our own names

_END_LOST = text("""
    WITH locked AS (
        SELECT t.task_id, t.token FROM attempts AS t
        JOIN unnest(CAST(:task_id AS uuid[]), CAST(:token AS text[])) AS v (task_id, token)
          USING (task_id, token)
        WHERE t.task_id = ANY(CAST(:task_id AS uuid[])) AND t.outcome IS NULL
        ORDER BY t.task_id, t.token FOR UPDATE OF t
    )
    UPDATE attempts AS t SET outcome = 'lost', ended_at = now() FROM locked
    WHERE t.task_id = locked.task_id AND t.token = locked.token AND t.task_id = ANY(CAST(:task_id AS uuid[]))
      AND t.outcome IS NULL
""")

_LOG_LINE = {"task_id": "uuid", "token": "text", "at_ms": "bigint", "message": "text"}
_WRITE_LOGS = text("""
    INSERT INTO task_logs (task_id, token, at, message)
    SELECT task_id, token, to_timestamp(at_ms / 1000.0), message
    FROM unnest(CAST(:task_id AS uuid[]), CAST(:token AS text[]), CAST(:at_ms AS bigint[]),
        CAST(:message AS text[])) WITH ORDINALITY AS v (task_id, token, at_ms, message, place)
    ORDER BY place
""")


def write_attempts(connection: Connection, attempts: Sequence[AttemptState]) -> None:
    """Write executions by (task, token); what the ledger has of one stays, what it lacks is filled in."""
    if attempts:
        ordered = sorted(attempts, key=lambda attempt: (attempt.task_id, attempt.token))
        connection.execute(_WRITE_ATTEMPTS, columns_of(_ATTEMPT, ordered))


def end_attempts_lost(connection: Connection, runs: Sequence[tuple[uuid.UUID, str]]) -> int:
    """End executions (task id, token) that have no outcome as lost; return how many."""
    if not runs:
        return 0
    given = {"task_id": [str(task_id) for task_id, _ in runs], "token": [token for _, token in runs]}
    return connection.execute(_END_LOST, given).rowcount


def write_logs(connection: Connection, lines: Sequence[LogLine]) -> None:
    """Append log lines in the order given."""
    if lines:
        connection.execute(_WRITE_LOGS, columns_of(_LOG_LINE, lines))

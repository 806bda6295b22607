"""The tables as SQLAlchemy Core sees them. The migrations make them; a test compares the two.

`tasks`, `attempts` and `task_logs` are range-partitioned by the task's UUIDv7, so by the time of acceptance.
Parameters and results are of type json and travel as text: what was stored is what comes back, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    JSON,
    REAL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Enum,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    cast,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from orchestrator.tasks.status import Status

if TYPE_CHECKING:
    from sqlalchemy import Cast, ColumnElement

PARTITIONED = {"tasks": "id", "attempts": "task_id", "task_logs": "task_id"}
"""The partitioned tables and the column that decides."""


class JsonText(UserDefinedType[str]):
    """A column of type json whose Python value is the stored text."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return the type's name in DDL."""
        return "JSON"

    def column_expression(self, colexpr: ColumnElement[Any]) -> Cast[str]:
        """Read the column as text, so that no driver parses it."""
        return cast(colexpr, Text)


def _values(enum: type[Status]) -> list[str]:
    return [member.value for member in enum]


StatusType = Enum(Status, native_enum=False, create_constraint=False, values_callable=_values, length=16)
Moment = DateTime(timezone=True)

metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("agent_type", Text, nullable=False),
    Column("task_type", Text, nullable=False),
    Column("pinned_agent_id", Text),
    Column("pin", Text),
    Column("parameters", JsonText, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("retry_delay_seconds", Double, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("callback_url", Text),
    Column("expires_at", Moment),
    Column("request_id", Text),
    Column("status", StatusType, nullable=False),
    Column("delivery", Integer, nullable=False),
    Column("series", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("retry_count", Integer, nullable=False),
    Column("worker_losses", Integer, nullable=False),
    Column("shared_losses", Integer, nullable=False),
    Column("agent_id", Text),
    Column("incarnation", Text),
    Column("token", Text),
    Column("created_at", Moment, nullable=False),
    Column("publish_at", Moment, nullable=False),
    Column("run_at", Moment),
    Column("queued_at", Moment),
    Column("started_at", Moment),
    Column("completed_at", Moment),
    Column("cancel_requested_at", Moment),
    Column("result", JsonText),
    Column("error", Text),
    Column("error_code", Text),
    Column("error_type", Text),
    Column("progress_fraction", REAL),
    Column("progress_message", Text),
    Column("log_lines", Integer, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("task_id", Uuid, primary_key=True),
    Column("token", Text, primary_key=True),
    Column("delivery", Integer, nullable=False),
    Column("series", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("incarnation", Text, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("execution_time_ms", Double),
    Column("outcome", Text),
    Column("error", Text),
    Column("error_type", Text),
    Column("error_code", Text),
    Column("traceback", Text),
)

task_logs = Table(
    "task_logs",
    metadata,
    Column("task_id", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("token", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("message", Text, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("agent_type", Text, nullable=False),
    Column("incarnation", Text, nullable=False),
    Column("record", JSON, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("left_at", Moment),
    Column("lost_at", Moment),
)

capabilities = Table(
    "capabilities",
    metadata,
    Column("agent_type", Text, primary_key=True),
    Column("task_type", Text, primary_key=True),
    Column("parameters_schema", JSON(none_as_null=True)),
    Column("defaults", JSON, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)

leadership = Table(
    "leadership",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("term", BigInteger, nullable=False),
)

leadership_lease = Table(
    "leadership_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("term", BigInteger, nullable=False),
    Column("renewed_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
)

recorder_position = Table(
    "recorder_position",
    metadata,
    Column("name", Text, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("last_id", Text, nullable=False),
)

rejected_events = Table(
    "rejected_events",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

"""The first schema: tasks and what belongs to them by week, agents, keys, leadership, positions."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATUSES = "'pending', 'queued', 'sent', 'running', 'completed', 'failed', 'timeout', 'retrying', 'cancelled'"
UNFINISHED = "'pending', 'queued', 'sent', 'running', 'retrying'"

UPGRADE = (
    f"""
    CREATE TABLE tasks (
        id uuid NOT NULL,
        tenant text NOT NULL,
        agent_type text NOT NULL,
        task_type text NOT NULL,
        pinned_agent_id text,
        pin text CHECK (pin IN ('require', 'prefer')),
        parameters json NOT NULL,
        priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 15),
        timeout_seconds integer NOT NULL CHECK (timeout_seconds > 0),
        max_retries integer NOT NULL CHECK (max_retries >= 0),
        retry_delay_seconds double precision NOT NULL CHECK (retry_delay_seconds >= 0),
        metadata jsonb NOT NULL DEFAULT '{{}}',
        callback_url text,
        expires_at timestamptz,
        request_id text,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ({STATUSES})),
        delivery integer NOT NULL DEFAULT 1 CHECK (delivery >= 1),
        series integer NOT NULL DEFAULT 1 CHECK (series >= 1),
        attempt integer NOT NULL DEFAULT 0,
        retry_count integer NOT NULL DEFAULT 0,
        worker_losses integer NOT NULL DEFAULT 0,
        shared_losses integer NOT NULL DEFAULT 0,
        agent_id text,
        incarnation text,
        token text,
        created_at timestamptz NOT NULL DEFAULT now(),
        publish_at timestamptz NOT NULL DEFAULT now(),
        run_at timestamptz,
        queued_at timestamptz,
        started_at timestamptz,
        completed_at timestamptz,
        cancel_requested_at timestamptz,
        result json,
        error text,
        error_code text,
        error_type text,
        progress_fraction real,
        progress_message text,
        log_lines integer NOT NULL DEFAULT 0,
        PRIMARY KEY (id)
    ) PARTITION BY RANGE (id)
    """,
    "CREATE TABLE tasks_default PARTITION OF tasks DEFAULT",
    "CREATE INDEX tasks_by_tenant ON tasks (tenant, id DESC)",
    "CREATE INDEX tasks_by_status ON tasks (tenant, status, id DESC)",
    "CREATE INDEX tasks_by_type ON tasks (tenant, agent_type, task_type, id DESC)",
    "CREATE INDEX tasks_due ON tasks (publish_at) WHERE status IN ('pending', 'retrying')",
    "CREATE INDEX tasks_in_flight ON tasks (id) WHERE status IN ('queued', 'sent', 'running')",
    f"""
    CREATE INDEX tasks_cancel_wishes ON tasks (id)
    WHERE cancel_requested_at IS NOT NULL AND status IN ({UNFINISHED})
    """,
    f"""
    CREATE INDEX tasks_expiring ON tasks (expires_at)
    WHERE expires_at IS NOT NULL AND attempt = 0 AND status IN ({UNFINISHED})
    """,
    """
    CREATE TABLE attempts (
        task_id uuid NOT NULL,
        token text NOT NULL,
        delivery integer NOT NULL,
        series integer NOT NULL,
        number integer NOT NULL,
        agent_id text NOT NULL,
        incarnation text NOT NULL,
        started_at timestamptz,
        ended_at timestamptz,
        execution_time_ms double precision,
        outcome text,
        error text,
        error_type text,
        error_code text,
        traceback text,
        PRIMARY KEY (task_id, token)
    ) PARTITION BY RANGE (task_id)
    """,
    "CREATE TABLE attempts_default PARTITION OF attempts DEFAULT",
    "CREATE SEQUENCE task_log_seq AS bigint",
    """
    CREATE TABLE task_logs (
        task_id uuid NOT NULL,
        seq bigint NOT NULL DEFAULT nextval('task_log_seq'),
        token text NOT NULL,
        at timestamptz NOT NULL,
        message text NOT NULL,
        PRIMARY KEY (task_id, seq)
    ) PARTITION BY RANGE (task_id)
    """,
    "CREATE TABLE task_logs_default PARTITION OF task_logs DEFAULT",
    """
    CREATE TABLE agents (
        agent_id text PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('celery', 'http')),
        agent_type text NOT NULL,
        incarnation text NOT NULL,
        record json NOT NULL,
        registered_at timestamptz NOT NULL,
        left_at timestamptz,
        lost_at timestamptz
    )
    """,
    """
    CREATE TABLE capabilities (
        agent_type text NOT NULL,
        task_type text NOT NULL,
        parameters_schema json,
        defaults json NOT NULL,
        exclusive boolean NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (agent_type, task_type)
    )
    """,
    """
    CREATE TABLE api_keys (
        key_id uuid PRIMARY KEY,
        tenant text NOT NULL,
        name text NOT NULL,
        prefix text NOT NULL,
        key_hash text NOT NULL UNIQUE,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        revoked_at timestamptz
    )
    """,
    """
    CREATE TABLE leadership (
        name text PRIMARY KEY,
        holder text NOT NULL,
        term bigint NOT NULL
    )
    """,
    """
    CREATE TABLE leadership_lease (
        name text PRIMARY KEY,
        term bigint NOT NULL,
        renewed_at timestamptz NOT NULL,
        until timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE recorder_position (
        name text PRIMARY KEY,
        stream text NOT NULL,
        last_id text NOT NULL
    )
    """,
    """
    CREATE TABLE rejected_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL,
        stream_id text NOT NULL,
        entry text NOT NULL,
        reason text NOT NULL
    )
    """,
)

TABLES = (
    "tasks",
    "attempts",
    "task_logs",
    "agents",
    "capabilities",
    "api_keys",
    "leadership",
    "leadership_lease",
    "recorder_position",
    "rejected_events",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE task_log_seq")

"""What is answered about agents, health and capabilities."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.fields import Timestamp


class CapabilitySchema(Schema):
    """One task type that an agent runs."""

    task_type = fields.String(required=True)
    parameters_schema = fields.Raw(required=True, allow_none=True, metadata={"description": "JSON Schema"})


class AgentSchema(Schema):
    """An agent."""

    agent_id = fields.String(required=True)
    agent_name = fields.String(required=True)
    agent_type = fields.String(required=True)
    status = fields.String(required=True)
    kind = fields.String(required=True)
    host = fields.String(required=True, allow_none=True)
    port = fields.Integer(required=True, allow_none=True)
    pid = fields.Integer(required=True, allow_none=True)
    version = fields.String(required=True, allow_none=True)
    slots = fields.Integer(required=True, allow_none=True)
    running = fields.Integer(required=True)
    load_ = fields.Dict(required=True, attribute="load", data_key="load")
    capabilities = fields.List(fields.Nested(CapabilitySchema), required=True)
    metadata = fields.Dict(required=True)
    registered_at = fields.String(required=True, allow_none=True)
    last_heartbeat_at = Timestamp(required=True)


class AgentListSchema(Schema):
    """Every registered agent."""

    agents = fields.List(fields.Nested(AgentSchema), required=True)
    count = fields.Integer(required=True)


class HealthSchema(Schema):
    """The process answers."""

    status = fields.String(required=True)
    service = fields.String(required=True)
    timestamp = Timestamp(required=True)


class ComponentSchema(Schema):
    """How a component is."""

    status = fields.String(required=True)
    latency_ms = fields.Float(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)


class ReadySchema(HealthSchema):
    """Submissions are accepted; `degraded` while the broker is away."""

    components = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class ControllerSchema(Schema):
    """Who leads, how far behind the recorder is, and the last report of each pass."""

    status = fields.String(required=True)
    leader = fields.String(required=True, allow_none=True)
    term = fields.Integer(required=True, allow_none=True)
    lease_age_seconds = fields.Float(required=True, allow_none=True)
    lag_seconds = fields.Float(required=True, allow_none=True)
    passes = fields.Dict(required=True)


class SystemSchema(HealthSchema):
    """Everything an operator looks at first."""

    components = fields.Dict(keys=fields.String(), values=fields.Nested(ComponentSchema), required=True)
    controller = fields.Nested(ControllerSchema, required=True)
    event_backlog = fields.Integer(required=True, allow_none=True)
    waiting_requests = fields.Integer(required=True)


class AgentStateSchema(Schema):
    """How an agent is."""

    agent_id = fields.String(required=True)
    agent_type = fields.String(required=True)
    status = fields.String(required=True)
    running = fields.Integer(required=True)
    slots = fields.Integer(required=True, allow_none=True)
    load_ = fields.Dict(required=True, attribute="load", data_key="load")
    last_heartbeat_at = Timestamp(required=True)


class AgentsHealthSchema(Schema):
    """Counts, and each agent's state."""

    total = fields.Integer(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    agents = fields.List(fields.Nested(AgentStateSchema), required=True)


class CatalogueItemSchema(Schema):
    """A capability that was registered at any time."""

    agent_type = fields.String(required=True)
    task_type = fields.String(required=True)
    parameters_schema = fields.Raw(required=True, allow_none=True, metadata={"description": "JSON Schema"})
    defaults = fields.Dict(required=True)
    exclusive = fields.Boolean(required=True)
    live_agents = fields.Integer(required=True, allow_none=True)


class CatalogueSchema(Schema):
    """Every capability."""

    capabilities = fields.List(fields.Nested(CatalogueItemSchema), required=True)
    count = fields.Integer(required=True)

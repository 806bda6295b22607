"""What is sent and answered about tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from api.fields import (
    MAX_ID_CHARACTERS,
    NULLABLE,
    Duration,
    Metadata,
    Name,
    ParametersField,
    PlainText,
    QueryDuration,
    Timestamp,
    WholeNumber,
)
from orchestrator.intake.acceptance import Submission
from orchestrator.tasks.status import Status
from orchestrator.tasks.waiting import WaitingFor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_WAIT_SECONDS = 60
MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_RETRIES = 100
MAX_RETRY_DELAY_SECONDS = 3600
YEAR_SECONDS = 366 * 86_400
_STATUSES = [str(status) for status in Status]


def submission_schema(
    find_problems: Callable[[Mapping[str, Any]], dict[str, list[str]]], *, timeout_ceiling_seconds: int
) -> Schema:
    """Return the schema of a submission; what is well formed is then shown to `find_problems`."""

    class SubmissionSchema(Schema):
        agent_type = Name(required=True)
        task_type = Name(required=True)
        agent_id = PlainText(max_characters=MAX_ID_CHARACTERS, **NULLABLE)
        pin = fields.String(validate=validate.OneOf(["require", "prefer"]), **NULLABLE)
        parameters = ParametersField(**NULLABLE)
        priority = WholeNumber(low=1, high=15, zero_is_silence=True, **NULLABLE)
        timeout_seconds = WholeNumber(low=1, high=timeout_ceiling_seconds, zero_is_silence=True, **NULLABLE)
        max_retries = WholeNumber(low=0, high=MAX_RETRIES, **NULLABLE)
        retry_delay_seconds = Duration(low=0, high=MAX_RETRY_DELAY_SECONDS, **NULLABLE)
        delay_seconds = Duration(low=0, high=YEAR_SECONDS, **NULLABLE)
        run_at = Timestamp(**NULLABLE)
        expires_seconds = Duration(low=0.001, high=YEAR_SECONDS, **NULLABLE)
        callback_url = fields.String(validate=_refuse_callback, **NULLABLE)
        metadata = Metadata(**NULLABLE)

        @validates_schema(skip_on_field_errors=False)
        def check(self, data: dict[str, Any], **_: Any) -> None:
            if problems := find_problems(data):
                raise ValidationError(dict(problems))

        @post_load
        def build(self, data: dict[str, Any], **_: Any) -> Submission:
            data.pop("callback_url")
            return Submission(**data)

    return SubmissionSchema()


def _refuse_callback(_url: str) -> None:
    """Older clients send null, which says nothing; an address would be a promise that nobody keeps yet."""
    raise ValidationError("completion callbacks are not offered yet: use ?wait= or read the task")


class WaitQuery(Schema):
    """How long the answer may be held."""

    wait = QueryDuration(
        low=0,
        high=MAX_WAIT_SECONDS,
        load_default=0.0,
        metadata={"description": "hold the answer until the task ends or these seconds pass"},
    )


class TaskListQuery(Schema):
    """Which tasks, and from where on."""

    status = fields.List(fields.String(validate=validate.OneOf(_STATUSES)), load_default=list)
    agent_type = Name(load_default=None)
    task_type = Name(load_default=None)
    limit = fields.Integer(
        validate=validate.Range(1, MAX_PAGE, error=f"must be 1 to {MAX_PAGE}"), load_default=DEFAULT_PAGE
    )
    cursor = fields.String(load_default=None, metadata={"description": "`next_cursor` of the page before"})


class AcceptedSchema(Schema):
    """A task as it was accepted."""

    task_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(_STATUSES))
    agent_id = fields.String(
        required=True, allow_none=True, metadata={"description": "who has it or had it last"}
    )
    agent_type = fields.String(required=True)
    task_type = fields.String(required=True)
    created_at = Timestamp(required=True)
    status_url = fields.String(required=True)


class ProgressSchema(Schema):
    """How far a run has come."""

    fraction = fields.Float(required=True, allow_none=True)
    message = fields.String(required=True, allow_none=True)


class TaskSchema(AcceptedSchema):
    """A task."""

    priority = fields.Integer(required=True)
    parameters = ParametersField(required=True)
    result = fields.Raw(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    error_code = fields.String(required=True, allow_none=True)
    error_type = fields.String(required=True, allow_none=True)
    progress = fields.Nested(ProgressSchema, required=True, allow_none=True)
    queued_at = Timestamp(required=True, allow_none=True)
    started_at = Timestamp(required=True, allow_none=True)
    completed_at = Timestamp(required=True, allow_none=True)
    run_at = Timestamp(required=True, allow_none=True)
    expires_at = Timestamp(required=True, allow_none=True)
    timeout_seconds = fields.Integer(required=True)
    attempt = fields.Integer(required=True, metadata={"description": "runs that began in this series"})
    retry_count = fields.Integer(required=True)
    max_retries = fields.Integer(required=True)
    retry_delay_seconds = fields.Float(required=True)
    worker_losses = fields.Integer(required=True)
    series = fields.Integer(required=True)
    waiting_for = fields.String(
        required=True, allow_none=True, validate=validate.OneOf([str(reason) for reason in WaitingFor])
    )
    pinned_agent_id = fields.String(required=True, allow_none=True)
    pin = fields.String(required=True, allow_none=True)
    cancel_requested = fields.Boolean(required=True)
    request_id = fields.String(required=True, allow_none=True)
    metadata = fields.Dict(required=True)


class SubmittedSchema(TaskSchema):
    """A submission's answer: the members of Accepted; with `?wait`, those of Task."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        always = AcceptedSchema().fields
        for name, own in self.fields.items():
            own.required = name in always


class TaskListSchema(Schema):
    """A page of tasks, newest first."""

    tasks = fields.List(fields.Nested(TaskSchema), required=True)
    count = fields.Integer(required=True, metadata={"description": "items in this answer"})
    next_cursor = fields.String(required=True, allow_none=True)


class CancelledSchema(Schema):
    """A task that is cancelled, or (202) a wish that is written down and not settled yet."""

    message = fields.String(required=True)
    task_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(_STATUSES))
    cancel_requested = fields.Boolean(metadata={"description": "there, and true, in a 202"})

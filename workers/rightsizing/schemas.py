"""The parameters of `right_size`."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from workers.focus.schemas import MAX_PATH_CHARACTERS, ExactNumber, require_one
from workers.focus.usage import HOURS_PER_MONTH
from workers.focus.values import MAX_KEY_CHARACTERS
from workers.rightsizing.source import ROLES
from workers.series import SeriesField

MAX_INLINE_INSTANCES = 1_000
MAX_SIZES = 2_000
MAX_IDS = 5_000
MAX_MONEY = "1000000"

_key = validate.Length(min=1, max=MAX_KEY_CHARACTERS)


class InstanceSchema(Schema):
    """One instance and its utilisation, in percent of what its size has."""

    id = fields.String(required=True, validate=_key)
    size = fields.String(
        required=True, validate=_key, metadata={"description": "its present size, as in the catalogue"}
    )
    cpu = SeriesField(required=True, metadata={"title": "CPU utilisation in percent"})
    memory = SeriesField(load_default=None, metadata={"title": "memory utilisation in percent"})


class Columns(Schema):
    """What the columns of the file are called."""

    instance_id = fields.String(load_default="instance_id", validate=_key)
    size = fields.String(load_default="size", validate=_key)
    time = fields.String(load_default="timestamp", validate=_key)
    cpu = fields.String(load_default="cpu", validate=_key)
    memory = fields.String(
        load_default=None, allow_none=True, validate=_key, metadata={"description": "default: there is none"}
    )

    @validates_schema
    def distinct(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse one column for two things."""
        named = [data[role] for role in ROLES if data.get(role)]
        if len(set(named)) < len(named):
            raise ValidationError("names the same column twice")


class SizeSchema(Schema):
    """One size of a catalogue; only ratios within a family matter."""

    size = fields.String(required=True, validate=_key)
    family = fields.String(
        load_default=None,
        validate=_key,
        metadata={
            "description": "sizes of one family replace each other (default: the name up to its last point)"
        },
    )
    cpu = ExactNumber("CPUs", low="0.001", high="100000", required=True)
    memory = ExactNumber("memory, in any unit", low="0.001", high="10000000", load_default=None)


class RightSize(Schema):
    """Either `instances`, or `path` with or without `instance_ids`."""

    instances = fields.List(
        fields.Nested(InstanceSchema),
        load_default=None,
        validate=validate.Length(1, MAX_INLINE_INSTANCES),
        metadata={"description": "instances with their utilisation"},
    )
    path = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_PATH_CHARACTERS),
        metadata={"description": "CSV file inside the agent's data folder, a row for each instance and time"},
    )
    columns = fields.Nested(Columns, load_default=lambda: Columns().load({}))
    instance_ids = fields.List(
        fields.String(validate=_key),
        load_default=None,
        validate=validate.Length(1, MAX_IDS),
        metadata={"description": "with path: only these instances (default: all)"},
    )
    cpu_percentile = ExactNumber("percentile of the CPU utilisation", low="50", high="100", load_default="95")
    memory_percentile = ExactNumber(
        "percentile of the memory utilisation", low="50", high="100", load_default="100"
    )
    headroom = ExactNumber(
        "part of each resource left free at the percentile", low="0", high="0.95", load_default="0.2"
    )
    max_steps = fields.Integer(
        strict=True,
        load_default=1,
        allow_none=True,
        validate=validate.Range(1, 100),
        metadata={"description": "sizes that one recommendation may go (default 1: the next); null: any"},
    )
    minimum_days = fields.Float(
        load_default=7.0,
        allow_nan=False,
        validate=validate.Range(0, 366),
        metadata={"description": "shorter series get no answer"},
    )
    catalogue = fields.List(
        fields.Nested(SizeSchema),
        load_default=None,
        validate=validate.Length(1, MAX_SIZES),
        metadata={"description": "sizes to choose from, instead of the shipped ones"},
    )
    prices = fields.Dict(
        keys=fields.String(validate=_key),
        values=ExactNumber("price of an hour", low="0", high=MAX_MONEY),
        load_default=dict,
        validate=validate.Length(max=MAX_SIZES),
        metadata={"description": "price of an hour by size, all in one currency; none are shipped"},
    )
    currency = fields.String(
        load_default=None, validate=validate.Length(1, 16), metadata={"description": "of the prices"}
    )
    hours_per_month = ExactNumber(
        "hours an instance runs in a month", low="1", high="744", load_default=str(HOURS_PER_MONTH)
    )

    @validates_schema
    def one_source(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse both sources, none, and two instances or sizes of one name."""
        require_one(data, ("instances", "path"))
        if data["instance_ids"] is not None and data["path"] is None:
            raise ValidationError("is taken with path only", "instance_ids")
        for field, key in (("instances", "id"), ("catalogue", "size")):
            names = [item[key] for item in data[field] or ()]
            if len(set(names)) < len(names):
                raise ValidationError(f"holds a {key} twice", field)

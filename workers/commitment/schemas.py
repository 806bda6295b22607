"""The parameters of `reserved_instances`."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from workers.focus.schemas import BillingSchema, ExactNumber, ResourceTypes, require_one
from workers.focus.values import MAX_KEY_CHARACTERS
from workers.series import SeriesField

MAX_RATES = 2_000
MAX_RATE = "1000000"
LEAST_RATE = "0.0000000001"


class ReservedInstances(BillingSchema):
    """Exactly one of `path`, `rows` and `usage`."""

    usage = SeriesField(
        load_default=None,
        metadata={"title": "units in use, a point for each hour or more often; needs on_demand_rate"},
    )
    on_demand_rate = ExactNumber(
        "with usage: what a unit costs for an hour", low=LEAST_RATE, high=MAX_RATE, load_default=None
    )
    discount = ExactNumber(
        "part of the on-demand rate that a commitment saves", low="0.0001", high="0.9999", load_default=None
    )
    committed_rate = ExactNumber(
        "with usage, instead of discount: what a committed unit costs for an hour, used or not",
        low=LEAST_RATE,
        high=MAX_RATE,
        load_default=None,
    )
    committed_rates = fields.Dict(
        keys=fields.String(validate=validate.Length(1, MAX_KEY_CHARACTERS)),
        values=ExactNumber("rate of an hour", low=LEAST_RATE, high=MAX_RATE),
        load_default=dict,
        validate=validate.Length(max=MAX_RATES),
        metadata={"description": "what a committed unit costs for an hour, by SkuId; goes before discount"},
    )
    term_months = fields.Integer(
        strict=True,
        load_default=12,
        validate=validate.Range(1, 60),
        metadata={"description": "how long a commitment binds"},
    )
    resource_types = ResourceTypes()

    @validates_schema
    def one_source(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse two sources at once, none, and rates that do not go with the source."""
        require_one(data, ("path", "rows", "usage"))
        for name in ("on_demand_rate", "committed_rate"):
            if data["usage"] is None and data[name] is not None:
                raise ValidationError("is taken with usage only", name)
        if data["usage"] is not None and data["on_demand_rate"] is None:
            raise ValidationError("must be given with usage", "on_demand_rate")
        if data["committed_rate"] is not None and data["discount"] is not None:
            raise ValidationError("give discount or committed_rate, not both", "discount")

"""The parameters of `migrate_to_spot`."""

from __future__ import annotations

from marshmallow import fields, validate

from workers.focus.schemas import BillingSchema, ExactNumber, ResourceTypes
from workers.focus.usage import HOURS_PER_MONTH
from workers.focus.values import MAX_KEY_CHARACTERS

MAX_IDS = 10_000
MAX_TAGS = 50
MAX_CHECKPOINT_HOURS = 168

_key = validate.Length(1, MAX_KEY_CHARACTERS)


def _ids(description: str) -> fields.List[str]:
    return fields.List(
        fields.String(validate=_key),
        load_default=list,
        validate=validate.Length(max=MAX_IDS),
        metadata={"description": description},
    )


def _tags(description: str) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=_key),
        values=fields.List(fields.String(validate=_key), validate=validate.Length(1, MAX_TAGS)),
        load_default=dict,
        validate=validate.Length(max=MAX_TAGS),
        metadata={"description": f"{description}; each tag with the values meant"},
    )


def _hours(description: str, highest: float) -> fields.Float:
    return fields.Float(
        required=True,
        allow_nan=False,
        validate=validate.Range(0, highest),
        metadata={"description": f"{description} (0 to {highest:g})"},
    )


class MigrateToSpot(BillingSchema):
    """Exactly one of `path` and `rows`; nothing is assumed of prices and interruptions that is not given."""

    discount = ExactNumber(
        "part of the on-demand price that spot capacity saves", low="0.0001", high="0.9999", required=True
    )
    interruption_rate = _hours(
        f"expected interruptions of one instance in a month of {HOURS_PER_MONTH} running hours",
        HOURS_PER_MONTH,
    )
    checkpoint_hours = _hours(
        "hours of work between two savings of it, lost in part at an interruption; 0: none is lost",
        MAX_CHECKPOINT_HOURS,
    )
    restart_hours = _hours("paid hours from a new start until work goes on", MAX_CHECKPOINT_HOURS)
    cost_per_interruption = ExactNumber(
        "what an interruption costs besides hours, in the currency of the data",
        low="0",
        high="1000000",
        load_default="0",
    )
    interruptible_ids = _ids("ResourceIds that bear interruptions")
    interruptible_tags = _tags("tags of instances that bear interruptions")
    protected_ids = _ids("ResourceIds that must not be interrupted")
    protected_tags = _tags("tags of instances that must not be interrupted")
    resource_types = ResourceTypes()

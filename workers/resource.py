"""The resource agent: `predict_scaling` and `balance_load` (figures: docs/agents/resource.md).

orchestrator worker workers.resource:agent --name resource-1
celery -A workers.resource worker
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from orchestrator import Agent
from workers.balancing.plan import balance
from workers.scaling.instances import Kind, PlanFor
from workers.scaling.prediction import MAX_HORIZON, Wanted, predict
from workers.series import SeriesField, data_folder, load_series

if TYPE_CHECKING:
    from orchestrator.context import TaskContext

MAX_INSTANCES = 1_000_000
MAX_SEASON_SECONDS = 366 * 86_400
MAX_LOAD = 1e12
MIN_CAPACITY = 1e-6
MAX_ITEMS = 3_000
MAX_NODES = 500
TIMEOUT_SECONDS = 120
MAX_RETRIES = 3

agent = Agent("resource", version="1.0.0")


def _one_of(names: type[Kind | PlanFor]) -> validate.OneOf:
    return validate.OneOf([name.value for name in names])


def _positive(**options: Any) -> fields.Float:
    return fields.Float(validate=validate.Range(min=0, min_inclusive=False, max=MAX_LOAD), **options)


def _count(description: str, default: int | None) -> fields.Integer:
    return fields.Integer(
        strict=True,
        load_default=default,
        allow_none=default is None,
        validate=validate.Range(min=1, max=MAX_INSTANCES),
        metadata={"description": description},
    )


class PredictScaling(Schema):
    """A series of what the instances did, and what is known about them."""

    series = SeriesField(
        required=True,
        metadata={"description": "utilisation in percent, or requests in each step, over time"},
    )
    kind = fields.String(
        load_default=Kind.UTILIZATION.value,
        validate=_one_of(Kind),
        metadata={
            "description": "what the series measures: mean utilisation in percent, or requests per step"
        },
    )
    current_instances = _count("instances that had the utilisation of the series, at all its times", None)
    capacity_per_instance = _positive(
        load_default=None,
        allow_none=True,
        metadata={"description": "requests one instance serves in one step of the series at 100 %"},
    )
    target_utilization = fields.Float(
        load_default=60.0,
        validate=validate.Range(min=1, max=100),
        metadata={"description": "utilisation to stay at or below, in percent"},
    )
    horizon_steps = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=1, max=MAX_HORIZON),
        metadata={"description": "steps to forecast; without it a season, or a tenth of the series"},
    )
    season_seconds = fields.Float(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, min_inclusive=False, max=MAX_SEASON_SECONDS),
        metadata={"description": "length of the season; without it no season, a day and a week are compared"},
    )
    step_seconds = fields.Float(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, min_inclusive=False, max=MAX_SEASON_SECONDS),
        metadata={
            "description": "forecast means over steps of this length; without it the series' median step"
        },
    )
    interval_level = fields.Float(
        load_default=0.9,
        validate=validate.Range(min=0.5, max=0.99),
        metadata={"description": "share of the values that the prediction interval is to hold"},
    )
    plan_for = fields.String(
        load_default=PlanFor.UPPER.value,
        validate=_one_of(PlanFor),
        metadata={"description": "make the counts for the forecast or for the interval's upper limit"},
    )
    min_instances = _count("never plan fewer", 1)
    max_instances = _count("never plan more; none: no limit", None)

    @validates_schema
    def limits_in_order(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a maximum below the minimum."""
        if data.get("max_instances") is not None and data["max_instances"] < data.get("min_instances", 1):
            raise ValidationError("must not be below min_instances", "max_instances")


class Node(Schema):
    """A place for items."""

    id = fields.String(required=True, validate=validate.Regexp(r"[!-~]{1,64}\Z"))
    capacity = fields.Float(
        required=True,
        validate=validate.Range(min=MIN_CAPACITY, max=MAX_LOAD),
        metadata={"description": "load it can carry, in the unit of the items' loads"},
    )


class Item(Schema):
    """A load that is on one node as a whole."""

    id = fields.String(required=True, validate=validate.Regexp(r"[!-~]{1,64}\Z"))
    amount = fields.Float(
        data_key="load",
        attribute="load",
        required=True,
        validate=validate.Range(min=0, max=MAX_LOAD),
        metadata={"description": "in the unit of the nodes' capacities"},
    )
    node = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=64),
        metadata={"description": "id of the node it is on now; null: it is to be placed, which is no move"},
    )


class BalanceLoad(Schema):
    """Items, nodes, and how many items may move."""

    items = fields.List(fields.Nested(Item), required=True, validate=validate.Length(min=1, max=MAX_ITEMS))
    nodes = fields.List(fields.Nested(Node), required=True, validate=validate.Length(min=1, max=MAX_NODES))
    max_moves = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=MAX_ITEMS),
        metadata={"description": "placed items that may change their node; null: any number"},
    )


@agent.task(
    "predict_scaling", schema=PredictScaling, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES
)
def predict_scaling(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Forecast a series and return the instance counts that keep utilisation at the target.

    Method: additive exponential smoothing with damped trend and season, chosen by its error so far; empirical
    prediction intervals; back-test on the last tenth beside the seasonal naive forecast. Units: those of the
    series, seconds, instances. Source: Hyndman et al., Forecasting with Exponential Smoothing (2008); the
    count is the rule of the Kubernetes Horizontal Pod Autoscaler.
    """
    series = load_series(parameters.pop("series"), data_folder())
    task.progress(0.2, f"read {len(series)} points")
    parameters["kind"] = Kind(parameters["kind"])
    parameters["plan_for"] = PlanFor(parameters["plan_for"])
    parameters["target_percent"] = parameters.pop("target_utilization")
    return predict(series, Wanted(**parameters), task.progress)


@agent.task("balance_load", schema=BalanceLoad, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES)
def balance_load(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Move at most `max_moves` items so that the fullest node is as little full as can be found.

    Method: the largest items off the fullest nodes, placed longest first, then moves and swaps; beside it
    lower bounds that no placement is below. Units: utilisation is load ÷ capacity, imbalance peak ÷ mean - 1.
    Source: Graham 1969; Aggarwal, Motwani, Zhu, The load rebalancing problem (SPAA 2003).
    """
    return balance(
        parameters["items"], parameters["nodes"], max_moves=parameters["max_moves"], progress=task.progress
    )


def __getattr__(name: str) -> Any:
    """Build `app`, the Celery application, when `celery -A workers.resource` first asks for it."""
    if name == "app":
        return agent.celery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

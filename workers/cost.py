"""The cost agent: `analyze_cost` over FOCUS 1.0 billing data (figures: docs/COST_ANALYSIS.md).

orchestrator worker workers.cost:agent --name cost-1
celery -A workers.cost worker
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from orchestrator import Agent
from workers.focus.analysis import analyze
from workers.focus.folder import open_inside
from workers.focus.period import PeriodName
from workers.focus.records import FileSource, RowSource
from workers.focus.values import MAX_KEY_CHARACTERS

if TYPE_CHECKING:
    from orchestrator.context import TaskContext

DATA_DIR_VARIABLE = "ORCHESTRATOR_DATA_DIR"
MAX_INLINE_ROWS = 10_000
MAX_PATH_CHARACTERS = 1_024
TIMEOUT_SECONDS = 300
"""Enough for several million rows."""
MAX_RETRIES = 3

agent = Agent("cost", version="1.0.0")


class AnalyzeCost(Schema):
    """Exactly one of `path` and `rows`."""

    path = fields.String(
        load_default=None,
        validate=validate.Length(min=1, max=MAX_PATH_CHARACTERS),
        metadata={"description": "CSV file of FOCUS 1.0 billing data, inside the agent's data folder"},
    )
    rows = fields.List(
        fields.Dict(keys=fields.String()),
        load_default=None,
        validate=validate.Length(max=MAX_INLINE_ROWS),
        metadata={"description": "charges as objects with FOCUS 1.0 column names as keys"},
    )
    account_id = fields.String(
        load_default=None,
        validate=[validate.Length(min=1, max=MAX_KEY_CHARACTERS), validate.NoneOf(["NULL"])],
        metadata={"description": "only charges with this SubAccountId or BillingAccountId"},
    )
    period = fields.String(
        load_default=PeriodName.ALL.value,
        validate=validate.OneOf([name.value for name in PeriodName]),
        metadata={"description": "whole UTC days, counted back from the day of the last charge"},
    )

    @validates_schema
    def one_source(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse both sources at once, and none."""
        if (data.get("path") is None) == (data.get("rows") is None):
            raise ValidationError("give exactly one of path and rows", "path")


@agent.task("analyze_cost", schema=AnalyzeCost, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES)
def analyze_cost(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the cost analysis. The data folder is read from the environment at every run."""
    choices = {"account_id": parameters["account_id"], "period_name": PeriodName(parameters["period"])}
    if parameters["rows"] is not None:
        return analyze(RowSource(parameters["rows"]), progress=task.progress, **choices)
    folder = Path(os.environ.get(DATA_DIR_VARIABLE) or ".")
    with open_inside(folder, parameters["path"]) as file:
        return analyze(FileSource(file), progress=task.progress, **choices)


def __getattr__(name: str) -> Any:
    """Build `app`, the Celery application, when `celery -A workers.cost` first asks for it."""
    if name == "app":
        return agent.celery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

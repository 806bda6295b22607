"""The cost agent: `analyze_cost`, `right_size`, `migrate_to_spot` and `reserved_instances`.

Figures: docs/agents/cost_analysis.md and docs/agents/cost.md. All plan from data; none touches a cloud.

orchestrator worker workers.cost:agent --name cost-1
celery -A workers.cost worker
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator import Agent
from workers.commitment.plan import Terms, plan_commitment, plan_commitments
from workers.commitment.schemas import ReservedInstances
from workers.data_folder import open_inside
from workers.focus.analysis import analyze
from workers.focus.charge import COLUMNS
from workers.focus.period import PeriodName
from workers.focus.records import FileSource, RowSource
from workers.focus.schemas import AnalyzeCost
from workers.focus.usage import USAGE_COLUMNS, UsagePeriod
from workers.rightsizing.catalogue import given_catalogue, shipped_catalogue
from workers.rightsizing.fit import Rules
from workers.rightsizing.plan import Prices, plan_sizes
from workers.rightsizing.schemas import RightSize
from workers.rightsizing.source import Percentiles, UtilisationFile, file_instances, inline_instances
from workers.series import data_folder, load_series
from workers.spot.interruptions import Interruptions
from workers.spot.plan import Market, plan_spot
from workers.spot.qualification import Tolerance
from workers.spot.schemas import MigrateToSpot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.context import TaskContext
    from workers.focus.records import Source

TIMEOUT_SECONDS = 300
"""Enough for several million rows."""
MAX_RETRIES = 3
READING_SHARE = 0.9
"""Part of a run that reading takes, for progress."""
_OPTIONS: dict[str, Any] = {"timeout_seconds": TIMEOUT_SECONDS, "max_retries": MAX_RETRIES}

agent = Agent("cost", version="1.1.0")


@agent.task("analyze_cost", schema=AnalyzeCost, **_OPTIONS)
def analyze_cost(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the cost analysis. The data folder is read from the environment at every run."""
    with _billing(parameters, COLUMNS) as source:
        return analyze(
            source,
            account_id=parameters["account_id"],
            period_name=PeriodName(parameters["period"]),
            progress=task.progress,
        )


@agent.task("right_size", schema=RightSize, **_OPTIONS)
def right_size(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return for each instance the next size towards the smallest that fits, and what that saves.

    Method: nearest-rank percentiles of utilisation, scaled by the ratio of the sizes, must leave the
    head-room free. Units: percent of the size; money per month in the currency of the prices. Source: the
    series and prices of the caller; sizes from the catalogue, which holds no prices.
    """
    percentiles = Percentiles(parameters["cpu_percentile"], parameters["memory_percentile"])
    folder = data_folder()
    if parameters["instances"] is not None:
        found = list(inline_instances(parameters["instances"], percentiles, folder))
    else:
        found = list(
            file_instances(
                UtilisationFile(folder, parameters["path"], parameters["columns"]),
                parameters["instance_ids"],
                percentiles,
                lambda done: task.progress(done * READING_SHARE, "reading the utilisation"),
            )
        )
    given = parameters["catalogue"]
    return plan_sizes(
        found,
        shipped_catalogue() if given is None else given_catalogue(given),
        Rules(parameters["headroom"], parameters["max_steps"], parameters["minimum_days"]),
        Prices(parameters["prices"], parameters["hours_per_month"], parameters["currency"]),
        set(parameters["instance_ids"] or ()) - {item.id for item in found},
    )


@agent.task("migrate_to_spot", schema=MigrateToSpot, **_OPTIONS)
def migrate_to_spot(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return which instances qualify for spot capacity and why, and the expected saving after interruptions.

    Method: expected running time with checkpoints under Poisson interruptions (Duda 1983, Daly 2006). Units:
    hours, money in the currency of the data. Source: hours and on-demand cost from FOCUS rows; discount,
    interruptions and what bears them from the caller.
    """
    interruptions = Interruptions(
        parameters["interruption_rate"], parameters["checkpoint_hours"], parameters["restart_hours"]
    )
    tolerance = Tolerance(
        frozenset(parameters["interruptible_ids"]),
        parameters["interruptible_tags"],
        frozenset(parameters["protected_ids"]),
        parameters["protected_tags"],
    )
    market = Market(parameters["discount"], interruptions, parameters["cost_per_interruption"])
    with _billing(parameters, USAGE_COLUMNS) as source:
        return plan_spot(
            _usage_period(source, parameters, task), parameters["resource_types"], tolerance, market
        )


@agent.task("reserved_instances", schema=ReservedInstances, **_OPTIONS)
def reserved_instances(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the commitments of highest saving on steady hourly usage, and how the present ones are used.

    Method: the quantile of hourly usage at level 1 - committed rate ÷ on-demand rate (newsvendor). Units:
    instances, hours, money in the currency of the data. Source: usage and rates from FOCUS rows, or from the
    caller.
    """
    discount, rate = parameters["discount"], parameters["committed_rate"]
    if parameters["usage"] is not None:
        series = load_series(parameters["usage"], data_folder(), name="usage")
        terms = Terms(parameters["term_months"], {}, discount)
        return plan_commitment(
            series, on_demand_rate=parameters["on_demand_rate"], committed_rate=rate, terms=terms
        )
    terms = Terms(parameters["term_months"], parameters["committed_rates"], discount)
    with _billing(parameters, USAGE_COLUMNS) as source:
        return plan_commitments(_usage_period(source, parameters, task), parameters["resource_types"], terms)


@contextmanager
def _billing(parameters: dict[str, Any], columns: tuple[str, ...]) -> Iterator[Source]:
    if parameters["rows"] is not None:
        yield RowSource(parameters["rows"], columns)
        return
    with open_inside(data_folder(), parameters["path"]) as file:
        yield FileSource(file, columns)


def _usage_period(source: Source, parameters: dict[str, Any], task: TaskContext) -> UsagePeriod:
    return UsagePeriod(source, parameters["account_id"], PeriodName(parameters["period"]), task.progress)


def __getattr__(name: str) -> Any:
    """Build `app`, the Celery application, when `celery -A workers.cost` first asks for it."""
    if name == "app":
        return agent.celery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

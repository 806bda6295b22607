"""The performance agent: `optimize_kv_cache` and `tune_inference` (figures: docs/agents/performance.md).

orchestrator worker workers.performance:agent --name performance-1
celery -A workers.performance worker
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import Agent
from workers.serving.cost_model import CostModel
from workers.serving.kv_cache import plan_kv_cache
from workers.serving.memory import Gpus, ModelShape
from workers.serving.schemas import OptimizeKvCache, TuneInference
from workers.serving.simulator import ServerLimits
from workers.serving.source import load_lengths, load_requests
from workers.serving.tuning import tune

if TYPE_CHECKING:
    from orchestrator.context import TaskContext

DATA_DIR_VARIABLE = "ORCHESTRATOR_DATA_DIR"
TIMEOUT_SECONDS = 300
"""Several times what the largest trace takes on one core."""
MAX_RETRIES = 3
READING_SHARE = 0.1
"""Part of a run that reading the trace takes, for progress."""

agent = Agent("performance", version="1.0.0")


@agent.task(
    "optimize_kv_cache", schema=OptimizeKvCache, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES
)
def optimize_kv_cache(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of a paged KV cache for a model, GPUs and a trace.

    Method: bytes per token = 2 · layers · KV heads · head size · bytes per element; paging and its waste as
    in PagedAttention (Kwon et al., SOSP 2023). Units: bytes, tokens, shares of 1. Source: the parameters.
    """
    trace = load_lengths(parameters["trace"], _data_folder(), _reading(task))
    return plan_kv_cache(
        trace,
        ModelShape(**parameters["model"]),
        Gpus(**parameters["gpu"], weights_bytes=parameters["weights_bytes"]),
        block_sizes=parameters["block_sizes"],
        percentiles=parameters["percentiles"],
        block_overhead_bytes=parameters["block_overhead_bytes"],
        tolerance=parameters["tolerance"],
        progress=_computing(task),
    )


@agent.task("tune_inference", schema=TuneInference, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES)
def tune_inference(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return throughput and latencies of each batch limit, and the best within the limits.

    Method: discrete-event simulation of continuous batching (Orca, Yu et al., OSDI 2022) with a linear cost
    model. Units: seconds, tokens. Source: the trace and the coefficients of the parameters.
    """
    trace = load_requests(parameters["trace"], _data_folder(), _reading(task))
    server = ServerLimits(1, parameters["kv_capacity_tokens"], parameters["prefill_token_budget"])
    return tune(
        trace,
        CostModel(**parameters["cost_model"]),
        batch_limits=parameters["batch_limits"],
        server=server,
        rate_factor=parameters["rate_factor"],
        limits=parameters["limits"],
        throughput_tolerance=parameters["throughput_tolerance"],
        progress=_computing(task),
    )


def _data_folder() -> Path:
    """Return the folder that files are read from; the environment is asked at every run."""
    return Path(os.environ.get(DATA_DIR_VARIABLE) or ".")


def _reading(task: TaskContext) -> Any:
    return lambda done: task.progress(done * READING_SHARE, "reading the trace")


def _computing(task: TaskContext) -> Any:
    return lambda done, message: task.progress(READING_SHARE + done * (1 - READING_SHARE), message)


def __getattr__(name: str) -> Any:
    """Build `app`, the Celery application, when `celery -A workers.performance` first asks for it."""
    if name == "app":
        return agent.celery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

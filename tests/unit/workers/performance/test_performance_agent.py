"""The performance agent as a whole: sample tasks, the real trace, a million requests."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from math import ceil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import workers.performance
from orchestrator.context import TaskContext
from orchestrator.parameters import load_parameters
from tests.support.alone import run_alone
from tests.unit.workers.billing import PROJECT, real_data
from tests.unit.workers.performance.serving import lindley
from workers.performance import agent
from workers.serving.cost_model import CostModel
from workers.serving.schemas import MAX_CHOICES
from workers.table import REPORTS

if TYPE_CHECKING:
    from pathlib import Path

REAL = "llm-trace/AzureLLMInferenceTrace_code.csv"
MILLION = 1_000_000
MEMORY_LIMIT_MIB = 300
SECONDS_LIMIT = 60
MODEL = {"layers": 32, "kv_heads": 8, "head_size": 128, "dtype": "bfloat16"}
COEFFICIENTS = {
    "prefill_seconds_per_token": 5e-5,
    "decode_base_seconds": 0.01,
    "decode_seconds_per_context_token": 1e-7,
}


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    path = real_data(REAL)
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(path.parents[1]))
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def moments(rows: list[dict[str, str]]) -> list[float]:
    """Return the arrivals in seconds since the first one, to the microsecond."""
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]) for row in rows]
    return [(time - times[0]).total_seconds() for time in times]


@pytest.mark.parametrize("task_type", ["optimize_kv_cache", "tune_inference"])
def test_sample_task_completes_with_a_best_choice(task_type: str) -> None:
    body = json.loads((PROJECT / "examples" / "performance" / f"{task_type}.json").read_text())
    result = agent.run(body["task_type"], body["parameters"])

    assert (body["agent_type"], body["task_type"]) == (agent.agent_type, task_type)
    assert result["best"] is not None
    assert agent.run(body["task_type"], body["parameters"]) == result
    assert len(json.dumps(result, allow_nan=False)) < 64 * 1024


def test_importing_the_agent_builds_no_celery_application_and_reads_no_environment() -> None:
    code = (
        "import os, sys; import numpy; os.environ = None; import workers.performance\n"
        "assert 'celery' not in sys.modules and 'scipy' not in sys.modules\n"
        "assert 'celery' not in vars(workers.performance.agent)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=60)


@pytest.mark.parametrize("task_type", ["optimize_kv_cache", "tune_inference"])
def test_progress_rises_through_reading_and_computing(tmp_path: Path, task_type: str) -> None:
    body = json.loads((PROJECT / "examples" / "performance" / f"{task_type}.json").read_text())
    seen: list[float] = []
    reporter = SimpleNamespace(progress=lambda fraction, _message: seen.append(fraction))
    declared = agent.find(task_type)
    task = replace(TaskContext.offline(60, {}), reporter=reporter)
    declared.handler(task, load_parameters(declared.schema, body["parameters"]))

    assert seen == sorted(seen)
    assert 1 < len(seen) <= REPORTS + MAX_CHOICES


def test_module_has_no_attribute_but_its_own() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'apps'"):
        _ = workers.performance.apps


def test_schemas_describe_every_parameter() -> None:
    for declared in agent.task_types.values():
        schema = declared.describe()["parameters_schema"]
        objects = [schema, *schema["$defs"].values()]
        assert all(
            "description" in described or "$ref" in described
            for properties in objects
            for described in properties["properties"].values()
        )


def test_real_trace_fills_the_blocks_that_a_plain_count_says(real: list[dict[str, str]]) -> None:
    parameters = {
        "model": MODEL,
        "gpu": {"memory_bytes": 80 * 2**30, "usable_fraction": 0.9},
        "weights_bytes": 16 * 10**9,
        "trace": {"path": REAL},
    }
    result = agent.run("optimize_kv_cache", parameters)

    lengths = [int(row["ContextTokens"]) + int(row["GeneratedTokens"]) for row in real]
    assert result["requests"] == len(lengths) == 8819
    assert result["bytes_per_token"] == 131_072, (
        "a published figure of 8 KV heads of 128 in 32 layers: 128 KiB"
    )
    assert result["tokens_per_request"]["mean"] == pytest.approx(sum(lengths) / len(lengths))
    for entry in result["block_sizes"]:
        slots = sum(ceil(length / entry["block_size"]) for length in lengths) * entry["block_size"]
        assert entry["waste"]["at_end_share"] == pytest.approx(1 - sum(lengths) / slots)
        for line in entry["largest_batch"]:
            longest = line["blocks_per_request"] * entry["block_size"]
            assert sum(length <= longest for length in lengths) >= line["percentile"] / 100 * len(lengths)
    assert result["best"]["block_size"] == 32


def test_real_trace_with_a_batch_of_one_is_lindleys_queue(real: list[dict[str, str]]) -> None:
    result = agent.run(
        "tune_inference", {"trace": {"path": REAL}, "cost_model": COEFFICIENTS, "batch_limits": [1]}
    )

    requests = [
        (moment, int(row["ContextTokens"]), int(row["GeneratedTokens"]))
        for moment, row in zip(moments(real), real, strict=True)
    ]
    cost = CostModel(
        prefill_base_seconds=0,
        prefill_seconds_per_token_squared=0,
        decode_seconds_per_sequence=0,
        **COEFFICIENTS,
    )
    expected = lindley(requests, cost)
    run = result["runs"][0]
    waits = [end - moment for end, (moment, _, _) in zip(expected.finished, requests, strict=True)]
    assert run["makespan_seconds"] == pytest.approx(max(expected.finished), abs=1e-3)
    assert run["latency_seconds"]["mean"] == pytest.approx(sum(waits) / len(waits), abs=1e-3)
    assert run["latency_seconds"]["max"] == pytest.approx(max(waits), abs=1e-3)


def test_real_trace_obeys_littles_law_and_the_limits(real: list[dict[str, str]]) -> None:
    limits = {"ttft_p99_seconds": 50.0, "tpot_p99_seconds": 0.25}
    result = agent.run(
        "tune_inference",
        {
            "trace": {"path": REAL},
            "cost_model": COEFFICIENTS,
            "kv_capacity_tokens": 200_000,
            "limits": limits,
        },
    )

    assert result["context_tokens"] == sum(int(row["ContextTokens"]) for row in real)
    assert result["generated_tokens"] == sum(int(row["GeneratedTokens"]) for row in real)
    for run in result["runs"]:
        arrivals_per_second = run["throughput"]["requests_per_second"]
        assert run["mean_in_system"] == pytest.approx(arrivals_per_second * run["latency_seconds"]["mean"])
        within = run["ttft_seconds"]["p99"] <= 50 and run["tpot_seconds"]["p99"] <= 0.25
        assert within == (not run["exceeded_limits"])
    kept = [run for run in result["runs"] if not run["exceeded_limits"]]
    assert 0 < len(kept) < len(result["runs"])
    fastest = max(run["throughput"]["generated_tokens_per_second"] for run in kept)
    assert result["best"]["batch_limit"] in [run["batch_limit"] for run in kept]
    assert result["best"]["throughput"]["generated_tokens_per_second"] >= fastest * 0.999
    assert len(json.dumps(result, allow_nan=False)) < 64 * 1024


def run_bounded(folder: Path, task_type: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a run in a process of its own, within the bounds of time and memory."""
    run = run_alone("workers.performance", task_type, parameters, data=folder)
    assert run.cpu_seconds <= SECONDS_LIMIT
    assert run.peak_mib <= MEMORY_LIMIT_MIB
    result: dict[str, Any] = run.result
    return result


def test_a_million_requests_are_planned_and_simulated_within_a_minute_and_300_mib(tmp_path: Path) -> None:
    """Request n comes at n / 4 s with 1 + n % 50 context tokens and 1 + n % 20 answers: closed forms."""
    with (tmp_path / "trace.csv").open("w") as file:
        file.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for n in range(MILLION):
            file.write(f"{n / 4},{1 + n % 50},{1 + n % 20}\n")
    model = {"model": MODEL, "gpu": {"memory_bytes": 2**34}, "weights_bytes": 2**33}
    trace = {"trace": {"path": "trace.csv"}}

    cache = run_bounded(tmp_path, "optimize_kv_cache", {**model, **trace})
    assert cache["requests"] == MILLION
    assert cache["tokens_per_request"]["mean"] == 25.5 + 10.5

    cost = {"prefill_seconds_per_token": 0.001, "decode_base_seconds": 0.02}
    tuned = run_bounded(tmp_path, "tune_inference", {**trace, "cost_model": cost, "batch_limits": [1]})
    one = tuned["runs"][0]
    assert one["utilization"] == pytest.approx((25.5 * 0.001 + 9.5 * 0.02) / 0.25, abs=1e-4)
    assert one["tpot_seconds"]["max"] == pytest.approx(0.02)
    assert one["mean_in_system"] == pytest.approx(4 * one["latency_seconds"]["mean"], rel=1e-5)

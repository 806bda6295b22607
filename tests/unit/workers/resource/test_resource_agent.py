"""What the agent declares, and the samples that come with it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.unit.workers.billing import PROJECT
from workers.resource import agent


def sample(task_type: str) -> dict[str, Any]:
    path = PROJECT / "examples" / "resource" / f"{task_type}.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("task_type", ["predict_scaling", "balance_load"])
def test_samples_fit_the_published_schema_and_run(task_type: str) -> None:
    body = sample(task_type)
    assert (body["agent_type"], body["task_type"]) == ("resource", task_type)
    schema = agent.find(task_type).describe()["parameters_schema"]
    Draft202012Validator(schema).validate(body["parameters"])
    result = agent.run(task_type, body["parameters"])
    assert result["insufficient_data"].keys() <= {"season_of_a_week"}
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert agent.run(task_type, body["parameters"]) == result


def test_sample_series_is_forecast_better_than_naively() -> None:
    result = agent.run("predict_scaling", sample("predict_scaling")["parameters"])
    assert result["backtest"]["better_than_naive"]
    assert result["model"]["season_seconds"] == 86_400
    assert len(set(result["instances"]["counts"])) > 2


def test_sample_moves_lower_the_peak() -> None:
    result = agent.run("balance_load", sample("balance_load")["parameters"])
    assert result["after"]["imbalance"] < result["before"]["imbalance"] / 2


def test_an_idle_agent_has_loaded_no_heavy_library() -> None:

    code = "import sys, workers.resource; print({'scipy', 'statsmodels', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode().strip() == "set()"

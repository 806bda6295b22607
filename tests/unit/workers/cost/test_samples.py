"""The sample task of every task type of the cost agent, and what the agent says of itself."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tests.unit.workers.billing import PROJECT
from workers.cost import agent

EXAMPLES = PROJECT / "examples" / "cost"


def test_there_is_a_sample_for_every_task_type() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(agent.task_types)


@pytest.mark.parametrize("name", ["right_size", "migrate_to_spot", "reserved_instances"])
def test_sample_completes_with_recommendations_in_the_names_that_older_clients_read(name: str) -> None:
    body = json.loads((EXAMPLES / f"{name}.json").read_text())
    assert (body["agent_type"], body["task_type"]) == ("cost", name)
    jsonschema.validate(body["parameters"], agent.find(name).describe()["parameters_schema"])
    result: dict[str, Any] = agent.run(name, body["parameters"])
    assert {"total_instances", "monthly_savings", "average_size_reduction"} <= set(result)
    assert result["monthly_savings"] is not None
    assert all({"type", "instances", "monthly_savings"} <= set(item) for item in result["recommendations"])
    assert result["recommendations"]
    assert len(json.dumps(result, allow_nan=False)) < 64 * 1024


def test_schemas_are_json_and_describe_their_parameters() -> None:
    for declared in agent.task_types.values():
        schema = json.loads(json.dumps(declared.describe(), allow_nan=False))["parameters_schema"]
        undescribed = [
            name
            for name, value in schema["properties"].items()
            if not {"description", "title", "$ref", "allOf", "default"} & set(value)
        ]
        assert undescribed == []

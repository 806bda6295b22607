from __future__ import annotations

from typing import Any

import pytest

from orchestrator.intake.parameter_check import MAX_ERRORS, MAX_MESSAGE_CHARACTERS, ParameterCheck

SCHEMA = {
    "type": "object",
    "properties": {
        "account": {"type": "string"},
        "rows": {"type": "array", "items": {"type": "object", "required": ["cost"]}},
    },
    "required": ["account"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"account": "1"}, set()),
        ({}, {"parameters.account"}),
        ({"account": 1}, {"parameters.account"}),
        ({"account": "1", "x": 1, "y": 2}, {"parameters.x", "parameters.y"}),
        ({"account": "1", "rows": [{"cost": 1}, {}]}, {"parameters.rows.1.cost"}),
        ({"account": "1", "rows": {}}, {"parameters.rows"}),
    ],
)
def test_every_bad_field_is_named(parameters: dict[str, Any], fields: set[str]) -> None:
    assert set(ParameterCheck(SCHEMA).find_problems(parameters)) == fields


def test_number_and_length_of_reasons_are_bounded() -> None:
    many = {"account": "1", "rows": [{} for _ in range(10_000)]}
    problems = ParameterCheck(SCHEMA).find_problems(many)
    assert len(problems) == MAX_ERRORS

    long = ParameterCheck(SCHEMA).find_problems({"account": ["x" * 100_000]})
    assert len(long["parameters.account"][0]) <= MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"properties": []}, {"required": "x"}])
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a JSON Schema"):
        ParameterCheck(schema)


def test_schema_is_fetched_from_nowhere() -> None:
    check = ParameterCheck({"$ref": "http://127.0.0.1:9/schema.json"})

    assert check.find_problems({"a": 1}) == {}

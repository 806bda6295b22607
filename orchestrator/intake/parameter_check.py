"""Parameters against the JSON Schema that the capability's agent registered."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema.exceptions import ValidationError

MAX_ERRORS = 50
MAX_MESSAGE_CHARACTERS = 200


class ParameterCheck:
    """A compiled schema. It fetches nothing: a reference to elsewhere makes the schema unusable."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Compile; raise ValueError for what is no JSON Schema."""
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message[:MAX_MESSAGE_CHARACTERS]}") from error
        self._validator = Draft202012Validator(schema, registry=Registry())

    def find_problems(self, parameters: dict[str, Any]) -> dict[str, list[str]]:
        """Return the reasons by field (`parameters.account_id`), at most MAX_ERRORS."""
        problems: dict[str, list[str]] = {}
        try:
            for field, reason in _named(islice(self._validator.iter_errors(parameters), MAX_ERRORS)):
                reasons = problems.setdefault(field, [])
                if reason not in reasons:
                    reasons.append(reason)
        except (Unresolvable, RecursionError):
            return {}  # the schema itself is at fault: the agent checks the parameters again before it runs
        return problems


def _named(errors: Iterable[ValidationError]) -> Iterator[tuple[str, str]]:
    for error in errors:
        path = ".".join(["parameters", *(str(part)[:MAX_MESSAGE_CHARACTERS] for part in error.absolute_path)])
        match error.validator:
            case "required":
                for name in error.validator_value:
                    if name not in error.instance:
                        yield f"{path}.{name}", "is required"
            case "additionalProperties" if isinstance(error.schema, dict):
                known = error.schema.get("properties", {})
                for name in islice((name for name in error.instance if name not in known), MAX_ERRORS):
                    yield f"{path}.{str(name)[:MAX_MESSAGE_CHARACTERS]}", "unknown field"
            case _:
                yield path, error.message[:MAX_MESSAGE_CHARACTERS]

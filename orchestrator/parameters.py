"""A task's parameters: checked by its marshmallow schema, published as JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from orchestrator.errors import PermanentError

if TYPE_CHECKING:
    from marshmallow import Schema

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_ERROR_CHARACTERS = 2000


class ParametersError(PermanentError):
    """The parameters do not fit the schema: no retry can help."""


def load_parameters(schema: Schema | None, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what the schema makes of the parameters; without a schema, the parameters as they are.

    Raises ParametersError naming every bad field.
    """
    if schema is None:
        return parameters
    try:
        return cast("dict[str, Any]", schema.load(parameters))
    except marshmallow.ValidationError as error:
        text = json.dumps(error.messages, default=str)[:MAX_ERROR_CHARACTERS]
        raise ParametersError(f"the parameters do not fit the schema: {text}") from error


def to_json_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a marshmallow schema, nested schemas under `$defs`."""
    spec = APISpec("", "", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("Parameters", schema=schema)
    schemas = spec.to_dict()["components"]["schemas"]
    text = json.dumps(schemas).replace("#/components/schemas/", "#/$defs/")
    definitions = json.loads(text)
    parameters = definitions.pop("Parameters")
    return {"$schema": JSON_SCHEMA_DIALECT, **parameters, **({"$defs": definitions} if definitions else {})}

"""The marshmallow field of a series parameter: `{"path", "time", "value"}` or `[[time, value], …]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields

MAX_INLINE_POINTS = 50_000
MAX_PATH_CHARACTERS = 1_024
MAX_COLUMN_CHARACTERS = 256
DEFAULT_TIME_COLUMN = "timestamp"
DEFAULT_VALUE_COLUMN = "value"
_KEYS = {"path": MAX_PATH_CHARACTERS, "time": MAX_COLUMN_CHARACTERS, "value": MAX_COLUMN_CHARACTERS}
_SHAPE = 'give {"path": "file.csv", "time": "timestamp", "value": "value"} or [[time, value], ...]'
_TEXT = {"type": "string", "minLength": 1}
_JSON_SCHEMA = {
    "oneOf": [
        {
            "type": "object",
            "description": "a CSV file with a header, inside the agent's data folder, and two of its columns",
            "properties": {
                "path": {**_TEXT, "maxLength": MAX_PATH_CHARACTERS},
                "time": {**_TEXT, "maxLength": MAX_COLUMN_CHARACTERS, "default": DEFAULT_TIME_COLUMN},
                "value": {**_TEXT, "maxLength": MAX_COLUMN_CHARACTERS, "default": DEFAULT_VALUE_COLUMN},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
        {
            "type": "array",
            "description": "points as [time, value]; a time is ISO 8601 text (UTC without a zone) or seconds "
            "since 1970-01-01",
            "maxItems": MAX_INLINE_POINTS,
            "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": ["string", "number"]}},
        },
    ]
}


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """Where a series is: columns of the file at `path`, or `points` when `path` is None."""

    path: str | None = None
    time: str = DEFAULT_TIME_COLUMN
    value: str = DEFAULT_VALUE_COLUMN
    points: tuple[Any, ...] | list[Any] = ()


class SeriesField(fields.Field[SeriesSpec]):
    """Loads a SeriesSpec. What the points hold is checked by `load_series`, which names the point."""

    def __init__(self, *, metadata: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(metadata={**_JSON_SCHEMA, **(metadata or {})}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> SeriesSpec:
        del attr, data, kwargs
        match value:
            case dict():
                return _file_spec(value)
            case list():
                if len(value) > MAX_INLINE_POINTS:
                    raise ValidationError(
                        f"holds {len(value)} points; at most {MAX_INLINE_POINTS} are taken inline, "
                        "more from a file"
                    )
                return SeriesSpec(points=value)
            case _:
                raise ValidationError(_SHAPE)


def _file_spec(value: dict[Any, Any]) -> SeriesSpec:
    unknown = [str(key)[:60] for key in value if key not in _KEYS]
    if unknown:
        raise ValidationError(f"unknown key {unknown[0]!r}; {_SHAPE}")
    if "path" not in value:
        raise ValidationError(f"has no path; {_SHAPE}")
    for key, text in value.items():
        if not isinstance(text, str) or not 0 < len(text) <= _KEYS[key]:
            raise ValidationError(f"{key} must be a text of 1 to {_KEYS[key]} characters")
    return SeriesSpec(**value)

"""Fields of requests and answers: strict about types, silent about null."""

# ruff: noqa: ARG002 - the signatures are marshmallow's
from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from orchestrator.intake.json_text import JsonText
from orchestrator.tasks.submission import NAME_PATTERN

MAX_ID_CHARACTERS = 128
MAX_METADATA_KEYS = 32
MAX_METADATA_KEY_CHARACTERS = 128
MAX_METADATA_TEXT_CHARACTERS = 2048
MAX_WHOLE_NUMBER = 2**63 - 1
NULLABLE: dict[str, Any] = {"load_default": None, "allow_none": True}
NAME_MESSAGE = "must be 1 to 128 characters of a-z, 0-9, '_', '.', '-'"
_NAME = re.compile(NAME_PATTERN)
REQUIRED_MESSAGES = {"required": "is required", "null": "is required"}


def _require_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValidationError(NAME_MESSAGE)


def is_clean(text: str) -> bool:
    """Whether a text has neither NUL nor half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class Name(fields.String):
    """An agent type or task type."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            validate=_require_name,
            error_messages={**REQUIRED_MESSAGES, "invalid": NAME_MESSAGE},
            metadata={"pattern": NAME_PATTERN},
            **kwargs,
        )


class PlainText(fields.String):
    """A short text without NUL and half surrogates."""

    def __init__(self, *, max_characters: int, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(1, max_characters), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_clean(text):
            raise ValidationError("must not contain NUL or half of a surrogate pair")
        return text


class WholeNumber(fields.Integer):
    """A JSON number without a fraction; neither a text nor a truth value will do. 0 may mean "not given"."""

    def __init__(self, *, low: int, high: int, zero_is_silence: bool = False, **kwargs: Any) -> None:
        self._zero_is_silence = zero_is_silence
        super().__init__(
            strict=True,
            validate=validate.Range(low, high, error=f"must be {low} to {high}"),
            error_messages={"invalid": "must be a whole number"},
            metadata={"description": "0 means: not given"} if zero_is_silence else {},
            **kwargs,
        )

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        """Return the number, None for silence."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        silent = self._zero_is_silence and value == 0 and not isinstance(value, bool)
        return super().deserialize(None if silent else value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            raise ValidationError("must be a number")
        return super()._deserialize(value, attr, data, **kwargs)


class QueryDuration(fields.Float):
    """Seconds in a query string."""

    def __init__(self, *, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(
            validate=validate.Range(low, high, error=f"must be {low:g} to {high:g}"),
            error_messages={"invalid": "must be a number", "special": "must be a number"},
            **kwargs,
        )


class Duration(QueryDuration):
    """Seconds in a body: a JSON number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            raise ValidationError("must be a number")
        return super()._deserialize(value, attr, data, **kwargs)


class Timestamp(fields.DateTime):
    """RFC 3339; out always in UTC with Z, in only with an offset."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else timestamp(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or len(value) > 64:  # noqa: PLR2004 - longer than any RFC 3339 time
            raise ValidationError("must be a time like 2026-01-31T12:00:00Z")
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValidationError("must be a time like 2026-01-31T12:00:00Z") from error
        raise ValidationError("must say its offset from UTC, like 2026-01-31T12:00:00Z")


class ParametersField(fields.Dict):
    """A JSON object that goes through as the text that was sent (JsonText)."""

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        """Return the JsonText, None for null."""
        if isinstance(value, JsonText) and value.value is None:
            return None
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, JsonText) or not isinstance(value.value, dict):
            raise ValidationError("must be an object")
        return value

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class Metadata(fields.Dict):
    """A flat object of at most 32 keys: texts, numbers, truth values, null."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("must be an object")
        if len(value) > MAX_METADATA_KEYS:
            raise ValidationError(f"must have at most {MAX_METADATA_KEYS} keys")
        problems: dict[str, Any] = {}
        for key, item in value.items():
            if not 0 < len(key) <= MAX_METADATA_KEY_CHARACTERS or not is_clean(key):
                limit = MAX_METADATA_KEY_CHARACTERS
                raise ValidationError(f"keys must be 1 to {limit} characters without NUL and half surrogates")
            if problem := _metadata_problem(item):
                problems[key] = [problem]
        if problems:
            raise ValidationError(problems)
        return value


def _metadata_problem(item: object) -> str | None:
    match item:
        case None | bool():
            return None
        case str():
            if len(item) > MAX_METADATA_TEXT_CHARACTERS:
                return f"must have at most {MAX_METADATA_TEXT_CHARACTERS} characters"
            return None if is_clean(item) else "must not contain NUL or half of a surrogate pair"
        case int():
            return None if abs(item) <= MAX_WHOLE_NUMBER else "is too large"
        case float():
            return None if math.isfinite(item) else "is too large"
        case _:
            return "must be a text, a number, true, false or null"


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

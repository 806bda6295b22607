"""One time and one value, out of a CSV field or a JSON value; FieldError says what is wrong with it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from workers.focus.values import FieldError, shown

MICROSECONDS = 1_000_000
MAX_NUMBER_CHARACTERS = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)
_LOWEST_SECONDS = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) / timedelta(seconds=1)
_HIGHEST_SECONDS = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) / timedelta(seconds=1)
_MAX_MAGNITUDE = 1e15
"""Beyond it sums of squares of a million values would lose what they are computed for."""
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)


def read_time(given: Any) -> int:
    """Return a time as microseconds since 1970-01-01 UTC, finer digits cut off."""
    match given:
        case str():
            return _time_of_text(given)
        case int() | float() if not isinstance(given, bool):
            return _time_of_seconds(given)
        case _:
            raise FieldError(f"holds a {type(given).__name__}; give an ISO 8601 text or seconds since 1970")


def read_value(given: Any) -> float:
    """Return a finite number of at most 1e15 either side of 0."""
    match given:
        case str():
            if not given or given == "NULL":
                raise FieldError("has no value; fill it in, or leave the row out")
            if len(given) > MAX_NUMBER_CHARACTERS or not _NUMBER.fullmatch(given):
                raise FieldError(f"{shown(given)} is not a finite decimal number")
            number = float(given)
        case int() | float() if not isinstance(given, bool):
            number = _as_float(given)
        case _:
            raise FieldError(f"holds a {type(given).__name__}; give a number")
    if not math.isfinite(number):
        raise FieldError(f"{number} is not a finite number; leave the point out")
    if abs(number) > _MAX_MAGNITUDE:
        raise FieldError(f"{number:g} is out of range; at most {_MAX_MAGNITUDE:g} either side of 0 is taken")
    return number


def _as_float(given: float) -> float:
    try:
        return float(given)
    except OverflowError:
        return math.inf


def _time_of_text(text: str) -> int:
    if _TIME.fullmatch(text):
        try:
            parsed = datetime.fromisoformat(text)
            return ((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - _EPOCH) // _ONE
        except (ValueError, OverflowError):
            pass
    elif len(text) <= MAX_NUMBER_CHARACTERS and _NUMBER.fullmatch(text):
        return _time_of_seconds(float(text))
    raise FieldError(f"{shown(text)} is not a time; write it like 2024-09-30 23:00:00 (UTC)")


def _time_of_seconds(seconds: float) -> int:
    number = _as_float(seconds)
    if not _LOWEST_SECONDS <= number <= _HIGHEST_SECONDS:
        raise FieldError(f"{number:g} is out of range; give seconds since 1970-01-01, not milliseconds")
    return math.floor(number * MICROSECONDS)

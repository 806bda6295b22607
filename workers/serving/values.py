"""What a field of a trace may hold: a time in whole nanoseconds, or a count of tokens."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

NANOSECONDS = 1_000_000_000
MAX_SECONDS = 4_000_000_000
"""Latest time as seconds: enough for epoch seconds of this century's first half."""
MAX_TOKENS = 10_000_000
"""Longest context or answer of one request."""
_SHOWN_CHARACTERS = 60
_SHOWN_BELOW = 10**18
_CACHED = 16_384
_MAX_DIGITS = 9
_LAST_SECOND = 59
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SECONDS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,20})?")


class FieldError(ValueError):
    """A field holds what it must not; the text says what, and what to do about it."""


def shown(value: Any) -> str:
    """Return a value as an error message may carry it: quoted and short."""
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…")
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < _SHOWN_BELOW):
        return repr(value)
    return "a number of many digits" if isinstance(value, int) else f"a {type(value).__name__}"


def iso_nanoseconds(text: Any) -> int:
    """Return an ISO 8601 time as nanoseconds since 1970 (no zone means UTC; up to nine decimal places)."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FieldError(f"{shown(text)} is not a time; write it like 2023-11-16 18:17:03.9799600 (UTC)")
    minute, second, fraction, zone = match.groups()
    if int(second) > _LAST_SECOND:
        raise FieldError(f"{shown(text)} has a second past 59; correct it")
    nanoseconds = int(fraction.ljust(9, "0")) if fraction else 0
    return (_epoch_minute(minute, zone or "Z") + int(second)) * NANOSECONDS + nanoseconds


@lru_cache(maxsize=_CACHED)
def _epoch_minute(minute: str, zone: str) -> int:
    try:
        return int(datetime.fromisoformat(f"{minute}:00{zone}").astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise FieldError(f"{shown(minute)} is not a time; write it like 2023-11-16 18:17 (UTC)") from None


def seconds_nanoseconds(value: Any) -> int:
    """Return seconds since any fixed moment (0 to MAX_SECONDS; a JSON number or its text) as nanoseconds."""
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:
        raise FieldError(f"{shown(value)} is not a number of seconds from 0 to {MAX_SECONDS}; correct it")
    return round(value * NANOSECONDS)


def looks_like_seconds(value: Any) -> bool:
    """Whether a first arrival is meant as seconds, not as an ISO 8601 time."""
    return not isinstance(value, str) or _SECONDS.fullmatch(value) is not None


def token_count(value: Any) -> int:
    """Return a whole number of 1 to MAX_TOKENS, given as a JSON integer or as its text."""
    count = value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
        count = int(value)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_TOKENS:
        raise FieldError(
            f"{shown(value)} is not a whole number of tokens from 1 to {MAX_TOKENS}; correct it, or leave "
            "the row out"
        )
    return count

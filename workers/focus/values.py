"""What a FOCUS field may hold: its value, None for no value, or FieldError with a remedy.

`NULL` and the empty text both mean no value. Billing files repeat their texts, so parsed ones are
remembered in bounded caches.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

MAX_INTEGER_DIGITS = 20
MAX_DECIMAL_PLACES = 30
MAX_NUMBER_CHARACTERS = 64
MAX_KEY_CHARACTERS = 256
"""Longest text that is grouped by: ids, names, categories."""
_SHOWN_CHARACTERS = 60
_CACHED = 16_384
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_IDLE = re.compile(r"\bidle\b", re.IGNORECASE)


class FieldError(ValueError):
    """A field holds what it must not; the text says what, and what to do about it."""


def shown(text: str) -> str:
    """Return the text as an error message may carry it: quoted and short."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def text(value: str) -> str | None:
    """Return a text to group by."""
    if value in ("", "NULL"):
        return None
    if len(value) > MAX_KEY_CHARACTERS:
        raise FieldError(f"holds {len(value)} characters; shorten it to {MAX_KEY_CHARACTERS} at most")
    return value


@lru_cache(maxsize=_CACHED)
def amount(value: str) -> Decimal | None:
    """Return a decimal number (FOCUS numeric format, E notation too) of bounded size."""
    if value in ("", "NULL"):
        return None
    if len(value) > MAX_NUMBER_CHARACTERS or not _NUMBER.fullmatch(value):
        raise FieldError(
            f"{shown(value)} is not a decimal number; write it with digits and a point, like -12.50"
        )
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if (
        not isinstance(exponent, int)
        or exponent < -MAX_DECIMAL_PLACES
        or number.adjusted() >= MAX_INTEGER_DIGITS
    ):
        raise FieldError(
            f"{shown(value)} is out of range; at most {MAX_INTEGER_DIGITS} digits before the point "
            f"and {MAX_DECIMAL_PLACES} after it are taken"
        )
    return number


def required_amount(value: str) -> Decimal:
    """Return a decimal number that must be there."""
    number = amount(value)
    if number is None:
        raise FieldError("has no value, and no total holds without it; fill it in, or leave the row out")
    return number


@lru_cache(maxsize=_CACHED)
def moment(value: str) -> datetime | None:
    """Return an ISO 8601 time as naive UTC; a time without a zone is UTC."""
    if value in ("", "NULL"):
        return None
    problem = FieldError(f"{shown(value)} is not a time; write it like 2024-09-30 23:00:00 (UTC)")
    if not _TIME.fullmatch(value):
        raise problem
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed
    except (ValueError, OverflowError):
        raise problem from None


def required_moment(value: str) -> datetime:
    """Return a time that must be there."""
    parsed = moment(value)
    if parsed is None:
        raise FieldError("has no value, so the charge belongs to no day; fill it in, or leave the row out")
    return parsed


def says_idle(value: str) -> bool:
    """Whether the provider's own description calls what is charged idle (as a whole word)."""
    return _IDLE.search(value) is not None

"""Text from outside, made storable."""

from __future__ import annotations

from typing import overload

MAX_ERROR = 8 * 1024
MAX_TRACEBACK = 16 * 1024
MAX_MESSAGE = 2 * 1024
MAX_NAME = 256
MAX_ENTRY = 16 * 1024


@overload
def storable(value: str, limit: int) -> str: ...
@overload
def storable(value: None, limit: int) -> None: ...
@overload
def storable(value: str | None, limit: int) -> str | None: ...
def storable(value: str | None, limit: int) -> str | None:
    """Return at most `limit` characters of `value`, without what a column refuses: NUL, lone surrogates."""
    if value is None:
        return None
    return value[:limit].replace("\x00", "").encode("utf-8", "ignore").decode()


LIMITS = {
    "code": MAX_NAME,
    "error": MAX_ERROR,
    "error_code": MAX_NAME,
    "error_type": MAX_NAME,
    "message": MAX_MESSAGE,
    "outcome": MAX_NAME,
    "progress_message": MAX_MESSAGE,
    "traceback": MAX_TRACEBACK,
}
"""Fields of text from outside, with the characters that are kept of each."""

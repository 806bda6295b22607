"""Strangers' JSON: parsed within bounds, with chosen members kept as the very text that was sent."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

from orchestrator.errors import RejectedError

MAX_DEPTH = 100
_WHITESPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")


class NotJsonError(RejectedError):
    """The text is no JSON."""


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON value and the text it was read from."""

    text: str
    value: Any


def parse_object(body: bytes, *, keep: frozenset[str]) -> dict[str, Any]:
    """Return the members of a JSON object; those named in `keep` as JsonText.

    Raises NotJsonError for what is no JSON in UTF-8, RejectedError for what is JSON but not accepted: no
    object, a key twice in one object, a number that no computer holds, nesting deeper than MAX_DEPTH.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJsonError(
            f"the body is not UTF-8: {error.reason} at byte {error.start}", code="not_json"
        ) from error
    _require_shallow(text)
    try:
        return _scan(text, keep)
    except json.JSONDecodeError as error:
        raise NotJsonError(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", code="not_json"
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise RejectedError("a number has too many digits", code="number_out_of_range") from error


def _scan(text: str, keep: frozenset[str]) -> dict[str, Any]:
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        _DECODER.decode(text)
        raise RejectedError("the body must be a JSON object", fields={"body": ["must be an object"]})
    members: dict[str, Any] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        if members:
            at = _expect(text, at, ",")
        key, at = scanstring(text, _expect_quote(text, at), True)  # noqa: FBT003 - its only form
        at = _expect(text, _skip(text, at), ":")
        value, end = _DECODER.raw_decode(text, at)
        if key in members:
            _refuse_key(key)
        members[key] = JsonText(text[at:end], value) if key in keep else value
        at = _skip(text, end)
    if _skip(text, at + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, at + 1)
    return members


def _skip(text: str, at: int) -> int:
    match = _WHITESPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise json.JSONDecodeError(f"Expecting {character!r}", text, at)
    return _skip(text, at + 1)


def _expect_quote(text: str, at: int) -> int:
    if text[at : at + 1] != '"':
        raise json.JSONDecodeError("Expecting a name in double quotes", text, at)
    return at + 1


def _require_shallow(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise _too_deep()


def _too_deep() -> RejectedError:
    return RejectedError(f"the body is nested deeper than {MAX_DEPTH} levels", code="too_deep")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                _refuse_key(key)
            seen.add(key)
    return members


def _refuse_key(key: str) -> NoReturn:
    shown = json.dumps(key)[:100]
    raise RejectedError(f"the key {shown} stands twice in one object", code="duplicate_key")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise RejectedError(f"the number {text[:40]} is too large", code="number_out_of_range")
    return number


def _no_constant(name: str) -> NoReturn:
    raise NotJsonError(f"the body is not JSON: {name} is no JSON number", code="not_json")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_finite, parse_constant=_no_constant, strict=True
)

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RejectedError
from orchestrator.intake.json_text import MAX_DEPTH, JsonText, NotJsonError, parse_object

KEEP = frozenset({"kept"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def parse(text: str) -> dict[str, Any]:
    return parse_object(text.encode("utf-8", "surrogatepass"), keep=KEEP)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.booleans(), st.sampled_from([None, 2]))
def test_parses_what_json_parses(document: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)

    parsed = parse_object(text.encode("utf-8"), keep=frozenset())

    assert parsed == json.loads(text)


@given(VALUES)
def test_kept_member_is_the_very_text_that_was_sent(value: Any) -> None:
    sent = json.dumps(value)

    assert parse(f' {{ "a" : 1 , "kept" :  {sent}  ,"z":[]}} ')["kept"] == JsonText(sent, value)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(RejectedError):
        assert isinstance(parse_object(body, keep=KEEP), dict)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "{]",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        '{,"a":1}',
        '{"a":1 "b":2}',
        "{a:1}",
        "{}x",
        '{"a":01}',
    ],
)
def test_what_is_no_json_says_where(text: str) -> None:
    with pytest.raises(NotJsonError, match="line 1, column"):
        parse(text)


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "true"])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(RejectedError, match="object"):
        parse(text)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"kept":{"b":1,"b":2}}', '{"a":1,"\\u0061":2}'])
def test_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(RejectedError) as refusal:
        parse(text)
    assert refusal.value.code == "duplicate_key"


def test_depth_is_bounded_and_brackets_in_texts_do_not_count() -> None:
    inner = MAX_DEPTH - 1
    assert parse('{"a":' + "[" * inner + "]" * inner + "}")
    assert parse(json.dumps({"a": "[{" * 5000 + '\\"[['}))
    with pytest.raises(RejectedError) as refusal:
        parse('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}")
    assert refusal.value.code == "too_deep"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_number_beyond_every_bound_is_refused(number: str) -> None:
    with pytest.raises(RejectedError) as refusal:
        parse(f'{{"kept": {{"x": [{number}]}}}}')
    assert refusal.value.code == "number_out_of_range"

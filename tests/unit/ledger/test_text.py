from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.ledger.text import storable


@given(st.text(st.characters()) | st.text(st.sampled_from("a\x00\ud800\udfff\U0001f600")), st.integers(0, 50))
def test_whatever_comes_can_be_stored(value: str, limit: int) -> None:
    text = storable(value, limit)
    text.encode()
    assert "\x00" not in text
    assert len(text) <= limit


@pytest.mark.parametrize(
    ("value", "kept"), [("plain ünï 😀", "plain ünï 😀"), ("a\x00b\ud800c", "abc"), (None, None)]
)
def test_only_what_cannot_be_stored_goes(value: str | None, kept: str | None) -> None:
    assert storable(value, 100) == kept

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.context import clip

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT, st.integers(4, 40))
def test_a_clipped_text_is_storable_and_within_its_bytes(text: str, limit: int) -> None:
    clipped = clip(text, limit)

    assert len(clipped.encode()) <= max(limit, 3 * len(text) if len(text) * 3 <= limit else limit)
    assert "\x00" not in clipped


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=10))
def test_a_short_text_stays_as_it_is(text: str) -> None:
    assert clip(text) == text

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINES = (ROOT / "Dockerfile").read_text().splitlines()
BASES = [line.split()[1] for line in LINES if line.startswith("FROM ")]


def test_it_is_built_in_stages_on_one_pinned_base() -> None:
    assert len(BASES) == 2
    assert len(set(BASES)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", BASES[0])


def test_the_last_user_is_not_root() -> None:
    users = [line.split()[1] for line in LINES if line.startswith("USER ")]
    assert users
    assert not users[-1].startswith(("0", "root"))


def test_what_it_copies_is_in_the_context() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    for line in LINES:
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = [word for word in line.split()[1:] if not word.startswith("--")]
            for source in sources:
                assert source.split("/")[0] in allowed
                assert (ROOT / source).exists()


def test_what_is_installed_is_bounded_by_the_lock() -> None:
    text = "\n".join(LINES)
    assert "--constraint requirements.lock" in text
    assert "--no-deps ." in text

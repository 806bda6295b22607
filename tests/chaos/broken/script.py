"""Changes a Lua script for the whole process."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha1
from typing import TYPE_CHECKING

from orchestrator.broker import scripts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.broker.scripts import Script


def change(name: str, replacements: Mapping[str, str]) -> None:
    """Replace texts in one script; each must be there."""
    original = scripts.load

    @cache
    def load(asked: str) -> Script:
        script = original(asked)
        if asked != name:
            return script
        text = script.text
        for old, new in replacements.items():
            if old not in text:
                raise AssertionError(f"{old!r} is not in the script {name}")
            text = text.replace(old, new)
        return replace(script, text=text, digest=sha1(text.encode(), usedforsecurity=False).hexdigest())

    scripts.load = load

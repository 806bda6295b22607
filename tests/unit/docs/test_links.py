from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.tasks.status import TRANSITIONS

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]

    assert dead == []


def test_the_architecture_page_has_the_transition_table() -> None:
    text = (ROOT / "docs/ARCHITECTURE.md").read_text().split("## Statuses")[1].split("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    shown = {source: set(re.findall(r"`(\w+)`", targets)) for source, targets in rows}

    assert shown == {
        str(source): {str(target) for target in targets} for source, targets in TRANSITIONS.items()
    }


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/decisions").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))

"""Each build that lacks one rule is convicted, and of what that rule is there to prevent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.runner import run
from tests.chaos.trials import TRIALS

if TYPE_CHECKING:
    from pathlib import Path

SEED = 1106


@pytest.mark.chaos
@pytest.mark.parametrize("name", sorted(TRIALS))
def test_a_build_without_one_rule_is_convicted(name: str, tmp_path: Path) -> None:
    outcome = run(TRIALS[name].plan(name, SEED), tmp_path, print)

    found = {finding.what for finding in outcome.verdict.violations}
    assert found & set(TRIALS[name].convicted_of)

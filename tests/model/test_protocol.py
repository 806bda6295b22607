"""The protocol within a small bound: sound with all its rules, broken without each one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.mixes import NO_FAULT, SHOWN_BY, SMALL
from tests.model.search import search
from tests.model.world import Rules

if TYPE_CHECKING:
    from tests.model.mixes import Mix


@pytest.mark.parametrize("mix", SMALL, ids=[mix.name for mix in SMALL])
def test_no_counterexample_with_all_rules(mix: Mix) -> None:
    finding = search(Rules(), mix.faults, reconcilers=mix.reconcilers)

    assert finding.clean, finding.violations


@pytest.mark.parametrize("rule", SHOWN_BY)
def test_each_rule_is_needed(rule: str) -> None:
    mix, violation = SHOWN_BY[rule]

    finding = search(Rules()._replace(**{rule: False}), mix.faults, reconcilers=mix.reconcilers)

    assert violation in finding.violations


def test_a_counterexample_is_told_step_by_step() -> None:
    finding = search(Rules(take_back_first=False), NO_FAULT.faults)

    trace = finding.violations["rerun"]
    assert sum("claims" in step for step in trace) == 2
    assert any("raises the row" in step for step in trace)

"""The plan of a run: which faults come, and when tasks are let in."""

from __future__ import annotations

import random
from collections import Counter

from tests.chaos.driver import Quota
from tests.chaos.faults import FAULTS
from tests.chaos.injector import schedule


def test_a_whole_run_strikes_with_every_kind_five_times() -> None:
    planned = schedule(105, random.Random(1))

    assert Counter(fault.name for fault in planned) == {fault.name: 5 for fault in FAULTS}


def test_a_seed_repeats_the_order_of_faults() -> None:
    assert schedule(30, random.Random(7)) == schedule(30, random.Random(7))
    assert schedule(30, random.Random(7)) != schedule(30, random.Random(8))


def test_a_quota_lets_in_its_share_and_one_more_for_who_waits_for_work() -> None:
    quota = Quota(10)
    quota.allow(0.2)

    assert [quota.take() for _ in range(3)] == [True, True, False]
    quota.allow_another()
    assert [quota.take() for _ in range(2)] == [True, False]
    quota.allow(1.0)
    assert sum(quota.take() for _ in range(20)) == 7

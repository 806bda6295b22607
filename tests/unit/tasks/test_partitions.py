from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tasks.ids import new_task_id
from orchestrator.tasks.partitions import least_id, week_of, weeks_from

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        (datetime(2026, 11, 21, 6, 41, tzinfo=UTC), "2026w47"),
        (datetime(2026, 11, 23, tzinfo=UTC), "2026w48"),
        (datetime(2026, 11, 22, 23, 59, 59, 999999, UTC), "2026w47"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2026w53"),
        (datetime(2026, 11, 23, 1, 0, tzinfo=timezone(timedelta(hours=5))), "2026w47"),
    ],
)
def test_a_week_begins_on_monday_in_utc(moment: datetime, name: str) -> None:
    week = week_of(moment)
    assert week.name == name
    assert (week.start.weekday(), week.start.hour, week.start.utcoffset()) == (0, 0, timedelta(0))


@given(MOMENTS)
def test_weeks_join_without_gap_or_overlap(moment: datetime) -> None:
    this, following = weeks_from(moment, 1)
    assert this.start <= moment < this.end
    assert this.end_id == following.first_id
    assert this.first_id < this.end_id
    assert this.name != following.name


@given(MOMENTS)
def test_an_id_of_a_moment_lies_in_its_week(moment: datetime) -> None:
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    made = uuid_utils.uuid7(nanoseconds=milliseconds * 1_000_000)
    week = week_of(moment)
    assert week.first_id <= uuid.UUID(int=made.int) < week.end_id
    assert least_id(moment) <= uuid.UUID(int=made.int)


def test_an_id_of_now_lies_in_this_week() -> None:
    before, task_id, after = datetime.now(UTC), new_task_id(), datetime.now(UTC)
    assert least_id(before) <= task_id < least_id(after + timedelta(milliseconds=1))

"""Weeks of task ids: a UUIDv7 begins with its millisecond, so a week of time is a range of ids."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_WEEK = timedelta(weeks=1)
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 80


@dataclass(frozen=True, slots=True)
class Week:
    """The week that begins on the Monday `start`, 00:00 UTC; its ids are `first_id` up to before `end_id`."""

    start: datetime

    @property
    def end(self) -> datetime:
        """The Monday after."""
        return self.start + _WEEK

    @property
    def name(self) -> str:
        """The ISO year and week, as in 2026w07."""
        year, week, _ = self.start.isocalendar()
        return f"{year}w{week:02}"

    @property
    def first_id(self) -> uuid.UUID:
        """The least id of the week."""
        return least_id(self.start)

    @property
    def end_id(self) -> uuid.UUID:
        """The least id of the week after."""
        return least_id(self.end)


def least_id(moment: datetime) -> uuid.UUID:
    """Return the least UUID whose time, as UUIDv7 has it, is the millisecond of `moment`."""
    return uuid.UUID(int=((moment - _EPOCH) // _MILLISECOND) << _RANDOM_BITS)


def week_of(moment: datetime) -> Week:
    """Return the week that holds `moment`, which must know its time zone."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Week(day - timedelta(days=day.weekday()))


def weeks_from(moment: datetime, ahead: int) -> list[Week]:
    """Return the week of `moment` and the `ahead` weeks after it."""
    first = week_of(moment)
    return [Week(first.start + count * _WEEK) for count in range(ahead + 1)]

"""The hour of the night: the next time a clock shows it, once a day, whatever the clock does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Refused
from service.schedule import Schedule, next_time

WIB = timezone(timedelta(hours=7))
PATIENCE_S = 10


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  the zone is put on below
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from([UTC, WIB]),
)
def test_the_next_time_is_the_first_minute_that_shows_it(
    moment: datetime, hour: int, minute: int, zone: timezone
) -> None:
    """By stepping minute after minute from where the clock stands."""
    after = moment.replace(tzinfo=zone)
    step = after.replace(second=0, microsecond=0)
    while step <= after or (step.hour, step.minute) != (hour, minute):
        step += timedelta(minutes=1)

    assert next_time(f"{hour:02}:{minute:02}", after) == step


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_starts_once_a_day_and_goes_on_after_a_refusal() -> None:
    clock = Clock(datetime(2026, 2, 9, 1, 59, tzinfo=WIB))
    started = threading.Semaphore(0)
    starts: list[datetime] = []

    def start() -> None:
        starts.append(clock.now)
        started.release()
        if len(starts) == 1:
            raise Refused("reclustering_running")

    schedule = Schedule("02:00", start, clock=clock, look_again_s=0.01)
    try:
        assert not started.acquire(timeout=0.2)
        for day in (9, 10):
            clock.now = datetime(2026, 2, day, 2, 0, 1, tzinfo=WIB)
            assert started.acquire(timeout=PATIENCE_S)
            assert not started.acquire(timeout=0.1)
    finally:
        schedule.close()
    assert [at.day for at in starts] == [9, 10]


@pytest.mark.parametrize("jump", [timedelta(hours=-20), timedelta(days=3)])
def test_a_clock_that_is_set_shifts_nothing(jump: timedelta) -> None:
    """A clock set back waits for the same moment; one set ahead starts once, not once for every day it skipped."""
    clock = Clock(datetime(2026, 2, 9, 1, 59, tzinfo=WIB))
    started = threading.Semaphore(0)
    schedule = Schedule("02:00", started.release, clock=clock, look_again_s=0.01)
    try:
        clock.now += jump
        assert started.acquire(timeout=0.3) == (jump > timedelta())
        assert not started.acquire(timeout=0.1)
    finally:
        schedule.close()

"""When to try again: growth, cap, jitter, what the service asked for, and the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pipeline.retry import FIRST_DELAY, GIVE_UP_AFTER, LONGEST_DELAY, delay_seconds, is_exhausted
from tests.samples import law

attempts = st.integers(0, 10_000)
jitters = st.floats(0, 1)
waits = st.floats(0, 86_400)


def test_growth_and_cap() -> None:
    """The longest delays double from 4 s and stop at 15 minutes; the shortest are half of that."""
    longest = [delay_seconds(attempt, retry_after=None, jitter=1.0) for attempt in range(10)]
    assert longest == [4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    shortest = [delay_seconds(attempt, retry_after=None, jitter=0.0) for attempt in range(10)]
    assert shortest == [2, 4, 8, 16, 32, 64, 128, 256, 450, 450]


@law
@given(attempts, jitters, waits)
def test_bounds(attempt: int, jitter: float, waited: float) -> None:
    """A delay is never shorter than half of the first one, nor longer than 15 minutes, after any number of attempts."""
    assert FIRST_DELAY / 2 <= delay_seconds(attempt, retry_after=None, jitter=jitter, waited=waited) <= LONGEST_DELAY


@law
@given(attempts, jitters, jitters, waits, waits)
def test_never_shrinks(attempt: int, jitter: float, more_jitter: float, waited: float, more: float) -> None:
    """More attempts, more jitter or a longer trouble never make a delay shorter."""
    delay = delay_seconds(attempt, retry_after=None, jitter=jitter, waited=waited)
    assert delay <= delay_seconds(attempt + 1, retry_after=None, jitter=jitter, waited=waited)
    assert delay <= delay_seconds(attempt, retry_after=None, jitter=max(jitter, more_jitter), waited=waited)
    assert delay <= delay_seconds(attempt, retry_after=None, jitter=jitter, waited=max(waited, more))


@law
@given(attempts, jitters, waits, st.floats(0, 7_200))
def test_retry_after(attempt: int, jitter: float, waited: float, retry_after: float) -> None:
    """Never earlier than the service asked for, and at most half a minute after that or its own delay."""
    delay = delay_seconds(attempt, retry_after=retry_after, jitter=jitter, waited=waited)
    own = delay_seconds(attempt, retry_after=None, jitter=jitter, waited=waited)
    assert delay >= retry_after
    assert own <= delay <= max(own, retry_after + 30)


def test_retry_after_is_spread() -> None:
    """Those who were sent away together do not come back at one moment."""
    delays = {delay_seconds(3, retry_after=300, jitter=jitter) for jitter in (0.0, 0.5, 1.0)}
    assert delays == {300, 315, 330}


def test_long_trouble_costs_few_tries() -> None:
    """After an hour of failing the next try waits for minutes, however few attempts there were."""
    assert delay_seconds(0, retry_after=None, jitter=1.0, waited=3_600) == LONGEST_DELAY
    assert delay_seconds(0, retry_after=None, jitter=1.0, waited=400) == 100


def test_tries_in_a_day() -> None:
    """A day's outage costs one event between fifty and two hundred and fifty tries."""
    for jitter in (0.0, 1.0):
        waited, tries = 0.0, 0
        while waited < GIVE_UP_AFTER.total_seconds():
            waited += delay_seconds(tries, retry_after=None, jitter=jitter, waited=waited)
            tries += 1
        assert 50 <= tries <= 250


@pytest.mark.parametrize(("hours", "expected"), [(0, False), (23.99, False), (24, True), (100, True), (-1, False)])
def test_day_limit(hours: float, expected: bool) -> None:  # noqa: FBT001 - a value under test
    """After a day of failing it is enough."""
    first = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert is_exhausted(first, first + timedelta(hours=hours)) is expected

"""The geometry of the chart of the last day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from shared.console import chart
from shared.meeting.outcome import OutcomeKind
from shared.storage.statistics import SLOT, Totals

NOW = datetime(2026, 3, 2, 15, 7, tzinfo=UTC)


def test_no_two_levels_are_written_over_each_other() -> None:
    """Labels on the axis keep their distance, however large the slowest makes the scale."""
    for slowest in (2, 100, 4000, 90_000, 10 * 86_400):
        levels = chart.lag_chart({NOW - SLOT: totals(slowest)}, NOW).levels
        assert len(levels) > 1
        assert all(below.at - above.at >= 24 for above, below in pairwise(levels))


def totals(*lags: float) -> Totals:
    return Totals(Counter({OutcomeKind.UPDATED: len(lags)}), len(lags), sum(lags), max(lags))


def test_chart_of_a_day() -> None:
    """Bars stand in time order inside the frame, the slowest tops the average, and what is too old is not shown."""
    slots = {
        datetime(2026, 3, 2, 15, 0, tzinfo=UTC): totals(1, 3),
        datetime(2026, 3, 1, 15, 15, tzinfo=UTC): totals(40),
        datetime(2026, 3, 1, 15, 0, tzinfo=UTC): totals(9999),
        datetime(2026, 3, 2, 9, 0, tzinfo=UTC): Totals(Counter({OutcomeKind.DUPLICATE: 4})),
    }
    drawn = chart.lag_chart(slots, NOW)
    assert [bar.slowest for bar in drawn.bars] == [40, 3]
    first, last = drawn.bars
    assert drawn.left <= first.x < last.x
    assert last.x + last.width <= drawn.right
    assert last.y <= last.mean_y <= drawn.floor
    assert drawn.levels[0].text == "60\N{NO-BREAK SPACE}s"
    assert drawn.summary.replace("\N{NO-BREAK SPACE}", " ") == (
        "In the last 24 hours 3 events changed Dynamics, on average 15 s after the change in Outreach; "
        "the slowest took 40 s, at about 15:15 UTC."
    )


def test_chart_of_nothing() -> None:
    """A day without events is said so."""
    drawn = chart.lag_chart({}, NOW)
    assert drawn.bars == ()
    assert drawn.summary == "In the last 24 hours no event changed Dynamics."


@pytest.mark.parametrize("seconds", [0, 0.5, 59, 61, 86_400, 90 * 86_400])
def test_no_lag_leaves_the_frame(seconds: float) -> None:
    """However quick or slow, a bar ends inside the picture."""
    (bar,) = chart.lag_chart({NOW - SLOT: totals(seconds)}, NOW).bars
    assert 0 < bar.y < chart.HEIGHT - chart.BOTTOM


def test_hours_are_labelled() -> None:
    """Every fourth hour has its label, whenever one looks."""
    for minutes in range(0, 1440, 7):
        assert len(chart.lag_chart({}, NOW + timedelta(minutes=minutes)).hours) == 6

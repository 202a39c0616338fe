"""Outcomes, values, spans of time, what somebody looks for, and the chart's geometry."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.console import chart, words
from shared.console.search import Sought, sought
from shared.meeting.outcome import OutcomeKind
from shared.storage.statistics import SLOT, Totals

NOW = datetime(2026, 3, 2, 15, 7, tzinfo=UTC)
HEX = "f6ac24355f0255beae3f642335c2e6d8"
GUID = "f6ac2435-5f02-55be-ae3f-642335c2e6d8"


def test_every_outcome_has_words() -> None:
    """Whatever the journal can say is said in words of its own."""
    assert len({words.outcome(kind) for kind in OutcomeKind} - set(OutcomeKind)) == len(OutcomeKind)


def test_an_unknown_outcome_is_shown_as_it_is() -> None:
    """A row of another version does not break the page."""
    assert (words.outcome("surprise"), words.tone("surprise")) == ("surprise", "calm")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, words.NONE),
        ("", words.NONE),
        ([], words.NONE),
        (True, "yes"),
        (False, "no"),
        ("text", "text"),
        (7, "7"),
        ({"type": "prospect", "id": "3"}, "prospect 3"),
        ([{"type": "user", "id": "1"}, {"type": "prospect", "id": "3"}], "user 1, prospect 3"),
        ({"other": 1}, '{"other": 1}'),
    ],
)
def test_values(value: Any, shown: str) -> None:
    """Records, flags and nothing are shown as people say them."""
    assert words.value(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, words.NONE),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (119, "119 s"),
        (600, "10 min"),
        (7300, "2 h"),
        (200_000, "2 days"),
    ],
)
def test_spans_of_time(seconds: float | None, shown: str) -> None:
    """One unit, the one that people would use."""
    assert words.lasting(seconds).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" 5 ", Sought("5", meeting="5")),
        ("calendarEvent:17", Sought("calendarEvent:17", meeting="calendarEvent:17")),
        (GUID, Sought(GUID, correlation_id=GUID.replace("-", ""), appointment_id=GUID)),
        (
            f"{{{GUID.upper()}}}",
            Sought(f"{{{GUID.upper()}}}", correlation_id=GUID.replace("-", ""), appointment_id=GUID),
        ),
        (
            f"https://contoso.crm.dynamics.com/main.aspx?etn=appointment&id={GUID}",
            Sought(f"https://contoso.crm.dynamics.com/main.aspx?etn=appointment&id={GUID}", appointment_id=GUID),
        ),
        (
            f"https://contoso.crm.dynamics.com/main.aspx?id=%7b{GUID.upper()}%7d",
            Sought(f"https://contoso.crm.dynamics.com/main.aspx?id=%7b{GUID.upper()}%7d", appointment_id=GUID),
        ),
        ("", Sought("")),
        ("prospect 101", Sought("prospect 101", prospect="101")),
        (
            "https://web.outreach.io/prospects/101/overview",
            Sought("https://web.outreach.io/prospects/101/overview", prospect="101"),
        ),
        ("Demo", Sought("Demo", meeting="Demo", title="Demo")),
        ("Demo: Acme", Sought("Demo: Acme", title="Demo: Acme")),
        ("Demo:Acme", Sought("Demo:Acme", meeting="Demo:Acme", title="Demo:Acme")),
        ("meeting:ops-test", Sought("meeting:ops-test", meeting="meeting:ops-test", title="meeting:ops-test")),
        ("Prospects 2026", Sought("Prospects 2026", title="Prospects 2026")),
        ("Prospect:101", Sought("Prospect:101", prospect="101")),
    ],
)
def test_what_is_sought(text: str, expected: Sought) -> None:
    """Ids are told apart by their form; a pasted address counts as the record in it; all else is a title."""
    assert sought(text) == expected


@pytest.mark.parametrize(
    ("fingerprint", "shown"),
    [
        ("", ""),
        ('"Intro call"', "Intro call"),
        ("null", words.NONE),
        ("false", "no"),
        ('["5:contact:a","7:systemuser:b"]', "required attendee contact a\norganizer systemuser b"),
        ('["odd"]', "odd"),
        ("sha256:" + HEX * 2, "a long text, as Outreach said it then"),
    ],
)
def test_what_was_written(fingerprint: str, shown: str) -> None:
    """What is remembered of a written value is shown as it is; of a long text only that it was written."""
    assert words.written(fingerprint) == shown


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

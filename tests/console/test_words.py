"""Outcomes, values and spans of time in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.console import words
from shared.meeting.outcome import OutcomeKind

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

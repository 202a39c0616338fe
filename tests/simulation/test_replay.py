from __future__ import annotations

import pytest

from tests.simulation.replay import replay


def test_a_replay_tells_each_move_with_its_answer() -> None:
    """The transcript of a schedule can be read without the code at hand."""
    assert replay("create and update: 1 1 1 1 2 2+ 2 2").transcript == (
        "1   load meeting:5 -> no row",
        "1   save meeting:5 over row None: doubt ['scheduledend', 'scheduledstart', 'subject'], fence None -> row #102",
        "1   create appointment of meeting:5 {'subject': 'First', 'scheduledstart': '2026-01-05T10:00:00Z', "
        "'scheduledend': '2026-01-05T11:00:00Z'} -> version #104",
        "1   save meeting:5 over row #102: doubt [], fence #104 -> row #106",
        "2   load meeting:5 -> row #106, doubt [], fence #104",
        "2+  save meeting:5 over row #106: doubt ['subject'], fence #104 (dies after it) -> row #110",
        "2   load meeting:5 -> row #110, doubt ['subject'], fence #104",
        "2   save meeting:5 over row #110: doubt ['subject'], fence #104 -> row #114",
        "2   update appointment of meeting:5 if version #104: {'subject': 'Second'} -> version #116",
        "2   save meeting:5 over row #114: doubt [], fence #116 -> row #118",
    )


# Schedules that broke a promise once, each found by exploring. What it was is in the name.
FOUND = {
    "a column in doubt that is wanted no longer was remembered as applied": "the owner leaves: 1 1 1 1 1+ 2 2 2 2 2 2 1",
    "the appointment of a calendar event was written after the meeting had taken it over": (
        "a calendar event with an appointment turns out to be of a meeting: 1 2 2 1 1 1 2 2= 2 2 2 2 2 2"
    ),
    "a stale row was taken for a row that stays closed": (
        "two updates after held, closed is said before stale: 1 1 1 1 1 1 1 2 2 2 2 2 2 2 2 2 1"
    ),
    "a look from before others wrote went into a claim": (
        "two workers: a person cancels what was held: 1 1 1 1 2 2 2 p 2 2 2 1 1 1 2+ 1 1 1 1 1 1 1 2"
    ),
    "a person's state was replaced by the one before": (
        "two workers: a person cancels what was held: 1 1 1 1 1 p 1+ 2 2 2 2 2 2 2 2 2 2 1"
    ),
    "what had been deleted once was taken for deleted for ever": (
        "a person deletes it: 1 1 2 2 p 1 1 1 1 2 2 1 1 2 2~ 2 ~2"
    ),
    "a look that did not show the attendees was taken for one that did": (
        "a person adds an attendee to a new one: 1 1 2 2 2 1 p 1 1 1 1 1 2 2"
    ),
    "a replayed dead letter was taken for a duplicate": (
        "Outreach refuses the app, then it does not, and the dead letters are replayed: 1 1 1 1 1 2 2 2 2 2 s d 1 2"
    ),
    "a link that brought nothing new left the change of its calendar event behind": (
        "a calendar event's change goes out with a link that brings none: 1 1 1 1 1 1 2"
    ),
    "the row was told that there are no dead letters while one was filed": (
        "an end before its start, and what mends it: 1 1 2 2 2 2 2 1 1 2 2"
    ),
}


@pytest.mark.parametrize("line", FOUND.values(), ids=FOUND.keys())
def test_a_schedule_that_broke_a_promise_once_breaks_none_now(line: str) -> None:
    """Every find stays, as far as the worker that was corrected still makes its moves, and is played to a quiet end."""
    assert replay(line).violation == ""

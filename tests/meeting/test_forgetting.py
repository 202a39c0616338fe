"""From when on a meeting's time counts: its end, or its last event, or nothing where nothing is left to forget."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.meeting.forgetting import counts_from
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Aliases, Meeting, Recent
from shared.meeting.merge import Stamp, Stamped
from shared.meeting.mirror import UNKNOWN_VERSION, Mirror
from shared.meeting.outcome import OutcomeKind
from tests.samples import DEFAULT

END, EVENT = datetime(2026, 3, 5, 15, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)
LATE = datetime(2026, 4, 1, tzinfo=UTC)


def meeting(*, outcome: OutcomeKind = OutcomeKind.UPDATED, at: datetime = EVENT, **fields: Any) -> Meeting:
    """A meeting with these values and one event."""
    stamp = Stamp("2026-03-01T00:00:00.000000Z", "2026-03-01T00:00:00.000000Z")
    facts = {name: Stamped(value, stamp) for name, value in fields.items()}
    return Meeting(facts, Mirror("id", "W/1"), recent=(Recent("1" * 32, "meeting.updated", at.isoformat(), outcome),))


@pytest.mark.parametrize("end", ["2026-03-05T15:00:00+00:00", "2026-03-05T16:00:00+01:00"])
def test_its_end_counts(end: str) -> None:
    """Whenever its last event came."""
    assert counts_from(meeting(ends_at=end, at=LATE), DEFAULT) == END


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ends_at": None},
        {"title": "a"},
        *({"ends_at": f"{year}-12-31T23:59:59+00:00"} for year in ("0001", "1752", "2030", "9999")),
    ],
)
def test_without_an_end_its_last_event_counts(fields: dict[str, Any]) -> None:
    """That of the time line, or the stamp of what it said; an end that nobody can mean is none."""
    assert counts_from(meeting(**fields), DEFAULT) == EVENT
    assert counts_from(replace(meeting(title="a"), recent=()), DEFAULT) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"unsettled": True},
        {"mirror": Mirror("id", "W/1", doubt=frozenset({"subject"}))},
        {"recent": OutcomeKind.WRITING},
    ],
)
def test_what_is_under_way_is_not_forgotten(changes: dict[str, Any]) -> None:
    """Something waits, is in doubt or needs a person: then a last event that is later than the end counts."""
    outcome = changes.pop("recent", OutcomeKind.UPDATED)
    ended = "2026-03-05T15:00:00+00:00"
    assert counts_from(replace(meeting(ends_at=ended, at=LATE, outcome=outcome), **changes), DEFAULT) == LATE
    assert counts_from(replace(meeting(ends_at=ended, outcome=outcome), **changes), DEFAULT) == END


@pytest.mark.parametrize("exists", [True, False])
def test_what_stays(exists: bool) -> None:  # noqa: FBT001 - a value under test
    """The records that it is, its appointment, that people deleted that; and there is nothing more to forget."""
    aliases = Aliases(None, frozenset({MeetingKey("calendarEvent", "17")}))
    own = Mirror("id", "W/1" if exists else None, {"subject": '"a"'}, deleted=True)
    forgotten = replace(meeting(title="a"), mirror=own, aliases=aliases, unsettled=True).forget()
    assert forgotten == Meeting(mirror=Mirror("id", UNKNOWN_VERSION if exists else None, deleted=True), aliases=aliases)
    assert counts_from(forgotten, DEFAULT) is None
    assert counts_from(Meeting(mirror=Mirror("id", "W/1")), DEFAULT) is None

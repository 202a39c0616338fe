"""Which appointment already is a meeting, and what stays in it when it is taken over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.adopt import (
    OUTLOOKS,
    Candidate,
    Search,
    global_object_ids,
    in_order,
    in_words,
    kept_in_words,
    not_filled,
    search,
    spared,
    taking,
)
from shared.meeting.appointment import Desired, fingerprint
from shared.meeting.mirror import OPEN, Actual, Mirror, TakenOver
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.transforms import PARTIES, STATE
from tests.samples import law, mapping_with

ALWAYS = mapping_with(existing={"adopt": "always"})
START, END = "2026-03-02T15:00:00Z", "2026-03-02T15:30:00Z"
OWNER = "systemuser:10000000-0000-4000-8000-000000000001"
COLUMNS = {"subject": "Intro", "scheduledstart": START, "scheduledend": END, "ownerid": OWNER, "location": "Room 1"}
OUTLOOK = (
    "040000008200E00074C5B7101A82E00800000000B0C1D2E3F4A5DC01000000000000000010000000AABBCCDDEEFF00112233445566778899"
)


def candidate(name: str = "theirs", *, global_id: str = "", made_on: str = "", **columns: Any) -> Candidate:
    """One that a search found."""
    return Candidate(name, Actual("1", columns, OPEN), global_id, "a user", made_on)


def test_it_is_looked_for_by_what_the_plugin_went_by() -> None:
    """Owner, subject and times; all else may differ."""
    same = {name: COLUMNS[name] for name in ("subject", "scheduledstart", "scheduledend", "ownerid")}
    assert search({}, COLUMNS, ALWAYS) == Search((), same)


@pytest.mark.parametrize("name", ["subject", "scheduledstart", "scheduledend", "ownerid"])
def test_with_less_nothing_can_be_told(name: str) -> None:
    """Without one of them it could be any meeting of that day."""
    assert search({}, {**COLUMNS, name: None}, ALWAYS) is None


def test_a_team_is_not_looked_for() -> None:
    """Outreach has users only."""
    assert search({}, {**COLUMNS, "ownerid": "team:1"}, ALWAYS) is None


def test_an_ical_id_is_enough() -> None:
    """The row of Outlook may have another subject and owner."""
    wanted = search({"ical_uid": "x@y"}, {"scheduledstart": START}, mapping_with(existing={"adopt": "always"}))
    assert wanted == Search(global_object_ids("x@y"), None)


@pytest.mark.parametrize("uid", [None, "", "  ", 5])
def test_what_is_no_ical_id_is_left_out(uid: object) -> None:
    """Then the values have to do."""
    wanted = search({"ical_uid": uid}, COLUMNS, ALWAYS)
    assert wanted is not None
    assert wanted.global_ids == ()


@pytest.mark.parametrize(
    ("booked", "looked_for"),
    [
        ("2026-02-28T22:59:59Z", True),
        ("2026-03-01T00:00:00+01:00", False),
        ("2026-02-28T23:00:00Z", False),
        ("2026-03-02T00:00:00Z", False),
        (None, True),
    ],
)
def test_with_a_time_it_is_what_was_booked_before(booked: str | None, *, looked_for: bool) -> None:
    """Or what nobody heard the booking of."""
    mapping = mapping_with(existing={"adopt": "booked_before", "booked_before": "2026-03-01T00:00:00+01:00"})
    assert (search({"booked_at": booked}, COLUMNS, mapping) is not None) == looked_for


def test_nothing_is_looked_for_unless_the_mapping_says_so() -> None:
    """The default."""
    assert search({"ical_uid": "x"}, COLUMNS, mapping_with()) is None


def test_another_calendars_id_is_wrapped_as_outlook_does() -> None:
    """The example of MS-ASEMAIL 3.1.4.7 in form: header, no date, length, vCal-Uid, version, the id, a zero byte."""
    plain, wrapped = global_object_ids("ab@c")
    assert plain == "AB@C"
    assert wrapped == (
        "040000008200E00074C5B7101A82E008"
        + "0" * 40
        + "11000000"
        + b"vCal-Uid".hex().upper()
        + "01000000"
        + "6162406300"
    )


def test_outlooks_own_id_is_the_series_or_the_day() -> None:
    """The day of an occurrence stands in it, in the organizer's zone."""
    plain, *days = global_object_ids(OUTLOOK.lower(), START)
    assert plain == OUTLOOK
    assert [one[32:40] for one in days] == ["07EA0301", "07EA0302", "07EA0303"]
    occurrence = OUTLOOK[:32] + "07EA0302" + OUTLOOK[40:]
    assert OUTLOOK in global_object_ids(occurrence)


@law
@given(st.text(max_size=40))
def test_any_text_has_forms_in_capitals(uid: str) -> None:
    """Whatever Outreach sends; compared without regard to case."""
    for one in global_object_ids(uid):
        assert one == one.upper()


def test_the_likeliest_comes_first() -> None:
    """By the iCal id, at the same time, then the one that was there first."""
    wanted = search({"ical_uid": "x@y"}, COLUMNS, ALWAYS)
    assert wanted is not None
    times = {"scheduledstart": START, "scheduledend": END}
    found = [
        candidate("d", made_on="2026-01-02", **times),
        candidate("c", made_on="2026-01-01", **times),
        candidate("b", global_id=wanted.global_ids[1].lower()),
        candidate("a", global_id="X@Y", made_on="2026-01-09", **times),
    ]
    assert [one.appointment_id for one in in_order(found, wanted)] == ["a", "b", "c", "d"]


def test_what_is_there_stays_and_what_is_empty_is_filled() -> None:
    """Equal values need no write; attendees and state are matters of their own."""
    parties = [Party(Role.REQUIRED, CrmRecord("contact", "1"))]
    want = Desired({**COLUMNS, "description": "Ours", "new_x": None, PARTIES: parties, STATE: "completed"})
    there = candidate(subject="Intro", location="", description="Theirs", new_x="kept", appointment_activity_parties=[])
    found = taking(there, want)
    assert found.same == {"subject": fingerprint("Intro")}
    assert found.filling == {"location": fingerprint("Room 1")}
    assert found.kept == {"description": fingerprint("Ours"), "new_x": fingerprint(None)}
    assert found.taken == TakenOver("a user", "", tracked=False)


def test_what_outlook_tracks_keeps_what_outlook_carries() -> None:
    """Regarding, state and own columns are ours."""
    want = Desired({**dict.fromkeys(OUTLOOKS, "x"), "regardingobjectid": "contact:1", STATE: "open", "new_x": "y"})
    assert spared(want, TakenOver(tracked=True)).columns.keys() == {"regardingobjectid", STATE, "new_x"}
    assert spared(want, TakenOver()) == spared(want, None) == want
    found = taking(candidate(global_id="x", subject="", new_x=None), want)
    assert found.taken.tracked
    assert found.filling.keys() == {"new_x"}


def test_who_fills_a_column_first_keeps_it() -> None:
    """What we were about to write there may be ours; anything else is a person's."""
    mirror = Mirror(filling={name: fingerprint("ours") for name in ("a", "b", "c", "d")})
    actual = Actual("2", {"a": "ours", "b": "theirs", "c": None}, OPEN)
    assert not_filled(mirror, actual) == {"b": fingerprint("ours")}


def test_it_is_told_in_words() -> None:
    """Who made it and when, as far as it is known."""
    assert in_words("1", TakenOver("2", "2026-01-01T00:00:00Z")) == (
        "Took over appointment 1, made by user 2 on 2026-01-01T00:00:00Z."
    )
    assert in_words("1", TakenOver(tracked=True)) == (
        "Took over appointment 1. Outlook tracks it: what Outlook carries stays as it is there."
    )
    assert (
        kept_in_words(["b", "a"]) == "a, b already hold something else there, and stay so until it changes in Outreach."
    )

"""The cases that are explored exhaustively with two workers, and those that are sampled with three and four."""

from __future__ import annotations

from shared.core.apply import CANCELED, COMPLETED
from shared.core.appointment import Policy
from simulation.scenario import MEETING, Edit, Scenario, booked, event, mapping, of_calendar_event, rules
from simulation.stores import Organisation

_STRICT = Organisation(strict=True)
_STRICT_FIRST = Organisation(strict=True, checks_first="closed")
_LEAVE = (rules(mapping_file=mapping(deleted_in_dynamics="leave")),)
_PUSHING_COMES_ON = (rules(Policy(pushing=False)), rules())
_UPDATE_GOES_OFF_AND_ON = (rules(), rules(Policy(update=False)), rules())

_SECOND = event(5, title="Second")
_THIRD = event(6, title="Third")
_FIRST_AGAIN = event(7, title="First")
_MOVED = event(8, starts_at="2026-01-06T10:00:00+00:00", ends_at="2026-01-06T11:00:00+00:00")
_HELD = event(9, completed=True)
_OTHERS = event(4, prospects=["2", "3"])
_THEIR_TITLE = Edit({"subject": "Theirs"})
_THEIR_PLACE = Edit({"location": "Room One"})
_PLUGIN = Edit()

TWO_WORKERS: tuple[Scenario, ...] = (
    Scenario("create twice", (booked(), booked()), faults=2),
    Scenario("create and update", (booked(), _SECOND), faults=2),
    Scenario("create, update and the update again", (booked(), _SECOND, _SECOND)),
    Scenario("two updates of one column", (_SECOND, _THIRD), before=(booked(),), faults=2),
    Scenario("two updates of two columns", (_SECOND, _MOVED), before=(booked(),)),
    Scenario("there and back again", (_SECOND, _FIRST_AGAIN), before=(booked(),), faults=2),
    Scenario("create as held", (booked(completed=True), _SECOND)),
    Scenario("update and held", (_SECOND, _HELD), before=(booked(),)),
    Scenario("update after held, strict rows", (_SECOND,), before=(booked(), _HELD), organisation=_STRICT, faults=2),
    Scenario("two updates after held, strict rows", (_SECOND, _MOVED), before=(booked(), _HELD), organisation=_STRICT),
    Scenario(
        "two updates after held, closed is said before stale",
        (_SECOND, _MOVED),
        before=(booked(), _HELD),
        organisation=_STRICT_FIRST,
    ),
    Scenario(
        "held, then not held after all, strict rows",
        (_SECOND, event(10, completed=False)),
        before=(booked(), _HELD),
        organisation=_STRICT,
    ),
    Scenario("a person edits the column", (booked(), _SECOND), edits=(_THEIR_TITLE,)),
    Scenario("a person edits the column between two updates", (_SECOND, _FIRST_AGAIN), (booked(),), (_THEIR_TITLE,)),
    Scenario("a person edits another column", (booked(location=None), _SECOND), edits=(_THEIR_PLACE,)),
    Scenario("a person edits another column that Outreach once set", (_SECOND, _THIRD), (booked(location="A"),), (_THEIR_PLACE,)),
    Scenario("a plug-in touches the row", (_SECOND, _MOVED), (booked(),), (_PLUGIN,)),
    Scenario(
        "a person completes it, strict rows", (_SECOND,), (booked(),), (Edit(state=COMPLETED),), organisation=_STRICT
    ),
    Scenario(
        "a person cancels what was held, strict rows",
        (_SECOND, _MOVED),
        (booked(), _HELD),
        (Edit(state=CANCELED),),
        organisation=_STRICT,
    ),
    Scenario(
        "attendees change and a person adds one",
        (event(5, prospects=["2"]), event(6, prospects=["2", "3"])),
        (booked(prospects=["1"]),),
        (Edit(guest="5:contact:guest"),),
    ),
    Scenario(
        "created, attendees come, a person adds one",
        (booked(), event(5, prospects=["2"])),
        edits=(Edit(guest="5:contact:guest"),),
    ),
    Scenario(
        "attendees there and back again",
        (event(5, prospects=["2"]), event(6, prospects=["1"])),
        (booked(prospects=["1"]),),
    ),
    Scenario("the owner leaves", (event(5, owner=["2"]), event(6, owner=[])), (booked(owner=["1"]),)),
    Scenario(
        "the owner leaves and the first comes back",
        (event(5, owner=["2"]), event(6, owner=[]), event(7, owner=["1"])),
        (booked(owner=["1"]),),
    ),
    Scenario(
        "the owner leaves and a person edits another column",
        (event(5, owner=["2"]), event(6, owner=[])),
        (booked(owner=["1"], location="A"),),
        (_THEIR_PLACE,),
    ),
    Scenario(
        "the contact was merged",
        (event(5, prospects=["1", "2"]), _SECOND),
        (booked(prospects=["1"]),),
        organisation=Organisation(missing=frozenset({"contact:prospect2"})),
    ),
    Scenario("a person deletes it", (_SECOND, _MOVED), (booked(),), (Edit(deletes=True),)),
    Scenario("a person deletes it and then edits the new one", (_SECOND, _MOVED), (booked(),), (Edit(deletes=True), _THEIR_PLACE)),
    Scenario("a person deletes it and it stays so", (_SECOND, _MOVED), (booked(),), (Edit(deletes=True),), rules=_LEAVE),
    Scenario("parked, then pushing comes on", (booked(), _SECOND), rules=_PUSHING_COMES_ON),
    Scenario("Outbound Update goes off and on", (_SECOND, _FIRST_AGAIN), (booked(),), rules=_UPDATE_GOES_OFF_AND_ON),
    Scenario(
        "a calendar event turns out to be of a meeting",
        (of_calendar_event(booked(), meeting=None), of_calendar_event(_SECOND, meeting=MEETING)),
    ),
    Scenario(
        "a calendar event with an appointment turns out to be of a meeting",
        (of_calendar_event(_SECOND, meeting=None), of_calendar_event(_FIRST_AGAIN, meeting=MEETING)),
        (of_calendar_event(booked(), meeting=None),),
    ),
    Scenario(
        "the link, and two more of the calendar event",
        (
            of_calendar_event(_SECOND, meeting=None),
            of_calendar_event(_MOVED, meeting=MEETING),
            of_calendar_event(_FIRST_AGAIN, meeting=None),
        ),
        (of_calendar_event(booked(), meeting=None),),
    ),
)

MORE_WORKERS: tuple[Scenario, ...] = (
    Scenario(
        "three workers: booked, moved, held, edited",
        (booked(), _SECOND, _THIRD, _MOVED, _HELD, _SECOND),
        edits=(_THEIR_PLACE, _THEIR_TITLE),
        organisation=_STRICT,
        workers=3,
        faults=4,
    ),
    Scenario(
        "four workers: everything there and back again",
        (booked(prospects=["1"]), _SECOND, _FIRST_AGAIN, _OTHERS, _MOVED, event(10, prospects=["1"]), _SECOND),
        edits=(Edit(guest="5:contact:guest"), _PLUGIN, _THEIR_TITLE),
        workers=4,
        faults=6,
    ),
    Scenario(
        "three workers: a calendar event turns out to be of a meeting",
        (
            of_calendar_event(booked(), meeting=None),
            of_calendar_event(_SECOND, meeting=MEETING),
            of_calendar_event(_MOVED, meeting=None),
            of_calendar_event(_FIRST_AGAIN, meeting=MEETING),
            of_calendar_event(_HELD, meeting=None),
        ),
        workers=3,
        faults=3,
    ),
    Scenario(
        "three workers: deleted under way",
        (_SECOND, _MOVED, _FIRST_AGAIN, _OTHERS, _MOVED),
        (booked(prospects=["1"]),),
        (Edit(deletes=True), _THEIR_PLACE),
        workers=3,
        faults=4,
    ),
)
ALL = (*TWO_WORKERS, *MORE_WORKERS)

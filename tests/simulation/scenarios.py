"""The cases: those that are explored to the end, and those that are too large for it and sampled."""

from __future__ import annotations

from dataclasses import replace

from shared.meeting.appointment import Policy
from shared.meeting.identity import MeetingKey
from shared.meeting.mirror import CANCELED, COMPLETED, OPEN
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.transforms import PARTIES
from tests.simulation.interned import Version
from tests.simulation.scenario import (
    CALENDAR_EVENT,
    MEETING,
    OTHER_CALENDAR_EVENT,
    TASK,
    Edit,
    Event,
    Scenario,
    booked,
    event,
    mapping,
    of_calendar_event,
    rules,
)
from tests.simulation.stores import Appointment, Organisation, Theirs

_STRICT = Organisation(strict=True)
_STRICT_AND_SAYS_CLOSED_FIRST = Organisation(strict=True, checks_first="closed")
_LEAVES_DELETED = (rules(mapping_file=mapping(deleted_in_dynamics="leave")),)
_PUSHING_COMES_ON = (rules(Policy(pushing=False)), rules())
_UPDATE_GOES_OFF_AND_ON = (rules(), rules(Policy(update=False)), rules())
_TITLE_LEAVES_THE_MAPPING = (rules(), rules(mapping_file=mapping(without="title")))

_SECOND = event(5, title="Second")
_THIRD = event(6, title="Third")
_FIRST_AGAIN = event(7, title="First")
_MOVED = event(8, starts_at="2026-01-06T10:00:00+00:00", ends_at="2026-01-06T11:00:00+00:00")
_PLACE = event(8, location="B")
_HELD = event(9, completed=True)
_OTHERS = event(4, prospects=["2", "3"])

_THEIR_TITLE = Edit({"subject": "Theirs"})
_THEIR_PLACE = Edit({"location": "Theirs"})
_PLUGIN = Edit()
_GUEST = Edit(guest=Party(Role.REQUIRED, CrmRecord("contact", "guest")))
_MOVES_OWNER = Edit(owner=CrmRecord("systemuser", "theirs"))
_DELETES = Edit(deletes=True)
_CANCELS = Edit(state=CANCELED)

_PLAIN: tuple[Scenario, ...] = (
    Scenario("create twice", (booked(), booked()), faults=2),
    Scenario("create and update", (booked(), _SECOND), faults=2),
    Scenario("create, update and the update again", (booked(), _SECOND, _SECOND)),
    Scenario("create as open, and held", (booked(completed=False), _HELD)),
    Scenario("create as held, then not held after all", (booked(completed=True), event(10, completed=False))),
    Scenario("create as held", (booked(completed=True), _SECOND)),
    Scenario("two updates of one column", (_SECOND, _THIRD), (booked(),), faults=2),
    Scenario("two updates of two columns", (_SECOND, _MOVED), (booked(),)),
    Scenario("there and back again", (_SECOND, _FIRST_AGAIN), (booked(),), faults=2),
    Scenario("update and held", (_SECOND, _HELD), (booked(),)),
)

_CLOSED: tuple[Scenario, ...] = (
    Scenario("update after held", (_SECOND,), (booked(), _HELD), faults=2, organisation=_STRICT),
    Scenario("two updates after held", (_SECOND, _MOVED), (booked(), _HELD), faults=0, organisation=_STRICT),
    Scenario(
        "two updates after held, closed is said before stale",
        (_SECOND, _MOVED),
        (booked(), _HELD),
        faults=0,
        organisation=_STRICT_AND_SAYS_CLOSED_FIRST,
    ),
    Scenario(
        "held, then not held after all",
        (_SECOND, event(10, completed=False)),
        (booked(), _HELD),
        faults=0,
        organisation=_STRICT,
    ),
    Scenario("a person completes it", (_SECOND,), (booked(),), (Edit(state=COMPLETED),), 2, 2, _STRICT),
    Scenario("a person cancels what was held", (_SECOND,), (booked(), _HELD), (_CANCELS,), 2, 2, _STRICT),
    Scenario(
        "a person opens what was held, in peace",
        (_SECOND, _MOVED),
        (booked(), _HELD),
        (Edit(state=OPEN, in_peace=True),),
        faults=0,
        organisation=_STRICT,
    ),
)

_PEOPLE: tuple[Scenario, ...] = (
    Scenario("a person edits the column", (booked(), _SECOND), edits=(_THEIR_TITLE,)),
    Scenario("a person edits the column between two updates", (_SECOND, _FIRST_AGAIN), (booked(),), (_THEIR_TITLE,)),
    Scenario("a person edits another column", (booked(), _SECOND), edits=(_THEIR_PLACE,)),
    Scenario(
        "a person edits another column that Outreach once set",
        (_SECOND, _THIRD),
        (booked(location="A"),),
        (_THEIR_PLACE,),
    ),
    Scenario("a plug-in touches the row", (_SECOND, _MOVED), (booked(),), (_PLUGIN,)),
    Scenario("a person adds an attendee to a new one", (booked(), event(5, prospects=["2"])), edits=(_GUEST,)),
    Scenario(
        "attendees change and a person adds one",
        (event(5, prospects=["2"]), event(6, prospects=["2", "3"])),
        (booked(prospects=["1"]),),
        (_GUEST,),
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
        faults=0,
    ),
    Scenario(
        "a person moves owner and organizer while attendees change",
        (event(5, prospects=["2"]), _SECOND),
        (booked(owner=["1"], prospects=["1"]),),
        (_MOVES_OWNER,),
    ),
    Scenario(
        "a person moves owner and organizer while Outreach moves them elsewhere",
        (event(5, owner=["2"]), event(6, prospects=["2"])),
        (booked(owner=["1"], prospects=["1"]),),
        (_MOVES_OWNER,),
        faults=0,
    ),
    Scenario(
        "the contact was merged",
        (event(5, prospects=["1", "2"]), _SECOND),
        (booked(prospects=["1"]),),
        organisation=Organisation(missing=frozenset({"contact:prospect2"})),
    ),
    Scenario("a person deletes it", (_SECOND, _MOVED), (booked(),), (_DELETES,)),
    Scenario(
        "a person deletes it and edits the new one", (_SECOND, _MOVED), (booked(),), (_DELETES, _THEIR_PLACE), faults=0
    ),
    Scenario("a person deletes it and it stays so", (_SECOND, _MOVED), (booked(),), (_DELETES,), rules=_LEAVES_DELETED),
)

_SETTINGS: tuple[Scenario, ...] = (
    Scenario("parked, then pushing comes on", (booked(), _SECOND), rules=_PUSHING_COMES_ON),
    Scenario("Outbound Update goes off and on", (_SECOND, _FIRST_AGAIN), (booked(),), rules=_UPDATE_GOES_OFF_AND_ON),
    Scenario(
        "a column leaves the mapping, a person edits another",
        (_SECOND, _FIRST_AGAIN),
        (booked(location="A"),),
        (_THEIR_PLACE,),
        rules=_TITLE_LEAVES_THE_MAPPING,
    ),
)

_DEAD_LETTERS: tuple[Scenario, ...] = (
    Scenario(
        "an end before its start, and what mends it",
        (
            event(5, ends_at="2026-01-05T09:30:00+00:00", title="Second"),
            event(6, starts_at="2026-01-05T09:00:00+00:00"),
        ),
        (booked(),),
        dead_letters=True,
    ),
    Scenario(
        "a title is refused, nobody knows why, and what mends it",
        (_SECOND, _THIRD),
        (booked(),),
        organisation=Organisation(puzzle="Second"),
        dead_letters=True,
    ),
    Scenario(
        "Outreach refuses the app, then it does not, and the dead letters are replayed",
        (event(5, title="Second", prospects=["2"]), _THIRD),
        (booked(),),
        faults=0,
        rules=(rules(), rules()),
        dead_letters=True,
        people_from=1,
    ),
    Scenario(
        "Outreach refuses the app, then it does not, and a worker dies",
        (event(5, title="Second", prospects=["2"]),),
        (booked(),),
        rules=(rules(), rules()),
        dead_letters=True,
        people_from=1,
    ),
    Scenario(
        "a service does not answer, and the dead letter is sent again",
        (_SECOND, _MOVED),
        (booked(),),
        dead_letters=True,
    ),
    Scenario(
        "a service does not answer while a calendar event turns out to be of a meeting",
        (of_calendar_event(_SECOND, meeting=None), of_calendar_event(_MOVED, meeting=MEETING)),
        (booked(),),
        dead_letters=True,
    ),
)

_LINKING: tuple[Scenario, ...] = (
    Scenario(
        "a calendar event turns out to be of a meeting",
        (of_calendar_event(booked(), meeting=None), of_calendar_event(_SECOND, meeting=MEETING)),
    ),
    Scenario(
        "a calendar event is booked while it turns out to be of a meeting",
        (
            of_calendar_event(booked(), meeting=None),
            of_calendar_event(booked(2, title="Second"), meeting=MEETING),
        ),
    ),
    Scenario(
        "a calendar event's change goes out with a link that brings none",
        (of_calendar_event(event(0, title="Before"), meeting=MEETING), of_calendar_event(_PLACE, meeting=None)),
        (booked(), of_calendar_event(_SECOND, meeting=None)),
    ),
    Scenario(
        "a calendar event and its meeting each have an appointment",
        (of_calendar_event(_SECOND, meeting=MEETING), of_calendar_event(_PLACE, meeting=None)),
        (booked(), of_calendar_event(booked(2), meeting=None)),
        apart=True,
    ),
    Scenario(
        "a calendar event gets an appointment while it turns out to be of a meeting that has one",
        (of_calendar_event(_SECOND, meeting=MEETING), of_calendar_event(booked(2), meeting=None)),
        (booked(),),
        apart=True,
    ),
    Scenario(
        "a service does not answer while a second appointment is canceled",
        (of_calendar_event(_SECOND, meeting=MEETING), _MOVED),
        (booked(), of_calendar_event(booked(2), meeting=None)),
        workers=1,
        dead_letters=True,
        apart=True,
    ),
    Scenario(
        "a person deletes one of two appointments, and it stays so",
        (of_calendar_event(_SECOND, meeting=MEETING),),
        (booked(), of_calendar_event(booked(2), meeting=None)),
        (_DELETES,),
        rules=_LEAVES_DELETED,
        apart=True,
    ),
    Scenario(
        "a second appointment waits while Outbound Update is off",
        (of_calendar_event(event(0, title="Before"), meeting=MEETING),),
        (booked(), of_calendar_event(booked(0), meeting=None)),
        rules=_UPDATE_GOES_OFF_AND_ON,
        apart=True,
    ),
    Scenario(
        "a calendar event with an appointment turns out to be of a meeting",
        (of_calendar_event(_SECOND, meeting=None), of_calendar_event(_FIRST_AGAIN, meeting=MEETING)),
        (of_calendar_event(booked(), meeting=None),),
    ),
    Scenario(
        "a person deletes the one of a calendar event that turns out to be of a meeting, and it stays so",
        (of_calendar_event(_SECOND, meeting=None), of_calendar_event(_THIRD, meeting=MEETING)),
        (of_calendar_event(booked(), meeting=None),),
        (_DELETES,),
        faults=0,
        rules=_LEAVES_DELETED,
    ),
    Scenario(
        "a person deletes the meeting's own, and that of its calendar event is kept up to date",
        (_SECOND, of_calendar_event(_THIRD, meeting=MEETING)),
        (booked(), of_calendar_event(booked(2), meeting=None)),
        (_DELETES,),
        faults=0,
        rules=_LEAVES_DELETED,
        apart=True,
    ),
    Scenario(
        "a person edits while a calendar event turns out to be of a meeting",
        (of_calendar_event(_SECOND, meeting=None), of_calendar_event(_THIRD, meeting=MEETING)),
        (of_calendar_event(booked(location="A"), meeting=None),),
        (_THEIR_PLACE,),
        faults=0,
    ),
    Scenario(
        "the meeting is said to be one of its own calendar event's",
        (Event(5, _SECOND.values, key=CALENDAR_EVENT, alias=MEETING),),
        (booked(), of_calendar_event(_PLACE, meeting=MEETING)),
    ),
    Scenario(
        "two calendar events of one meeting",
        (
            of_calendar_event(_SECOND, meeting=MEETING),
            of_calendar_event(_FIRST_AGAIN, meeting=MEETING, calendar_event=OTHER_CALENDAR_EVENT),
        ),
        (of_calendar_event(booked(), meeting=None),),
    ),
    Scenario(
        "the link, and two more of the calendar event",
        (
            of_calendar_event(_MOVED, meeting=None),
            of_calendar_event(_SECOND, meeting=MEETING),
            of_calendar_event(_FIRST_AGAIN, meeting=None),
        ),
        (of_calendar_event(booked(), meeting=None),),
        faults=0,
    ),
)

_CHAINS: tuple[Scenario, ...] = (
    Scenario(
        "a task names a calendar event while that turns out to be of a meeting",
        (Event(9, _HELD.values, key=CALENDAR_EVENT, alias=TASK), of_calendar_event(_SECOND, meeting=MEETING)),
        (booked(),),
    ),
    Scenario(
        "a task that has told of a calendar event tells more while that turns out to be of a meeting",
        (Event(9, _HELD.values, key=TASK), of_calendar_event(_SECOND, meeting=MEETING)),
        (booked(), Event(0, {}, key=CALENDAR_EVENT, alias=TASK)),
    ),
    Scenario(
        "a service does not answer while a task tells of its meeting along a calendar event",
        (Event(9, _HELD.values, key=TASK), _SECOND),
        (booked(), Event(0, {}, key=CALENDAR_EVENT, alias=TASK), Event(0, {}, alias=CALENDAR_EVENT)),
        dead_letters=True,
    ),
    Scenario(
        "a task with an appointment of its own tells of a calendar event that has one too",
        (Event(5, _SECOND.values, key=CALENDAR_EVENT, alias=TASK), of_calendar_event(_PLACE, meeting=MEETING)),
        (of_calendar_event(booked(), meeting=None), Event(2, booked(2).values, key=TASK)),
        faults=0,
        apart=True,
    ),
    Scenario(
        "a task tells of its meeting along two calendar events, while the last link is made",
        (Event(9, _HELD.values, key=TASK), of_calendar_event(_SECOND, meeting=MEETING)),
        (
            booked(),
            Event(0, {}, key=OTHER_CALENDAR_EVENT, alias=TASK),
            Event(0, {}, key=CALENDAR_EVENT, alias=OTHER_CALENDAR_EVENT),
        ),
    ),
    Scenario(
        "a meeting and a calendar event are each said to be the other one's",
        (Event(5, _SECOND.values, key=CALENDAR_EVENT, alias=MEETING), Event(6, _THIRD.values, alias=CALENDAR_EVENT)),
        (booked(),),
    ),
)

_NO_TITLE = frozenset({"subject"})
_REFUSALS: tuple[Scenario, ...] = (
    Scenario(
        "a title is refused for good, two workers",
        (event(5, title="Second", location="B"), _PLACE),
        (booked(),),
        organisation=Organisation(refuses=_NO_TITLE),
    ),
    Scenario(
        "a title is refused for good from the first create on",
        (booked(location="A"), _SECOND),
        organisation=Organisation(refuses=_NO_TITLE),
    ),
    Scenario(
        "a title is refused for a while, there and back again",
        (_SECOND, _FIRST_AGAIN),
        (booked(),),
        organisation=Organisation(refuses=_NO_TITLE, times=1),
    ),
    Scenario(
        "a person's plug-in refuses the title and touches the row",
        (_SECOND, _PLACE),
        (booked(),),
        (_PLUGIN,),
        faults=0,
        organisation=Organisation(refuses=_NO_TITLE),
    ),
    Scenario(
        "a state is refused, and the rest is written",
        (event(9, completed=True, title="Second"), _PLACE),
        (booked(),),
        organisation=Organisation(refuses=frozenset({"statecode"})),
    ),
)

_ADOPTS = (rules(mapping_file=mapping(adopt="always")),)
_THEIRS = Party(Role.OPTIONAL, CrmRecord("contact", "theirs"))


def _made_by_the_plugin(**columns: str) -> dict[str, Appointment]:
    """Its row of the meeting of `_FOUND`, with an attendee that a person added. What the plugin wrote is Outreach's."""
    written = {
        "subject": "First",
        "scheduledstart": "2026-01-05T10:00:00Z",
        "scheduledend": "2026-01-05T11:00:00Z",
        "ownerid": "systemuser:user1",
    }
    parties = sorted([Party(Role.ORGANIZER, CrmRecord("systemuser", "user1")), _THEIRS], key=str)
    shown = {**written, **columns, PARTIES: parties}
    theirs = {name: Theirs(value, "A") for name, value in columns.items()}
    ours = {**written, **dict.fromkeys(columns, "A")}
    return {"theirs": Appointment(Version("#0"), OPEN, shown, ours, theirs, columns, frozenset({_THEIRS}))}


_FOUND = booked(owner=["1"], location="A")
_ANOTHER = replace(_FOUND, key=MeetingKey("meeting", "6"))
_ADOPTING: tuple[Scenario, ...] = (
    Scenario(
        "a row that is there is taken over",
        (_FOUND, _PLACE),
        faults=2,
        rules=_ADOPTS,
        there=_made_by_the_plugin(),
    ),
    Scenario(
        "what a row holds stays while the meeting is held",
        (_FOUND, _HELD),
        rules=_ADOPTS,
        there=_made_by_the_plugin(location="Theirs"),
    ),
    Scenario(
        "a person fills a row that is being taken over",
        (_FOUND, _FOUND),
        edits=(_THEIR_PLACE,),
        rules=_ADOPTS,
        there=_made_by_the_plugin(),
    ),
    Scenario(
        "a person deletes a row that is being taken over",
        (_FOUND, _PLACE),
        edits=(_DELETES,),
        rules=_ADOPTS,
        there=_made_by_the_plugin(),
    ),
    Scenario(
        "the attendees of a row are united",
        (booked(owner=["1"], prospects=["1"]), event(5, prospects=["1", "2"])),
        edits=(_GUEST,),
        rules=_ADOPTS,
        there=_made_by_the_plugin(),
        faults=0,
    ),
    Scenario(
        "two meetings find one row",
        (_FOUND, _ANOTHER),
        rules=_ADOPTS,
        there=_made_by_the_plugin(),
        strangers=True,
        faults=2,
    ),
    Scenario(
        "a calendar event takes a row over and turns out to be of a meeting",
        (of_calendar_event(_FOUND, meeting=None), _FOUND, of_calendar_event(_PLACE, meeting=MEETING)),
        rules=_ADOPTS,
        there=_made_by_the_plugin(),
        apart=True,
        faults=0,
    ),
)

_THREE_WORKERS: tuple[Scenario, ...] = (
    Scenario("three workers: create and two updates", (booked(), _SECOND, _THIRD), workers=3, faults=0),
    Scenario("three workers: there and back again", (_SECOND, _FIRST_AGAIN, _SECOND), (booked(),), workers=3, faults=0),
)

EXPLORED = (
    *_PLAIN,
    *_CLOSED,
    *_PEOPLE,
    *_SETTINGS,
    *_DEAD_LETTERS,
    *_LINKING,
    *_CHAINS,
    *_REFUSALS,
    *_ADOPTING,
    *_THREE_WORKERS,
)

SAMPLED: tuple[Scenario, ...] = (
    Scenario(
        "two workers: a person cancels what was held",
        (_SECOND, _MOVED),
        (booked(), _HELD),
        (_CANCELS,),
        faults=2,
        organisation=_STRICT,
    ),
    Scenario(
        "three workers: booked, moved, held, edited",
        (booked(), _SECOND, _THIRD, _MOVED, _HELD, _SECOND),
        edits=(_THEIR_PLACE, _THEIR_TITLE),
        workers=3,
        faults=4,
        organisation=_STRICT,
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
        (_DELETES, _THEIR_PLACE),
        workers=3,
        faults=4,
    ),
    Scenario(
        "four workers: everything there and back again",
        (booked(prospects=["1"]), _SECOND, _FIRST_AGAIN, _OTHERS, _MOVED, event(10, prospects=["1"]), _SECOND),
        edits=(_GUEST, _PLUGIN, _THEIR_TITLE),
        workers=4,
        faults=6,
    ),
)


def scenario(name: str) -> Scenario:
    """The case of this name."""
    return next(one for one in (*EXPLORED, *SAMPLED) if one.name == name)

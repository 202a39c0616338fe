"""What a case consists of: the events, the worker's settings, what people do in Dynamics, and how much may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shared.errors import Permanent
from shared.meeting import ports as product
from shared.meeting.appointment import Policy
from shared.meeting.decide import Rules
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile, parse_mapping
from shared.meeting.merge import Facts, Stamp, Stamped
from shared.meeting.people import CrmRecord, Party, People, Person
from tests.simulation.operations import (
    SimulatedAppointments,
    SimulatedClaims,
    SimulatedDeadLetters,
    SimulatedMeetings,
)
from tests.simulation.stores import OURS, Appointment, Organisation

MEETING = MeetingKey("meeting", "5")
CALENDAR_EVENT = MeetingKey("calendarEvent", "17")
OTHER_CALENDAR_EVENT = MeetingKey("calendarEvent", "18")
TASK = MeetingKey("task", "9")


@dataclass(frozen=True)
class Event:
    """One event that was accepted: when it happened, and the fields that it names."""

    at: int
    values: Mapping[str, Any]
    key: MeetingKey = MEETING
    alias: MeetingKey | None = None

    @property
    def dead_letter(self) -> str:
        """The name of its dead letter; an event that was delivered twice has one."""
        return f"letter {self.at}"

    @property
    def fields(self) -> Facts:
        """The patch."""
        stamp = Stamp(f"{self.at:04}", f"{self.at:04}")
        return {name: Stamped(value, stamp) for name, value in self.values.items()}


def event(at: int, **values: Any) -> Event:
    """An event of the meeting. `prospects`, `owner` and `opportunity` are given as ids."""
    kinds = {"prospects": "prospect", "owner": "user", "opportunity": "opportunity"}
    for name, kind in kinds.items():
        if name in values:
            values[name] = [{"type": kind, "id": record_id} for record_id in values[name]]
    return Event(at, values)


def booked(at: int = 1, **values: Any) -> Event:
    """The event that books the meeting."""
    times = {"starts_at": "2026-01-05T10:00:00+00:00", "ends_at": "2026-01-05T11:00:00+00:00"}
    return event(at, **{"title": "First", **times, **values})


def of_calendar_event(
    event: Event, *, meeting: MeetingKey | None, calendar_event: MeetingKey = CALENDAR_EVENT
) -> Event:
    """`event` as a delivery about a calendar event; `meeting` where it names the meeting."""
    if meeting is None:
        return replace(event, key=calendar_event)
    return replace(event, key=meeting, alias=calendar_event)


@dataclass(frozen=True)
class Edit:
    """What a person does to the appointment: sets columns, a state, adds an attendee, moves owner and organizer, deletes it.

    With nothing set it is a change that concerns no column of ours, such as that of a plug-in: only the version rises.
    `in_peace`: only while no worker is under way. A person who opens a closed appointment in the very moment in which a
    worker opens it too cannot be told from the worker.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    state: tuple[int, int] | None = None
    guest: Party | None = None
    owner: CrmRecord | None = None
    deletes: bool = False
    in_peace: bool = False


@dataclass(frozen=True)
class Scenario:
    """One case.

    events        what was accepted; an event that is there twice was delivered twice
    before        events that were carried out before the case begins
    edits         what people do, in this order, at any time while the appointment is there, or never
    workers       how many events are under way at once
    faults        how many deaths, late requests and repeated requests there may be in all
    rules         the settings; where there are several, the admin changes from one to the next at any time
    dead_letters  an event may end as one: because what is known at that time cannot be mapped, because of people_from, or
                  because a service does not answer, which is a fault; the admin sends them again
    apart         a calendar event has an appointment of its own before it turns out to be of a meeting that has one too
    there         an appointment that the plugin made before, by its id: the meeting is to take it over
    strangers     the events are of several meetings, which have nothing to do with each other
    people_from   under settings before these (by number) Outreach refuses to say who anybody is
    """

    name: str
    events: tuple[Event, ...]
    before: tuple[Event, ...] = ()
    edits: tuple[Edit, ...] = ()
    workers: int = 2
    faults: int = 1
    organisation: Organisation = Organisation()
    rules: tuple[Rules, ...] = ()
    dead_letters: bool = False
    apart: bool = False
    there: Mapping[str, Appointment] = field(default_factory=dict)
    strangers: bool = False
    people_from: int = 0

    @property
    def sent(self) -> tuple[Event, ...]:
        """Every event of the meeting, in no order that matters."""
        return (*self.before, *self.events)


def mapping(
    *,
    deleted_in_dynamics: Literal["recreate", "leave"] = "recreate",
    without: str = "",
    adopt: Literal["never", "always"] = "never",
) -> MappingFile:
    """A small mapping with one row for each kind of column: more rows would make no difference but time."""
    content: dict[str, Any] = {
        "version": 1,
        "resources": {"meeting": {}, "calendarEvent": {"key": ["relationships.meeting"]}},
        "rows": [
            row
            for row in (
                _row("title", "subject", "text", "attributes.title"),
                _row("location", "location", "text", "attributes.location"),
                _row("starts_at", "scheduledstart", "start", "attributes.startTime"),
                _row("ends_at", "scheduledend", "end", "attributes.endTime"),
                _row("prospects", "appointment_activity_parties", "attendees", "relationships.prospects"),
                _row("owner", "ownerid", "owner", "relationships.owner"),
            )
            if row["field"] != without
        ],
        "signals": [{"field": "completed", "kind": "flag", "sources": ["action=completed"]}],
        "deleted_in_dynamics": deleted_in_dynamics,
        "existing": {"adopt": adopt},
    }
    return parse_mapping(content, origin="the simulation")


def _row(field_name: str, column: str, transform: str, source: str) -> dict[str, Any]:
    return {"row": field_name, "field": field_name, "column": column, "transform": transform, "sources": [source]}


def rules(policy: Policy | None = None, *, mapping_file: MappingFile | None = None) -> Rules:
    """Settings: everything on unless told otherwise."""
    return Rules(mapping_file or mapping(), policy or Policy(), _appointment_of)


def _appointment_of(key: MeetingKey) -> str:
    return f"{OURS}{key}"


class Connections:
    """`shared.meeting.ports.Directory`: everybody has a record; whoever was merged in Dynamics has another one on asking again.

    It keeps nothing and changes nothing, so its answers need no place in the schedule. With `refuses` it answers nothing.
    """

    def __init__(self, missing: frozenset[str], *, refuses: bool = False) -> None:
        self._missing = missing
        self._refuses = refuses

    async def resolve(self, wanted: Collection[Reference], *, refresh: bool = False) -> People:
        """A record for everybody. Raises `Permanent`."""
        if wanted and self._refuses:
            raise Permanent("Outreach refused the app.", service="outreach", status=403)
        return {reference: self.person(reference, refresh=refresh) for reference in wanted}

    def person(self, reference: Reference, *, refresh: bool) -> Person:
        """Who `reference` is in Dynamics."""
        table = {"prospect": "contact", "user": "systemuser"}.get(reference.type, reference.type)
        record = CrmRecord(table, f"{reference.type}{reference.id}")
        if refresh and f"{record.table}:{record.id}" in self._missing:
            record = CrmRecord(table, f"{record.id}merged")
        return Person((record,))


@dataclass(frozen=True)
class Ports(product.Ports):
    """What one worker is given."""

    dead_letters: SimulatedDeadLetters


Variant = Callable[[Ports], Ports]


def as_it_is(ports: Ports) -> Ports:
    """The product, with no bug put in."""
    return ports


def ports(scenario: Scenario, *, settings: int, variant: Variant) -> Ports:
    """The ports of a fresh worker under the settings number `settings`."""
    connections = Connections(scenario.organisation.missing, refuses=settings < scenario.people_from)
    return variant(
        Ports(
            SimulatedMeetings(rules=settings),
            SimulatedAppointments(),
            connections,
            SimulatedClaims(),
            SimulatedDeadLetters(),
        )
    )

"""The two stores as values: what an operation makes of the table of meetings, or of Dynamics.

Strict where the real ones are: every write makes a new version, equal values or not, and never one that anybody
remembers, not even after a deletion; completed and canceled appointments refuse changes where the organisation says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shared.errors import RowConflict
from shared.meeting.adopt import Candidate, Search
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.mirror import OPEN, Actual, Written
from shared.meeting.people import Party
from shared.meeting.ports import AppointmentClosed, FenceRefused, Refused, Stored, TargetMissing
from shared.meeting.transforms import PARTIES, STATE
from tests.simulation.interned import Version
from tests.simulation.operations import (
    Acknowledge,
    Answer,
    Claim,
    Create,
    DeadLetters,
    File,
    Filed,
    Find,
    Load,
    Operation,
    Read,
    Remove,
    Save,
    SetState,
    Update,
)

CLOSED_STATES = (1, 2)
# The ids of appointments that the app makes begin so.
OURS = "appointment of "


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. `parked_under`: the settings by which the index of parked meetings knows it, if it does.

    The real index has rows of its own; here it changes together with the row, so what lies between is not explored.
    """

    meeting: Meeting
    version: Version
    parked_under: int | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter of `meeting`."""

    meeting: str
    merged: bool
    version: Version


@dataclass(frozen=True, slots=True)
class Table:
    """What the app keeps: rows of meetings by key, dead letters by the name of their event, claims by appointment."""

    rows: Mapping[MeetingKey, Row] = field(default_factory=dict)
    dead_letters: Mapping[str, DeadLetter] = field(default_factory=dict)
    claims: Mapping[str, MeetingKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Theirs:
    """A person's value, and what Outreach's side had written last when the person saved it."""

    value: Any
    over: Any


@dataclass(frozen=True, slots=True)
class Appointment:
    """An appointment, and what only the judge knows of it.

    columns   what is there now
    ours      per column, what Outreach's side wrote last
    theirs    per column, what a person wrote last, unless Outreach's side wrote over it (the state: in any case)
    kept      per column, a person's value that nothing in Outreach gives a reason to touch
    guests    activity parties that a person added
    """

    version: Version
    state: tuple[int, int]
    columns: Mapping[str, Any]
    ours: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Theirs] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    guests: frozenset[Party] = frozenset()


@dataclass(frozen=True, slots=True)
class Crm:
    """One Dynamics organisation. `refused`: how often a plug-in has refused; `deleted`: a person deleted the appointment, with everything in it that there will be or not."""

    appointments: Mapping[str, Appointment] = field(default_factory=dict)
    refused: int = 0
    deleted: Literal["", "complete", "incomplete"] = ""


@dataclass(frozen=True, slots=True)
class Organisation:
    """How Dynamics is set up.

    strict         completed and canceled rows refuse changes
    checks_first   which refusal wins where both the version is stale and the row is closed
    refuses        columns that a plug-in refuses, whatever their value; it names the column
    times          how often it refuses in all; None: for good
    puzzle         a title that is refused without a word of what is wrong with it
    missing        records that were deleted or merged: writes that point at them get a 404
    """

    strict: bool = False
    checks_first: Literal["fence", "closed"] = "fence"
    missing: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    times: int | None = None
    puzzle: str | None = None

    def refusal(self, columns: Mapping[str, Any], *, so_far: int) -> type[Refused] | None:
        """How it refuses a body with `columns`, if it does; `so_far`: how often it has refused before."""
        if self.puzzle is not None and columns.get("subject") == self.puzzle:
            return RefusedForNothingKnown
        if self.times is not None and so_far >= self.times:
            return None
        return next((_REFUSALS[name] for name in sorted(columns) if name in self.refuses), None)


class RefusedForNothingKnown(Refused):
    """Dynamics says no, and names nothing."""

    def __init__(self) -> None:
        super().__init__("Dynamics refused it.", service="dataverse", status=400, code="0x80040265")


class RefusedColumn(Refused):
    """A plug-in says no to a column, and names it."""

    column = ""

    def __init__(self) -> None:
        super().__init__("Dynamics refused it.", service="dataverse", status=400, code="0x80040265")
        self.guesses = (frozenset({self.column}),)
        self.why = "a plug-in refuses it"


class RefusedTitle(RefusedColumn):
    """It is about the title."""

    column = "subject"


class RefusedPlace(RefusedColumn):
    """It is about the location."""

    column = "location"


class RefusedState(RefusedColumn):
    """It is about the state."""

    column = STATE


_REFUSALS = {one.column: one for one in (RefusedTitle, RefusedPlace, RefusedState)}

ON_TABLE = (Load, Save, Acknowledge, File, DeadLetters, Remove, Claim)


def on_table(operation: Operation, table: Table, *, fresh: Version) -> tuple[Table, Answer]:
    """The table after `operation`, and its answer. `fresh`: the version that a write makes."""
    match operation:
        case Acknowledge():
            return table, Answer()
        case Load(key):
            row = table.rows.get(key)
            return table, Answer(Stored(key, row.meeting, row.version) if row else Stored(key))
        case Save(key, meeting, version, rules, overwrite):
            row = table.rows.get(key)
            if not overwrite and version != (row.version if row else None):
                return table, Answer(error=RowConflict)
            stands = row.parked_under if row else None
            saved = Row(meeting, fresh, rules if meeting.held else stands)
            return replace(table, rows={**table.rows, key: saved}), Answer(fresh)
        case Claim(appointment_id, key):
            claims = {appointment_id: key, **table.claims}
            return replace(table, claims=claims), Answer(claims[appointment_id])
        case File(dead_letter, meeting, merged):
            return replace(
                table, dead_letters={**table.dead_letters, dead_letter: DeadLetter(meeting, merged, fresh)}
            ), Answer()
        case DeadLetters(meetings):
            return table, Answer(
                [
                    Filed(name, one.merged, one.version)
                    for name, one in sorted(table.dead_letters.items())
                    if one.meeting in meetings
                ]
            )
        case Remove(dead_letter, version):
            found = table.dead_letters.get(dead_letter)
            if found is None or found.version != version:
                return table, Answer(value=False)
            left = {name: one for name, one in table.dead_letters.items() if name != dead_letter}
            return replace(table, dead_letters=left), Answer(value=True)
    raise TypeError(operation)


def on_crm(operation: Operation, crm: Crm, organisation: Organisation, *, fresh: Version) -> tuple[Crm, Answer]:
    """Dynamics after `operation`, and its answer. `fresh`: the version that a write makes."""
    match operation:
        case Read(appointment_id, columns):
            return crm, Answer(_read(crm, appointment_id, columns))
        case Find(wanted, columns):
            return crm, Answer(_found(crm, wanted, columns))
        case Create(appointment_id, columns, overwrite):
            if appointment_id not in crm.appointments:
                return _write(crm, appointment_id, Appointment(fresh, OPEN, {}), columns, organisation)
            if not overwrite:
                return crm, Answer(error=FenceRefused)
            return on_crm(Update(appointment_id, columns, None), crm, organisation, fresh=fresh)
        case Update(appointment_id, columns, version):
            refusal = _refusal(crm, appointment_id, version, organisation)
            if refusal is not None:
                return crm, Answer(error=refusal)
            now = replace(crm.appointments[appointment_id], version=fresh)
            return _write(crm, appointment_id, now, columns, organisation)
        case SetState(appointment_id, state, version):
            refusal = _refusal(crm, appointment_id, version, replace(organisation, strict=False))
            if refusal is not None:
                return crm, Answer(error=refusal)
            return _set_state(crm, appointment_id, state, organisation, fresh=fresh)
    raise TypeError(operation)


def _read(crm: Crm, appointment_id: str, columns: frozenset[str]) -> Actual | None:
    found = crm.appointments.get(appointment_id)
    if found is None:
        return None
    return Actual(found.version, {name: found.columns.get(name) for name in sorted(columns)}, found.state)


def _found(crm: Crm, wanted: Search, columns: frozenset[str]) -> list[Candidate]:
    """The open appointments that others made, and that have all that is wanted."""
    found = []
    for name, one in sorted(crm.appointments.items()):
        same = all(one.columns.get(column) == value for column, value in (wanted.same or {}).items())
        if same and one.state[0] not in CLOSED_STATES and not name.startswith(OURS):
            actual = _read(crm, name, columns)
            assert actual is not None
            found.append(Candidate(name, actual))
    return found


def with_appointment(crm: Crm, appointment_id: str, appointment: Appointment) -> Crm:
    """Dynamics with the appointment as it is now."""
    return replace(crm, appointments={**crm.appointments, appointment_id: appointment})


def without(crm: Crm, appointment_id: str, *, deleted: Literal["complete", "incomplete"]) -> Crm:
    """Dynamics after a person deleted the appointment."""
    left = {name: one for name, one in crm.appointments.items() if name != appointment_id}
    return replace(crm, appointments=left, deleted=deleted)


def _refusal(
    crm: Crm, appointment_id: str, version: str | None, organisation: Organisation
) -> type[TargetMissing | FenceRefused | AppointmentClosed] | None:
    now = crm.appointments.get(appointment_id)
    if now is None:
        return TargetMissing
    stale = version is not None and version != now.version
    closed = organisation.strict and now.state[0] in CLOSED_STATES
    if stale and closed:
        return FenceRefused if organisation.checks_first == "fence" else AppointmentClosed
    if stale:
        return FenceRefused
    return AppointmentClosed if closed else None


def _set_state(
    crm: Crm, appointment_id: str, state: tuple[int, int], organisation: Organisation, *, fresh: Version
) -> tuple[Crm, Answer]:
    if (no := organisation.refusal({STATE: None}, so_far=crm.refused)) is not None:
        return replace(crm, refused=_counted(crm, organisation)), Answer(error=no)
    now = crm.appointments[appointment_id]
    changed = replace(now, version=fresh, state=state, ours={**now.ours, STATE: state})
    return with_appointment(crm, appointment_id, changed), Answer(Written(fresh, state=state))


def _counted(crm: Crm, organisation: Organisation) -> int:
    """One refusal more, where they come to an end."""
    return 0 if organisation.times is None else crm.refused + 1


def _write(
    crm: Crm, appointment_id: str, now: Appointment, columns: Mapping[str, Any], organisation: Organisation
) -> tuple[Crm, Answer]:
    mentioned = {str(party.who) for party in columns.get(PARTIES) or ()}
    if mentioned & organisation.missing:
        return crm, Answer(error=TargetMissing)
    if (no := organisation.refusal(columns, so_far=crm.refused)) is not None:
        return replace(crm, refused=_counted(crm, organisation)), Answer(error=no)
    # Who writes back what a person wrote has not written anything.
    left = {name for name, edit in now.theirs.items() if columns.get(name, edit.value) == edit.value}
    changed = replace(
        now,
        columns={**now.columns, **columns},
        ours={**now.ours, **{name: value for name, value in columns.items() if name not in left}},
        theirs={name: edit for name, edit in now.theirs.items() if name in left or name == STATE},
    )
    return with_appointment(crm, appointment_id, changed), Answer(Written(now.version, state=now.state))

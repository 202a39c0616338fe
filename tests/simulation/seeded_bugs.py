"""Bugs put in on purpose, each as a wrapper around the ports: what the product would do without one of its rules.

A checker that never says no proves nothing. Every one of these must be caught.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import RowConflict
from shared.meeting.adopt import Candidate, Search
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.merge import Stamp, Stamped
from shared.meeting.mirror import Actual, Written
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.ports import Appointments, FenceRefused, Meetings, Refused, Stored
from shared.meeting.transforms import PARTIES
from tests.simulation.operations import Acknowledge, Create, Filed, Save, SetState, SimulatedDeadLetters, Update
from tests.simulation.scenario import Ports, Variant

_NEVER = Stamp("", "")
_OWNER_IN_OUTREACH = CrmRecord("systemuser", "user1")


@dataclass
class _Meetings:
    """Hands everything on."""

    inner: Meetings

    async def load(self, key: MeetingKey) -> Stored:
        return await self.inner.load(key)

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        return await self.inner.save(stored, meeting)


@dataclass
class PassedOn:
    """Hands everything on."""

    inner: Appointments

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        return await self.inner.create(appointment_id, columns, created_on=created_on, created_by=created_by)

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        return await self.inner.update(appointment_id, columns, version=version)

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        return await self.inner.set_state(appointment_id, state, version=version)

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        return await self.inner.read(appointment_id, columns)

    async def find(self, wanted: Search, columns: Collection[str]) -> list[Candidate]:
        return await self.inner.find(wanted, columns)


class _Unfenced(PassedOn):
    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        del created_on, created_by
        written: Written = await Create(appointment_id, columns, overwrite=True)
        return written

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        del version
        written: Written = await Update(appointment_id, columns, None)
        return written

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        del version
        written: Written = await SetState(appointment_id, state, None)
        return written


class _RepeatsTheWrite(PassedOn):
    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        try:
            return await self.inner.update(appointment_id, columns, version=version)
        except FenceRefused:
            actual = await self.inner.read(appointment_id, ())
            if actual is None:
                raise
            return await self.inner.update(appointment_id, columns, version=actual.version)


class _BelievesALook(PassedOn):
    """Remembers the last look; what it showed to be right already is not written."""

    seen: Actual | None = None

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        self.seen = await self.inner.read(appointment_id, columns)
        return self.seen

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        seen = self.seen
        if seen is not None and all(seen.columns.get(name) == value for name, value in columns.items()):
            return Written(version)
        return await self.inner.update(appointment_id, columns, version=version)


class _WritesTheOrganizer(PassedOn):
    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        if PARTIES in columns:
            attendees = [party for party in columns[PARTIES] if party.role is not Role.ORGANIZER]
            columns = {**columns, PARTIES: [*attendees, Party(Role.ORGANIZER, _OWNER_IN_OUTREACH)]}
        return await self.inner.update(appointment_id, columns, version=version)


class _TakesNoNote(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        return await self.inner.save(stored, replace(meeting, mirror=replace(meeting.mirror, doubt=frozenset())))


class _LastComerWins(_Meetings):
    """What stands in the row looks as if it were older than anything; it is saved with its own stamps."""

    stood: Mapping[str, Stamped] | None = None

    async def load(self, key: MeetingKey) -> Stored:
        stored = await self.inner.load(key)
        if stored.meeting is None:
            return stored
        self.stood = stored.meeting.facts
        old = {name: one._replace(stamp=_NEVER) for name, one in self.stood.items()}
        return replace(stored, meeting=replace(stored.meeting, facts=old))

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        stood = self.stood or {}
        facts = {name: stood[name] if one.stamp == _NEVER else one for name, one in meeting.facts.items()}
        return await self.inner.save(stored, replace(meeting, facts=facts))


class _AcknowledgesFirst(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        saved = await self.inner.save(stored, meeting)
        if meeting.mirror.doubt:
            await Acknowledge()
        return saved


class _NeverSaves(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        del stored, meeting
        raise RowConflict


@dataclass
class _TakesInFirst(_Meetings):
    held: tuple[Stored, Meeting] | None = None

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        if meeting.aliases.meeting:
            self.held = stored, meeting
            return replace(stored, meeting=meeting)
        saved = await self.inner.save(stored, meeting)
        if self.held is not None:
            (alias, pointing), self.held = self.held, None
            await self.inner.save(alias, pointing)
        return saved


class _SavesWhatDiffers(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        return stored if stored.meeting == meeting else await self.inner.save(stored, meeting)


class _TakesAllForMerged(SimulatedDeadLetters):
    async def of_meetings(self, meetings: Collection[str]) -> list[Filed]:
        return [replace(dead_letter, merged=True) for dead_letter in await super().of_meetings(meetings)]


class _ForgetsTheSpare(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        return await self.inner.save(stored, replace(meeting, mirror=replace(meeting.mirror, surplus=frozenset())))


class _KnowsTheNearestOnly(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        known = frozenset(key for key in meeting.aliases.known if key.resource != "task")
        return await self.inner.save(stored, replace(meeting, aliases=replace(meeting.aliases, known=known)))


class _SavesOverOthers(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        version: str = await Save(stored.key, meeting, stored.version, 0, overwrite=True)
        return Stored(stored.key, meeting, version)


def no_fence(ports: Ports) -> Ports:
    """Every write to Dynamics takes place whatever the version is."""
    return replace(ports, appointments=_Unfenced(ports.appointments))


def repeats_the_write_without_loading(ports: Ports) -> Ports:
    """After a refused fence the same write is sent again with the actual version; the row is not loaded again."""
    return replace(ports, appointments=_RepeatsTheWrite(ports.appointments))


def believes_a_look(ports: Ports) -> Ports:
    """After a refused fence nothing is written where the doubtful columns look right."""
    return replace(ports, appointments=_BelievesALook(ports.appointments))


def writes_the_organizer_with_the_attendees(ports: Ports) -> Ports:
    """With every list of attendees the organizer is Outreach's owner again, whoever was made it meanwhile."""
    return replace(ports, appointments=_WritesTheOrganizer(ports.appointments))


def no_record_of_doubt(ports: Ports) -> Ports:
    """The claim does not say which columns are about to be written."""
    return replace(ports, meetings=_TakesNoNote(ports.meetings))


def merges_by_arrival(ports: Ports) -> Ports:
    """Who comes last wins, whenever it happened."""
    return replace(ports, meetings=_LastComerWins(ports.meetings))


def acknowledges_before_the_write(ports: Ports) -> Ports:
    """The queue is told that the event is done as soon as it is merged."""
    return replace(ports, meetings=_AcknowledgesFirst(ports.meetings))


def saves_over_others(ports: Ports) -> Ports:
    """Rows are saved whoever saved them meanwhile."""
    return replace(ports, meetings=_SavesOverOthers(ports.meetings))


def takes_in_before_it_moves(ports: Ports) -> Ports:
    """A meeting takes in what a calendar event's row holds before that row stops taking anything."""
    return replace(ports, meetings=_TakesInFirst(ports.meetings))


def never_saves(ports: Ports) -> Ports:
    """No row is ever saved, and workers go round for ever."""
    return replace(ports, meetings=_NeverSaves(ports.meetings))


def tells_no_row_what_it_knows(ports: Ports) -> Ports:
    """A row that knows of dead letters is not saved when one more is filed."""
    return replace(ports, meetings=_SavesWhatDiffers(ports.meetings))


def takes_every_letter_for_merged(ports: Ports) -> Ports:
    """A good event clears every dead letter of its meeting."""
    return replace(ports, dead_letters=_TakesAllForMerged())


def forgets_the_spare(ports: Ports) -> Ports:
    """A meeting that has an appointment forgets the one that its calendar event has."""
    return replace(ports, meetings=_ForgetsTheSpare(ports.meetings))


def forgets_the_aliases_of_an_alias(ports: Ports) -> Ports:
    """A meeting knows its calendar events, and not the tasks that tell of it along one of these."""
    return replace(ports, meetings=_KnowsTheNearestOnly(ports.meetings))


class _LearnsFromAnyCode(PassedOn):
    """Whatever is refused, the location is taken to be what was."""

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        try:
            return await self.inner.update(appointment_id, columns, version=version)
        except Refused as error:
            error.guesses = (frozenset({"location"} & columns.keys()) or error.guesses[0],)
            raise


class _ForgetsRefusals(_Meetings):
    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        return await self.inner.save(stored, replace(meeting, mirror=replace(meeting.mirror, refused={})))


def learns_from_any_code(ports: Ports) -> Ports:
    """A refusal of one column is taken for one of another."""
    return replace(ports, appointments=_LearnsFromAnyCode(ports.appointments))


def sends_a_refused_column_with_every_change(ports: Ports) -> Ports:
    """No row remembers what was refused."""
    return replace(ports, meetings=_ForgetsRefusals(ports.meetings))


class _NoClaims:
    async def claim(self, appointment_id: str, key: MeetingKey) -> MeetingKey:
        del appointment_id
        return key


def takes_over_without_a_claim(ports: Ports) -> Ports:
    """Whoever finds an appointment that was there before takes it."""
    return replace(ports, claims=_NoClaims())


SEEDED_BUGS: tuple[Variant, ...] = (
    takes_over_without_a_claim,
    no_fence,
    repeats_the_write_without_loading,
    believes_a_look,
    writes_the_organizer_with_the_attendees,
    no_record_of_doubt,
    merges_by_arrival,
    acknowledges_before_the_write,
    saves_over_others,
    takes_in_before_it_moves,
    never_saves,
    tells_no_row_what_it_knows,
    takes_every_letter_for_merged,
    forgets_the_spare,
    forgets_the_aliases_of_an_alias,
    learns_from_any_code,
    sends_a_refused_column_with_every_change,
)

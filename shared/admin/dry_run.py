"""What a delivery would do, column by column and why, without doing it.

It is the sync itself (`shared/meeting/apply.py`) over stores that only remember (`shared/admin/dry_run_ports.py`), so
it cannot say anything else than what the sync would do now. Two things it cannot foresee, because only a write brings
them out: a privilege that the app's user lacks, and a record that was deleted in Dynamics since it was last looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from shared.admin.dry_run_ports import (
    FindAppointments,
    ReadAppointment,
    ReadHolder,
    ReadMeeting,
    ReadOnlyClaims,
    RecordingAppointments,
    RecordingDirectory,
    RecordingMeetings,
    Request,
)
from shared.admin.dry_run_report import Check, ColumnReport, Found, checks, columns, found_people, sources_of, unread
from shared.admin.readonly import RecordingOutreach
from shared.errors import Permanent, SyncError, Unmappable, describe
from shared.meeting.aliases import canonical, is_alias, with_alias
from shared.meeting.apply import Outcome, apply
from shared.meeting.appointment import Desired, Policy, collapse, creators, desired, references
from shared.meeting.decide import Rules
from shared.meeting.delivery import Delivery, parse_delivery
from shared.meeting.identity import MeetingKey, appointment_id
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Meeting
from shared.meeting.outcome import OutcomeKind
from shared.meeting.patch import Patch, accepts, read_patch, why_not
from shared.meeting.ports import Ports
from shared.pipeline.people import CrmDirectory
from shared.timestamps import Clock, sortable

LookUp = Callable[[], tuple[CrmDirectory, RecordingOutreach]]

_SENTENCES: Mapping[OutcomeKind, str] = {
    OutcomeKind.CREATED: "A new appointment would be made.",
    OutcomeKind.UPDATED: "The appointment would be changed.",
    OutcomeKind.MERGED: "It would be remembered; no column of the appointment changes by it.",
    OutcomeKind.DUPLICATE: "Nothing in it is new; nothing would be written.",
    OutcomeKind.SUPERSEDED: "Everything in it is older than what is known; nothing would be written.",
    OutcomeKind.PARKED: "It would be remembered, and nothing written for now.",
    OutcomeKind.LEFT: "The appointment was deleted in Dynamics and the mapping says to leave it so.",
}

_CLOSED = (
    "The appointment is completed or canceled. An organisation that refuses to change it so gets it opened first and "
    "closed again afterwards."
)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would become of one delivery.

    outcome    as in the journal; where it is a dead letter, `reason` and `code` say why
    requests   what Dataverse would get, in order
    unread     members of the delivery that no source of the mapping names
    """

    outcome: OutcomeKind
    sentence: str
    event: str
    record: str
    meeting: str = ""
    appointment_id: str = ""
    reason: str = ""
    code: str = ""
    notes: tuple[str, ...] = ()
    columns: tuple[ColumnReport, ...] = ()
    checks: tuple[Check, ...] = ()
    people: tuple[Found, ...] = ()
    requests: tuple[Request, ...] = ()
    unread: tuple[str, ...] = ()


class DryRunner:
    """Works out what deliveries would do, and can only read. `look_up` makes a directory that keeps nothing."""

    def __init__(
        self,
        *,
        meetings: ReadMeeting,
        appointments: ReadAppointment,
        find: FindAppointments,
        holder: ReadHolder,
        look_up: LookUp,
        mapping: MappingFile,
        policy: Policy,
        org: str,
        now: Clock,
    ) -> None:
        self._meetings = meetings
        self._appointments = appointments
        self._find = find
        self._holder = holder
        self._look_up = look_up
        self._rules = Rules(mapping, policy, partial(appointment_id, org=org))
        self._now = now

    async def run(self, body: object) -> DryRun:
        """What the delivery `body` (JSON already decoded) would do now.

        Raises `BadDelivery` for what is no delivery, `Transient` where Dynamics, Outreach or the table cannot be asked.
        """
        delivery = parse_delivery(body)
        start = DryRun(OutcomeKind.IGNORED, "", f"{delivery.resource}.{delivery.action}", delivery.record_id)
        if not accepts(delivery, self._rules.mapping):
            return _ignored(start, why_not(delivery, self._rules.mapping))
        now = self._now()
        start = replace(start, unread=unread(delivery, self._rules.mapping))
        try:
            patch = read_patch(delivery, mapping=self._rules.mapping, received_at=now)
        except Unmappable as error:
            return _dead(start, error)
        return await self._work_out(start, delivery, patch, now)

    async def _work_out(self, start: DryRun, delivery: Delivery, patch: Patch, now: datetime) -> DryRun:
        meetings = RecordingMeetings(self._meetings)
        appointments = RecordingAppointments(self._appointments, self._find, self._rules.mapping.wires)
        directory, outreach = self._look_up()
        recording = RecordingDirectory(directory)
        ports = Ports(meetings, appointments, recording, ReadOnlyClaims(self._holder))
        if patch.unnamed and not await is_alias(patch.key, meetings):
            return _ignored(start, "It names no meeting, and no earlier event of the same record did.")
        found = await canonical(patch.key, meetings)
        if patch.alias is not None:
            found = await with_alias(found, patch.alias, meetings=meetings, finish=_as_it_is)
        key = found.stored.key
        before = found.meeting.choose_appointment(self._rules.new_appointment_id(key))
        outcome: Outcome | None = None
        try:
            outcome = await apply(
                patch.key,
                patch.fields,
                rules=self._rules,
                ports=ports,
                alias=patch.alias,
                at=sortable(now),
            )
            result = _carried_out(start, outcome)
        except (Unmappable, Permanent) as error:
            result = _dead(start, error)
        after = (await meetings.load(key)).meeting or before
        want = await self._wanted(after, recording)
        written = outcome.columns if outcome is not None else ()
        if outcome is not None and outcome.kind is OutcomeKind.CREATED and want is not None and want.created_by:
            written = (*written, "createdby")
        return replace(
            result,
            meeting=str(key),
            appointment_id=after.mirror.appointment_id,
            columns=columns(
                before,
                after,
                patch.fields,
                want,
                self._rules.mapping,
                sources=sources_of(delivery, self._rules.mapping, received_at=now),
                written=written,
                waits=result.reason,
            ),
            checks=checks(before, after.facts, want, self._rules),
            people=found_people(recording.people, outreach.records),
            requests=tuple(appointments.requests),
            notes=(*patch.notes, *result.notes, *([_CLOSED] if appointments.met_closed else [])),
        )

    async def _wanted(self, meeting: Meeting, recording: RecordingDirectory) -> Desired | None:
        """The columns as they are to be; None where they cannot be worked out.

        The sync asks for people only where something may have to be written; who reads a dry run wants to see them all.
        """
        values = collapse(meeting.facts, self._rules.mapping)
        try:
            wanted = references(values, self._rules.mapping) | creators(values, self._rules.mapping)
            await recording.resolve(wanted - recording.people.keys())
            want = desired(values, mapping=self._rules.mapping, people=recording.people, policy=self._rules.policy)
            return want.created_by_then(sortable(self._now()))
        except Permanent:
            return None


def _carried_out(start: DryRun, outcome: Outcome) -> DryRun:
    return replace(
        start,
        outcome=outcome.kind,
        sentence=_SENTENCES[outcome.kind],
        reason=outcome.reason,
        notes=outcome.notes,
    )


async def _as_it_is(_: MeetingKey) -> bool:
    """An appointment that is being made this moment is somebody else's work, and soon done."""
    return False


def _ignored(start: DryRun, reason: str) -> DryRun:
    return replace(start, outcome=OutcomeKind.IGNORED, sentence="The app would take it and forget it.", reason=reason)


def _dead(start: DryRun, error: SyncError) -> DryRun:
    described = describe(error)
    sentence = "It would become a dead letter, because it cannot be carried out."
    return replace(
        start,
        outcome=OutcomeKind.DEAD_LETTERED,
        sentence=sentence,
        reason=described.sentence,
        code=described.code,
    )

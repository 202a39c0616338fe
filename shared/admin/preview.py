"""What a delivery would do, column by column and why, without doing it.

It is the sync itself (`shared/meeting/apply.py`) over stores that only remember (`shared/admin/rehearsal.py`), so it
cannot say anything else than what the sync would do now. Two things it cannot foresee, because only a write brings them
out:
a privilege that the app's user lacks, and a record that was deleted in Dynamics since it was last looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from shared.admin.explain import Check, Explained, Found, checks, columns, found_people, sources_of, unread
from shared.admin.readonly import NotedOutreach
from shared.admin.rehearsal import (
    NotedDirectory,
    ReadAppointment,
    ReadMeeting,
    RehearsedAppointments,
    RehearsedMeetings,
    Request,
)
from shared.errors import Permanent, SyncError, Unmappable, describe
from shared.meeting.aliases import link
from shared.meeting.apply import Outcome, Rules, apply
from shared.meeting.appointment import Desired, Policy, collapse, creators, desired, references
from shared.meeting.delivery import Delivery, parse_delivery
from shared.meeting.identity import MeetingKey, appointment_id
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import MeetingState
from shared.meeting.outcome import OutcomeKind
from shared.meeting.patch import Patch, accepts, read_patch
from shared.meeting.ports import Meetings
from shared.pipeline.people import CrmDirectory
from shared.timestamps import Clock

LookUp = Callable[[], tuple[CrmDirectory, NotedOutreach]]

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
class Preview:
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
    columns: tuple[Explained, ...] = ()
    checks: tuple[Check, ...] = ()
    people: tuple[Found, ...] = ()
    requests: tuple[Request, ...] = ()
    unread: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `POST /api/preview` answers."""
        people = [
            {**asdict(found), "reference": f"{found.reference.type}:{found.reference.id}"} for found in self.people
        ]
        shown: dict[str, Any] = _camel({**asdict(self), "people": people})
        return shown


class Previewer:
    """Previews deliveries. It is given only functions that read; `look_up` makes a directory that remembers nothing."""

    def __init__(
        self,
        *,
        meetings: ReadMeeting,
        appointments: ReadAppointment,
        look_up: LookUp,
        mapping: MappingFile,
        policy: Policy,
        org: str,
        now: Clock,
    ) -> None:
        self._meetings = meetings
        self._appointments = appointments
        self._look_up = look_up
        self._mapping = mapping
        self._policy = policy
        self._org = org
        self._now = now

    async def preview(self, body: object) -> Preview:
        """What the delivery `body` (JSON already decoded) would do now.

        Raises `BadDelivery` for what is no delivery, `Transient` where Dynamics, Outreach or the table cannot be asked.
        """
        delivery = parse_delivery(body)
        start = Preview(OutcomeKind.IGNORED, "", f"{delivery.resource}.{delivery.action}", delivery.record_id)
        if not accepts(delivery, self._mapping):
            return _ignored(start, _why_not(delivery, self._mapping))
        now = self._now()
        start = replace(start, unread=unread(delivery, self._mapping))
        try:
            patch = read_patch(delivery, mapping=self._mapping, received_at=now)
        except Unmappable as error:
            return _dead(start, error)
        return await self._rehearse(start, delivery, patch, now)

    async def _rehearse(self, start: Preview, delivery: Delivery, patch: Patch, now: datetime) -> Preview:
        meetings = RehearsedMeetings(self._meetings)
        appointments = RehearsedAppointments(self._appointments, self._mapping.wires)
        directory, outreach = self._look_up()
        noted = NotedDirectory(directory)
        rules = Rules(self._mapping, self._policy, appointment_id(patch.key, org=self._org))
        if patch.copy_of is not None:
            await link(
                patch.copy_of,
                patch.key,
                meetings=meetings,
                new_appointment_id=rules.new_appointment_id,
                finish=_as_it_is,
            )
        if patch.unnamed and await meetings.load(patch.key) == (None, None):
            return _ignored(start, "It names no meeting, and no earlier event of the same record did.")
        key, before = await _standing(patch.key, meetings, rules)
        outcome: Outcome | None = None
        try:
            outcome = await apply(
                patch.key,
                patch.fields,
                rules=rules,
                meetings=meetings,
                appointments=appointments,
                directory=noted,
                copy_of=patch.copy_of,
            )
            result = _told(start, outcome)
        except (Unmappable, Permanent) as error:
            result = _dead(start, error)
        after, _ = await meetings.load(key)
        after = after or before
        want = await self._wanted(after, noted)
        written = outcome.columns if outcome is not None else ()
        if outcome is not None and outcome.kind is OutcomeKind.CREATED and want is not None and want.created_by:
            written = (*written, "createdby")
        return replace(
            result,
            meeting=str(key),
            appointment_id=after.appointment_id,
            columns=columns(
                before,
                after,
                patch.fields,
                want,
                self._mapping,
                sources=sources_of(delivery, self._mapping, received_at=now),
                written=written,
                waits=result.reason,
            ),
            checks=checks(before, after.fields, want, self._mapping, self._policy),
            people=found_people(noted.people, outreach.records),
            requests=tuple(appointments.requests),
            notes=(*result.notes, *([_CLOSED] if appointments.met_closed else [])),
        )

    async def _wanted(self, state: MeetingState, noted: NotedDirectory) -> Desired | None:
        """The columns as they are to be; None where they cannot be worked out.

        The sync asks for people only where something may have to be written; who reads a preview wants to see them all.
        """
        values = collapse(state.fields, self._mapping)
        try:
            wanted = references(values, self._mapping) | creators(values, self._mapping)
            await noted.resolve(wanted - noted.people.keys())
            return desired(values, mapping=self._mapping, people=noted.people, policy=self._policy)
        except (Unmappable, Permanent):
            return None


async def _standing(key: MeetingKey, meetings: Meetings, rules: Rules) -> tuple[MeetingKey, MeetingState]:
    """The row that counts for `key`, as it is now."""
    state, _ = await meetings.load(key)
    if state is not None and state.moved_to:
        return await _standing(MeetingKey.parse(state.moved_to), meetings, rules)
    return key, state or MeetingState({}, rules.new_appointment_id)


def _told(start: Preview, outcome: Outcome) -> Preview:
    return replace(
        start,
        outcome=outcome.kind,
        sentence=_SENTENCES[outcome.kind],
        reason=outcome.reason,
        notes=outcome.notes,
    )


async def _as_it_is(_: MeetingKey) -> None:
    """An appointment that is being made this moment is somebody else's work, and soon done."""


def _ignored(start: Preview, reason: str) -> Preview:
    return replace(start, outcome=OutcomeKind.IGNORED, sentence="The app would take it and forget it.", reason=reason)


def _why_not(delivery: Delivery, mapping: MappingFile) -> str:
    if delivery.resource in mapping.resources:
        return (
            f"The mapping's resource {delivery.resource} does not count such an event: see its actions, when and key."
        )
    if delivery.resource in mapping.declared:
        return f"The mapping's resource {delivery.resource} is not enabled."
    return f"The mapping has no resource {delivery.resource}; it has {', '.join(mapping.declared)}."


def _dead(start: Preview, error: SyncError) -> Preview:
    described = describe(error)
    sentence = "It would become a dead letter, because it cannot be carried out."
    return replace(
        start,
        outcome=OutcomeKind.DEAD_LETTERED,
        sentence=sentence,
        reason=described.sentence,
        code=described.code,
    )


def _camel(value: Any) -> Any:
    """`value` with the names of dataclass fields as the API writes them; bodies and headers stay as they are."""
    if isinstance(value, dict):
        return {
            _camel_name(name): item if name in {"body", "headers"} else _camel(item) for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_camel(item) for item in value]
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)

"""Stores that read what is there and only record what would be written, for a dry run of `apply`.

They are given functions that read and none that writes, so a dry run cannot change anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.dataverse.odata import Wires, to_body
from shared.errors import RowConflict
from shared.meeting.adopt import Candidate, Search
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.mirror import Actual, Written
from shared.meeting.people import Person
from shared.meeting.ports import Directory, FenceRefused, Stored, TargetMissing

ReadMeeting = Callable[[MeetingKey], Awaitable[Stored]]
ReadAppointment = Callable[[str, Collection[str]], Awaitable[Actual | None]]
FindAppointments = Callable[[Search, Collection[str]], Awaitable[list[Candidate]]]
ReadHolder = Callable[[str], Awaitable[MeetingKey | None]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request that Dataverse would get; `headers` are those that decide what it does."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class RecordingMeetings:
    """Implements `shared.meeting.ports.Meetings`: rows are read where they are and saved in memory."""

    def __init__(self, read: ReadMeeting) -> None:
        self._read = read
        self._saved: dict[MeetingKey, Stored] = {}

    async def load(self, key: MeetingKey) -> Stored:
        """What the dry run saved, else the row as it is."""
        return self._saved.get(key) or await self._read(key)

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        """Remember `meeting`."""
        if (await self.load(stored.key)).version != stored.version:
            raise RowConflict
        self._saved[stored.key] = Stored(stored.key, meeting, f"{stored.version or 'nothing'}, dry run")
        return self._saved[stored.key]


@dataclass(slots=True)
class RecordingAppointments:
    """Implements `shared.meeting.ports.Appointments`: `requests` holds what would be sent, in order.

    `met_closed`: a completed or canceled appointment would be changed. Some organisations refuse that; a dry run goes
    on as if this one did not.
    """

    look: ReadAppointment
    search: FindAppointments
    wires: Wires
    requests: list[Request] = field(default_factory=list)
    met_closed: bool = False
    _version: str = ""

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        """Note the create; refused as in Dynamics where the appointment is there already."""
        if await self.look(appointment_id, ()) is not None:
            raise FenceRefused
        headers = {"If-None-Match": "*"} | ({"MSCRMCallerID": created_by} if created_by else {})
        body = to_body(columns, self.wires) | ({"overriddencreatedon": created_on} if created_on else {})
        return self._recorded(appointment_id, headers, body)

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        """Note the update; refused as in Dynamics where the version is another by now."""
        await self._fence(appointment_id, version)
        return self._recorded(appointment_id, {"If-Match": version}, to_body(columns, self.wires))

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        """Note the change of state."""
        await self._fence(appointment_id, version)
        return self._recorded(appointment_id, {"If-Match": version}, {"statecode": state[0], "statuscode": state[1]})

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        """The appointment as it is."""
        return await self.look(appointment_id, columns)

    async def find(self, wanted: Search, columns: Collection[str]) -> list[Candidate]:
        """Those that are there already."""
        return await self.search(wanted, columns)

    async def _fence(self, appointment_id: str, version: str) -> None:
        if version == self._version:
            return
        actual = await self.look(appointment_id, ())
        if actual is None:
            raise TargetMissing
        if actual.version != version:
            raise FenceRefused
        self.met_closed = actual.is_closed

    def _recorded(self, appointment_id: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Written:
        self.requests.append(Request("PATCH", f"/appointments({appointment_id})", headers, body))
        self._version = f"the version after request {len(self.requests)}"
        return Written(self._version)


@dataclass(frozen=True, slots=True)
class ReadOnlyClaims:
    """Implements `shared.meeting.ports.Claims`: who would have it."""

    holder: ReadHolder

    async def claim(self, appointment_id: str, key: MeetingKey) -> MeetingKey:
        """The meeting that has it, else `key`."""
        return await self.holder(appointment_id) or key


class RecordingDirectory:
    """Implements `shared.meeting.ports.Directory`: `people` holds everybody who was looked up."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.people: dict[Reference, Person] = {}

    async def resolve(self, wanted: Collection[Reference], *, refresh: bool = False) -> Mapping[Reference, Person]:
        """As the directory itself."""
        found = await self._directory.resolve(wanted, refresh=refresh)
        self.people |= found
        return found

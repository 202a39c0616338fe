"""What the core needs from outside, and the errors that steer it. The rooms above implement it; so do test doubles."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shared.errors import Permanent, SyncError
from shared.meeting.adopt import Candidate, Search
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.mirror import Actual, Written
from shared.meeting.people import People


class FenceRefused(SyncError):
    """HTTP 412: the appointment is there already (create) or has another version (update)."""

    sentence = "Somebody else changed this appointment in Dynamics meanwhile."


# Columns that a refusal may be about, Created On (`overriddencreatedon`) and Created By (`createdby`) among them.
Guess = frozenset[str]


class TargetMissing(SyncError):
    """HTTP 404: the appointment itself, or a record that it points at, does not exist, or may not be used any more.

    `guesses` and `why`: as those of `Refused`, for where asking again who everybody is has not helped.
    """

    sentence = "Dynamics has no such record."
    guesses: tuple[Guess, ...] = ()
    why = ""

    def __init__(self, code: str = "", said: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.said = said


class Refused(Permanent):
    """Dynamics refused a request, and will refuse the same again. Nothing of it was written.

    `guesses`: the columns to do without, the likeliest first; empty where nothing is known. `why`: the reason, for
    people. `said`: the message of Dynamics, which may hold anything: only names of our own are looked for in it.
    """

    def __init__(self, reason: str, *, said: str = "", **details: Any) -> None:
        super().__init__(reason, **details)
        self.said = said
        self.guesses: tuple[Guess, ...] = ()
        self.why = ""


class AppointmentClosed(SyncError):
    """The appointment is completed or canceled, and this organisation lets nobody change such rows."""

    sentence = "Dynamics lets nobody change this completed or canceled appointment."


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the table of meetings when it was read or written; without meeting and version there is none."""

    key: MeetingKey
    meeting: Meeting | None = None
    version: str | None = None


class Meetings(Protocol):
    """The table of meetings, with optimistic concurrency."""

    async def load(self, key: MeetingKey) -> Stored:
        """The row as it is."""
        ...

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        """Store `meeting` if the row is still as it was in `stored`, else raise `RowConflict`. Returns the row now."""
        ...


class Claims(Protocol):
    """Which meeting has taken over an appointment that was there before: one for each, for ever."""

    async def claim(self, appointment_id: str, key: MeetingKey) -> MeetingKey:
        """The meeting that has it: `key`, unless another one was first."""
        ...


class DeadLetter(Protocol):
    """A dead letter."""

    @property
    def merged(self) -> bool:
        """Whether its meeting's row remembers what the event said."""
        ...


L = TypeVar("L", bound=DeadLetter)


class DeadLetters(Protocol[L]):
    """The dead letters."""

    async def of_meetings(self, meetings: Collection[str]) -> list[L]:
        """Those of these meetings and calendar events."""
        ...

    async def remove(self, dead_letter: L) -> bool:
        """Forget this one; not if the same event has failed again since it was read. Returns whether it is gone."""
        ...


class Appointments(Protocol):
    """The appointments of one Dataverse organisation. Every call is one that may be sent twice without harm."""

    async def create(
        self,
        appointment_id: str,
        columns: Mapping[str, Any],
        *,
        created_on: str | None,
        created_by: str | None,
    ) -> Written:
        """Create under our id, never update. Raises `FenceRefused` where it exists, `TargetMissing`."""
        ...

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        """Write `columns` if the version still fits. Raises `FenceRefused`, `TargetMissing`, `AppointmentClosed`."""
        ...

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        """Write (statecode, statuscode) if the version still fits. Raises `FenceRefused`, `TargetMissing`."""
        ...

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        """The version, state and these columns as they are now; None where there is no such appointment."""
        ...

    async def find(self, wanted: Search, columns: Collection[str]) -> list[Candidate]:
        """The open appointments that fit, with these columns; none that we made."""
        ...


class Directory(Protocol):
    """Who Outreach's people and opportunities are in Dynamics."""

    async def resolve(self, wanted: Collection[Reference], *, refresh: bool = False) -> People:
        """A `Person` for every reference in `wanted`. `refresh`: a record that was given before is gone; ask again."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All that carrying out an event needs from outside."""

    meetings: Meetings
    appointments: Appointments
    directory: Directory
    claims: Claims

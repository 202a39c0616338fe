"""Each I/O step of a worker as an object: awaiting it hands it to the scheduler, which decides when it takes place."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import SyncError, Transient
from shared.meeting.adopt import Candidate, Search
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.mirror import Actual, Written
from shared.meeting.ports import Stored


@dataclass(frozen=True, slots=True)
class Filed:
    """A dead letter that was found."""

    name: str
    merged: bool
    version: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker gets for an operation: a value, or an error of this class."""

    value: Any = None
    error: type[SyncError] | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return self.error.__name__
        return _in_words(self.value)


def _in_words(value: Any) -> str:
    match value:
        case None:
            return "done"
        case True | False:
            return "gone" if value else "it stays"
        case []:
            return "none"
        case [*several]:
            return ", ".join(map(_in_words, several))
        case Stored(_, None):
            return "no row"
        case Stored(_, Meeting() as meeting, version):
            return f"row {version}, doubt {sorted(meeting.mirror.doubt)}, fence {meeting.mirror.version}"
        case Actual(version, columns, state):
            return f"version {version}, {dict(columns)}, state {state[0]}"
        case Written(version):
            return f"version {version}"
    return _named(value)


def _named(value: Any) -> str:
    match value:
        case Filed(name, merged):
            return f"{name}{'' if merged else ' (not merged)'}"
        case Candidate(appointment_id, actual):
            return f"{appointment_id} version {actual.version}"
        case MeetingKey() as key:
            return f"it is that of {key}"
    return f"row {value}"


class Operation:
    """One I/O step."""

    @property
    def writes(self) -> bool:
        """Whether it changes a store, so that it matters when a lost request arrives."""
        return True

    def __await__(self) -> Generator[Operation, Answer, Any]:
        answer = yield self
        if answer.error is not None:
            raise answer.error
        return answer.value


@dataclass(frozen=True)
class Load(Operation):
    """Read a row of the table of meetings."""

    key: MeetingKey

    @property
    def writes(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"load {self.key}"


@dataclass(frozen=True)
class Save(Operation):
    """Write a row if it still has `version` (None: if there is none); with `overwrite`, whatever is there.

    `rules`: the settings of the worker.
    """

    key: MeetingKey
    meeting: Meeting
    version: str | None
    rules: int
    overwrite: bool = False

    def __str__(self) -> str:
        mirror, points_to = self.meeting.mirror, self.meeting.aliases.meeting
        what = f"moved to {points_to}" if points_to else f"doubt {sorted(mirror.doubt)}"
        parked = ", parked" if self.meeting.held else ""
        return f"save {self.key} over row {self.version}: {what}, fence {mirror.version}{parked}"


@dataclass(frozen=True)
class Create(Operation):
    """Make the appointment, only where there is none; with `overwrite`, whatever is there."""

    appointment_id: str
    columns: Mapping[str, Any]
    overwrite: bool = False

    def __str__(self) -> str:
        return f"create {self.appointment_id} {dict(self.columns)}"


@dataclass(frozen=True)
class Update(Operation):
    """Write columns, fenced by `version`; None: whatever is there."""

    appointment_id: str
    columns: Mapping[str, Any]
    version: str | None

    def __str__(self) -> str:
        return f"update {self.appointment_id} if version {self.version}: {dict(self.columns)}"


@dataclass(frozen=True)
class SetState(Operation):
    """Write the state, fenced by `version`; None: whatever is there."""

    appointment_id: str
    state: tuple[int, int]
    version: str | None

    def __str__(self) -> str:
        return f"set state of {self.appointment_id} if version {self.version}: {self.state[0]}"


@dataclass(frozen=True)
class Read(Operation):
    """Read the appointment."""

    appointment_id: str
    columns: frozenset[str]

    @property
    def writes(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"read {self.appointment_id} {sorted(self.columns)}"


@dataclass(frozen=True)
class Find(Operation):
    """Look for the appointment of a meeting that has none yet."""

    wanted: Search
    columns: frozenset[str]

    @property
    def writes(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"find {dict(self.wanted.same or {})}"


@dataclass(frozen=True)
class Claim(Operation):
    """Take over an appointment for a meeting, unless another one has."""

    appointment_id: str
    key: MeetingKey

    def __str__(self) -> str:
        return f"claim {self.appointment_id} for {self.key}"


@dataclass(frozen=True)
class File(Operation):
    """File a dead letter under a meeting, over an earlier one of the same event."""

    dead_letter: str
    meeting: str
    merged: bool

    def __str__(self) -> str:
        return f"file {self.dead_letter}{'' if self.merged else ' (not merged)'} under {self.meeting}"


@dataclass(frozen=True)
class DeadLetters(Operation):
    """Read the dead letters of these meetings and calendar events."""

    meetings: tuple[str, ...]

    @property
    def writes(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"letters of {', '.join(self.meetings)}"


@dataclass(frozen=True)
class Remove(Operation):
    """Forget a dead letter, if it still has `version`."""

    dead_letter: str
    version: str

    def __str__(self) -> str:
        return f"remove {self.dead_letter} if version {self.version}"


@dataclass(frozen=True)
class Acknowledge(Operation):
    """Tell the queue that the event is done. A worker that ends does so anyway; only a seeded bug does it sooner."""

    @property
    def writes(self) -> bool:
        return False

    def __str__(self) -> str:
        return "acknowledge"


class GaveUp(Transient):
    """A service that does not answer, for the last time."""

    def __init__(self) -> None:
        super().__init__("It did not answer for a day.", service="dataverse")


class SimulatedDeadLetters:
    """`shared.meeting.ports.DeadLetters`, one operation per call."""

    async def of_meetings(self, meetings: Collection[str]) -> list[Filed]:
        found: list[Filed] = await DeadLetters(tuple(meetings))
        return found

    async def remove(self, dead_letter: Filed) -> bool:
        gone: bool = await Remove(dead_letter.name, dead_letter.version)
        return gone

    async def file(self, dead_letter: str, meeting: str, *, merged: bool) -> None:
        await File(dead_letter, meeting, merged)


class SimulatedClaims:
    """`shared.meeting.ports.Claims`, one operation per call."""

    async def claim(self, appointment_id: str, key: MeetingKey) -> MeetingKey:
        holder: MeetingKey = await Claim(appointment_id, key)
        return holder


class SimulatedMeetings:
    """`shared.meeting.ports.Meetings`, one operation per call."""

    def __init__(self, *, rules: int) -> None:
        self._rules = rules

    async def load(self, key: MeetingKey) -> Stored:
        found: Stored = await Load(key)
        return found

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        version: str = await Save(stored.key, meeting, stored.version, self._rules)
        return Stored(stored.key, meeting, version)


class SimulatedAppointments:
    """`shared.meeting.ports.Appointments`, one operation per call."""

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        del created_on, created_by
        written: Written = await Create(appointment_id, columns)
        return written

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        written: Written = await Update(appointment_id, columns, version)
        return written

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        written: Written = await SetState(appointment_id, state, version)
        return written

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        actual: Actual | None = await Read(appointment_id, frozenset(columns))
        return actual

    async def find(self, wanted: Search, columns: Collection[str]) -> list[Candidate]:
        found: list[Candidate] = await Find(wanted, frozenset(columns))
        return found

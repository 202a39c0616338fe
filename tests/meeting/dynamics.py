"""Dynamics and its people in memory: what `Appointments` and `Directory` in `shared.meeting.ports` ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.errors import SyncError
from shared.meeting.adopt import Candidate, Search
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.mirror import OPEN, Actual, State, Written
from shared.meeting.people import CrmRecord, People, Person
from shared.meeting.ports import AppointmentClosed, FenceRefused, TargetMissing
from shared.meeting.transforms import STATE


@dataclass
class Dynamics:
    """Appointments by their ids, and `asked`: which calls that write came, in order.

    `strict`: closed appointments take no change. `missing`: somebody that an appointment points at is not there.
    `refuses`: the refusal of each call that writes this column. `between`: what others do before each of the next calls
    that write. `found`: what a search finds.
    """

    appointments: dict[str, Actual] = field(default_factory=dict)
    strict: bool = False
    missing: bool = False
    refuses: dict[str, SyncError] = field(default_factory=dict)
    between: list[Callable[[], object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    found: list[Candidate] = field(default_factory=list)

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        """Make it, unless it is there."""
        self._begin("create")
        if appointment_id in self.appointments:
            raise FenceRefused
        if self.missing:
            raise TargetMissing
        self._take(columns)
        return self._put(appointment_id, Actual("", dict(columns), OPEN), f"on {created_on} by {created_by}")

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        """Change these columns, if the version fits and the appointment takes changes."""
        self._begin(f"update {', '.join(sorted(columns))}")
        actual = self._fenced(appointment_id, version)
        if self.strict and actual.is_closed:
            raise AppointmentClosed
        if self.missing:
            raise TargetMissing
        self._take(columns)
        return self._put(appointment_id, replace(actual, columns={**actual.columns, **columns}), "changed")

    async def set_state(self, appointment_id: str, state: State, *, version: str) -> Written:
        """Open or close it, if the version fits."""
        self._begin(f"state {state}")
        actual = self._fenced(appointment_id, version)
        if state != OPEN:
            self._take((STATE,))
        return self._put(appointment_id, replace(actual, state=state), "its state")

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        """As it is, with these columns."""
        actual = self.appointments.get(appointment_id)
        return actual and replace(actual, columns={name: actual.columns.get(name) for name in columns})

    async def find(self, wanted: Search, columns: Collection[str]) -> list[Candidate]:
        """Those in `found`, as they are."""
        del wanted
        self.asked.append("find")
        shown = [(one, await self.read(one.appointment_id, columns)) for one in self.found]
        return [replace(one, actual=actual) for one, actual in shown if actual is not None]

    def there(self, appointment_id: str, *, global_id: str = "", **columns: Any) -> None:
        """An appointment that somebody else made."""
        self._put(appointment_id, Actual("", columns, OPEN), "by a person")
        made = Candidate(appointment_id, self.appointments[appointment_id], global_id, "a user", "2026-01-01T00:00:00Z")
        self.found.append(made)

    def change(self, appointment_id: str, **columns: Any) -> None:
        """A person writes into it."""
        actual = self.appointments[appointment_id]
        self._put(appointment_id, replace(actual, columns={**actual.columns, **columns}), "by a person")

    def close(self, appointment_id: str, state: State) -> None:
        """A person opens or closes it."""
        self._put(appointment_id, replace(self.appointments[appointment_id], state=state), "by a person")

    def _begin(self, call: str) -> None:
        if self.between:
            self.between.pop(0)()
        self.asked.append(call)

    def _take(self, columns: Collection[str]) -> None:
        for name in columns:
            if name in self.refuses:
                raise self.refuses[name]

    def _fenced(self, appointment_id: str, version: str) -> Actual:
        if appointment_id not in self.appointments:
            raise TargetMissing
        if self.appointments[appointment_id].version != version:
            raise FenceRefused
        return self.appointments[appointment_id]

    def _put(self, appointment_id: str, actual: Actual, note: str) -> Written:
        before = self.appointments.get(appointment_id)
        version = str(int(before.version) + 1) if before else "1"
        self.appointments[appointment_id] = replace(actual, version=version)
        return Written(version, (note,), f"request {version}")


@dataclass
class Everybody:
    """Everybody is a contact or a user of Dynamics; `trouble`: none can be asked for. `asked`: whether to refresh."""

    trouble: SyncError | None = None
    asked: list[bool] = field(default_factory=list)

    async def resolve(self, wanted: Collection[Reference], *, refresh: bool = False) -> People:
        """A record for each."""
        self.asked.append(refresh)
        if self.trouble is not None:
            raise self.trouble
        tables = {"prospect": "contact", "user": "systemuser"}
        return {one: Person((CrmRecord(tables.get(one.type, one.type), f"{one.type} {one.id}"),)) for one in wanted}


@dataclass
class ClaimRows:
    """Which meeting has taken over what; the first one has it."""

    rows: dict[str, MeetingKey] = field(default_factory=dict)

    async def claim(self, appointment_id: str, key: MeetingKey) -> MeetingKey:
        """Insert, unless it is there."""
        return self.rows.setdefault(appointment_id, key)

"""The table of meetings in memory: what `shared.meeting.ports.Meetings` asks for, and nothing more."""

from __future__ import annotations

from shared.errors import RowConflict
from shared.meeting.aliases import Found, canonical
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.ports import Stored


def key(text: str) -> MeetingKey:
    """The record in `meeting:5`."""
    return MeetingKey.parse(text)


class Rows:
    """Rows by their keys. `disturbed`: so many saves meet somebody who was quicker."""

    def __init__(self, rows: dict[str, Meeting] | None = None, *, disturbed: int = 0) -> None:
        self.rows = {key(name): Stored(key(name), meeting, "1") for name, meeting in (rows or {}).items()}
        self.disturbed = disturbed
        self.saves = 0

    async def load(self, wanted: MeetingKey) -> Stored:
        """The row as it is."""
        return self.rows.get(wanted, Stored(wanted))

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        """Store `meeting` if the row is still as it was in `stored`."""
        self.saves += 1
        if self.saves <= self.disturbed or (await self.load(stored.key)).version != stored.version:
            raise RowConflict
        self.rows[stored.key] = Stored(stored.key, meeting, f"after save {self.saves}")
        return self.rows[stored.key]

    async def found(self, text: str) -> Found:
        """The meeting that a record turned out to be."""
        return await canonical(key(text), self)

"""Which meeting has taken over an appointment that was there before (table `sweep`): a row each, inserted once.

A row is never changed and never removed, so two meetings can never share an appointment, whoever dies where. It holds
nothing but ids.
"""

from __future__ import annotations

from shared.errors import RowConflict
from shared.meeting.identity import MeetingKey, table_key
from shared.storage.account import Table
from shared.storage.layout import upgraded
from shared.timestamps import Clock, sortable

LAYOUT = 1
_PARTITION = "taken-over"


class ClaimTable:
    """Implements `shared.meeting.ports.Claims` on Table Storage."""

    def __init__(self, table: Table, *, now: Clock) -> None:
        self._table = table
        self._now = now

    async def claim(self, appointment_id: str, key: MeetingKey) -> MeetingKey:
        """The meeting that has it: `key`, unless another one was first. Raises `NewerLayout`."""
        row = {
            "PartitionKey": _PARTITION,
            "RowKey": table_key(appointment_id),
            "version": LAYOUT,
            "meeting": str(key),
            "at": sortable(self._now()),
        }
        try:
            await self._table.save(row, etag=None)
        except RowConflict:
            holder = await self.holder(appointment_id)
            if holder is None:
                raise  # somebody has emptied the table this moment
            return holder
        return key

    async def holder(self, appointment_id: str) -> MeetingKey | None:
        """The meeting that has taken it over, if one has. Raises `NewerLayout`."""
        found = await self._table.get(_PARTITION, table_key(appointment_id))
        return None if found is None else MeetingKey.parse(upgraded(found[0], ())["meeting"])

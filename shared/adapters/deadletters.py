"""Dead letters: events that need a person, each with everything needed to send it again (table `deadletters`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from shared.adapters.documents import pack, unpack
from shared.adapters.storage import Entity, Table
from shared.core.envelope import Envelope
from shared.core.identity import table_key

TABLE = "deadletters"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why an event was given up. `merged`: what it said is remembered, so a later event of the meeting clears it."""

    correlation_id: str
    meeting: str
    event: str
    reason: str
    error_code: str
    request_id: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    merged: bool


class DeadLetters:
    """Stores, lists, and hands back for replay. One row per meeting (partition) and correlation id."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, letter: DeadLetter, envelope: Envelope) -> None:
        """Store `letter` with the envelope that a replay sends again."""
        await self._table.put(
            {
                "PartitionKey": table_key(letter.meeting),
                # Several events may share a trace, hence the event's own id.
                "RowKey": f"{letter.correlation_id}-{table_key(envelope.event_id)}",
                **asdict(letter),
                **pack(envelope.model_dump(exclude_defaults=True)),
            }
        )

    async def newest(self, *, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` of them, the latest first, with the names that the API shows."""
        rows = await self._table.query("PartitionKey ne @none", {"none": ""}, limit=limit)
        rows.sort(key=lambda row: str(row["last_failed_at"]), reverse=True)
        return [
            {
                "correlationId": row["correlation_id"],
                "meetingId": row["meeting"],
                "event": row["event"],
                "reason": row["reason"],
                "code": row["error_code"],
                "dataverseRequestId": row["request_id"] or None,
                "attempts": row["attempts"],
                "firstFailedAt": row["first_failed_at"],
                "lastFailedAt": row["last_failed_at"],
            }
            for row in rows
        ]

    async def count(self, *, limit: int) -> int:
        """How many there are, counted up to `limit`."""
        return await self._table.count("PartitionKey ne @none", {"none": ""}, limit=limit)

    async def of_meeting(self, meeting: str) -> list[dict[str, Any]]:
        """The raw rows of one meeting."""
        return await self._table.query("PartitionKey eq @meeting", {"meeting": table_key(meeting)}, limit=1000)

    async def take(self, *, correlation_ids: frozenset[str] | None, limit: int) -> list[tuple[Entity, Envelope]]:
        """(row, envelope) of those to replay: all, or those with these correlation ids."""
        rows = await self._table.query("PartitionKey ne @none", {"none": ""}, limit=limit)
        return [
            (row, Envelope.model_validate(unpack(row)))
            for row in rows
            if correlation_ids is None or row["correlation_id"] in correlation_ids
        ]

    async def remove(self, row: Entity) -> None:
        """Forget this very row. One that was written since under the same key tells of a new failure, and stays."""
        await self._table.delete_unchanged(row)

"""Dead letters: events that need a person, each with everything needed to send it again (table `deadletters`)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime

from shared.errors import Unmappable
from shared.meeting.identity import table_key
from shared.meeting.outcome import OutcomeKind
from shared.storage.account import ETAG, KEYS, Continuation, Entity, Table
from shared.storage.documents import pack, unpack_envelope
from shared.storage.envelope import Envelope
from shared.storage.journal import Entry
from shared.storage.layout import NewerLayout, read
from shared.telemetry import line
from shared.timestamps import sortable

log = logging.getLogger("outreach_dynamics.dead_letters")

TABLE = "deadletters"
LAYOUT = 1
PAGE_SIZE = 1000
_ALL, _NONE = "PartitionKey ne @none", {"none": ""}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why an event needs a person.

    `merged`: what it said is remembered, so a later event of the meeting clears it. `spill_key`: its place in the
    overflow table, where it lies there. `row`: the dead letter as it lies in the table.
    """

    correlation_id: str
    meeting: str
    event: str
    reason: str
    error_code: str
    request_id: str = ""
    attempts: int = 1
    first_failed_at: str = ""
    last_failed_at: str = ""
    merged: bool = False
    event_id: str = ""
    received_at: str = ""
    spill_key: str = ""
    row: Entity = field(default_factory=dict, compare=False, repr=False)

    def entry(self, outcome: OutcomeKind, *, now: datetime, because: str = "", by: str = "") -> Entry:
        """What the journal says of its event once it is let go."""
        return Entry(
            correlation_id=self.correlation_id,
            event_id=self.event_id,
            event=self.event,
            received_at=self.received_at or self.first_failed_at,
            outcome=outcome,
            finished_at=sortable(now),
            meeting="" if self.meeting == "unknown" else self.meeting,
            attempts=self.attempts,
            reason=self.reason,
            error_code=self.error_code,
            request_id=self.request_id,
            dismissed_because=because,
            by=by,
        )


class DeadLetters:
    """Stores, lists, and hands back for replay. One row per event, however often it fails; partitioned by meeting."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, dead_letter: DeadLetter, envelope: Envelope) -> None:
        """Store `dead letter` with the envelope that a replay sends again."""
        columns = {name: value for name, value in asdict(dead_letter).items() if name != "row"}
        await self._table.put(
            {
                "version": LAYOUT,
                "PartitionKey": table_key(dead_letter.meeting),
                # Several events may share a trace, hence the event's own id; a pointer may know only its place.
                "RowKey": f"{dead_letter.correlation_id}-{table_key(envelope.spill_key or envelope.event_id)}",
                **columns,
                # Beside the envelope, because it may be one that cannot be read.
                "event_id": envelope.event_id,
                "received_at": envelope.received_at,
                "spill_key": envelope.spill_key,
                **pack(envelope.to_document()),
            }
        )

    async def page(self, *, after: Continuation | None) -> tuple[list[DeadLetter], Continuation | None]:
        """Up to 1,000 of them, the latest first, and where the next page begins.

        Only within a page the latest are first: the table is sorted by meeting.
        """
        rows: list[Entity] = []
        while not rows:  # a page of the table may be empty although more follow
            rows, after = await self._table.page(_ALL, _NONE, after=after, size=PAGE_SIZE, select=None)
            if after is None:
                break
        return _latest_first(map(_read, rows)), after

    async def newest(self, *, limit: int) -> list[DeadLetter]:
        """All of them, the latest first; of more than about `limit` the first."""
        found, after = await self.page(after=None)
        while after is not None and len(found) < limit:
            more, after = await self.page(after=after)
            found += more
        return _latest_first(found)

    async def count(self, *, limit: int) -> int:
        """How many there are, counted up to `limit`."""
        return await self._table.count(_ALL, _NONE, limit=limit)

    async def of_meetings(self, meetings: Collection[str]) -> list[DeadLetter]:
        """Those of these meetings and calendar events."""
        rows: list[Entity] = []
        for meeting in meetings:
            rows += await self._table.query("PartitionKey eq @meeting", {"meeting": table_key(meeting)}, limit=1000)
        return list(map(_read, rows))

    async def has_any_of(self, meetings: Collection[str]) -> bool:
        """Whether there is one of these meetings and calendar events."""
        for meeting in meetings:
            if await self._table.count("PartitionKey eq @meeting", {"meeting": table_key(meeting)}, limit=1):
                return True
        return False

    async def failed_before(
        self, moment: datetime, *, after: Continuation | None
    ) -> tuple[list[DeadLetter], Continuation | None]:
        """Some of those that failed last before `moment`, and where the next begin."""
        old = {"old": sortable(moment)}
        rows, following = await self._table.page(
            "last_failed_at lt @old", old, after=after, size=PAGE_SIZE, select=None
        )
        return list(map(_read, rows)), following

    async def take(self, *, correlation_ids: frozenset[str] | None) -> AsyncIterator[list[tuple[DeadLetter, Envelope]]]:
        """(dead letter, envelope) of those to replay, page by page: all, or those with these correlation ids.

        One that this version of the app cannot read is logged and stays.
        """
        async for dead_letters in self.find(correlation_ids=correlation_ids):
            yield [pair for dead_letter in dead_letters if (pair := _with_envelope(dead_letter)) is not None]

    async def find(self, *, correlation_ids: frozenset[str] | None) -> AsyncIterator[list[DeadLetter]]:
        """Page by page: all, or those with these correlation ids.

        Goes through the table once from its beginning, so one that fails again meanwhile does not come twice.
        """
        after: Continuation | None = None
        select = None if correlation_ids is None else KEYS
        while True:
            rows, after = await self._table.page(_ALL, _NONE, after=after, size=PAGE_SIZE, select=select)
            if correlation_ids is not None:
                rows = await self._whole(row for row in rows if row["RowKey"].partition("-")[0] in correlation_ids)
            if rows:
                yield list(map(_read, rows))
            if after is None:
                return

    async def _whole(self, keys: Iterable[Entity]) -> list[Entity]:
        found = [await self._table.get(row["PartitionKey"], row["RowKey"]) for row in keys]
        return [{**one[0], ETAG: one[1]} for one in found if one is not None]

    async def remove(self, dead_letter: DeadLetter) -> bool:
        """Forget this very dead letter; returns whether it is gone.

        One that was written since under the same key tells of a new failure, and stays.
        """
        return await self._table.delete_unchanged(dead_letter.row)


def _read(row: Entity) -> DeadLetter:
    # An earlier version of the app had the event's id in the key alone.
    return read(DeadLetter, row, row=row, event_id=row.get("event_id") or row["RowKey"].partition("-")[2])


def _latest_first(dead_letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    return sorted(dead_letters, key=lambda dead_letter: dead_letter.last_failed_at, reverse=True)


def _with_envelope(dead_letter: DeadLetter) -> tuple[DeadLetter, Envelope] | None:
    try:
        return dead_letter, unpack_envelope(dead_letter.row)
    except (Unmappable, NewerLayout) as error:
        log.error(line("unreadable", correlation_id=dead_letter.correlation_id, code=error.code))  # noqa: TRY400 - no value of it
        return None

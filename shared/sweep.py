"""What the timer does: send on what no event will send on by itself.

Spilled events without a pointer in the queue, and meetings parked under settings or a mapping that have changed since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from shared.adapters.meetings import MeetingTable
from shared.adapters.spill import Spill
from shared.adapters.storage import Queue
from shared.core.envelope import Envelope, Trace
from shared.core.identity import MeetingKey
from shared.core.merge import sortable

log = logging.getLogger("outreach_dynamics.sweep")

# Per run and part; the rest waits for the next minute.
BATCH = 200
# Ingest sends the pointer of a row that it spilled for its size; only then is the sweep needed.
SPILL_AGE = timedelta(seconds=10)
# A pointer that was sent but never came back is sent again after the time in which every retry ends.
POINTER_AGE = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many were sent on."""

    spilled: int
    parked: int


class Sweep:
    """`now` is the time of day, aware."""

    def __init__(self, *, queue: Queue, spill: Spill, meetings: MeetingTable, now: Callable[[], datetime]) -> None:
        self._queue = queue
        self._spill = spill
        self._meetings = meetings
        self._now = now

    async def run(self) -> Swept:
        """One run of every part. Raises `Transient` where storage is down; the next run goes on."""
        swept = Swept(await self._send_spilled(), await self._send_parked())
        if swept.spilled or swept.parked:
            log.info('{"what": "sweep", "spilled": %d, "parked": %d}', swept.spilled, swept.parked)
        return swept

    async def _send_spilled(self) -> int:
        now = self._now()
        pointers = await self._spill.without_pointer(
            fresh_before=sortable(now - SPILL_AGE), pointed_before=sortable(now - POINTER_AGE), limit=BATCH
        )
        for pointer in pointers:
            await self._queue.send(pointer.to_message())
            await self._spill.mark_pointed(pointer.spill_key, at=sortable(now))
        return len(pointers)

    async def _send_parked(self) -> int:
        keys = await self._meetings.parked_under_other_rules(limit=BATCH)
        for key in keys:
            await self._queue.send(reconcile(key, now=self._now()).to_message())
            await self._meetings.note_sent_on(key)
        return len(keys)


def reconcile(key: MeetingKey, *, now: datetime) -> Envelope:
    """An envelope that brings one meeting up to date without a new event."""
    correlation_id = uuid4().hex
    return Envelope(
        kind="reconcile",
        correlation_id=correlation_id,
        traceparent=Trace.of(trace_id=correlation_id, span_id=uuid4().hex[:16]).traceparent,
        event_id=correlation_id,
        event_name="reconcile",
        received_at=sortable(now),
        meeting=str(key),
    )

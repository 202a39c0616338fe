"""The one way to store an accepted event durably: into the queue, else into the overflow table, and in time.

Outreach waits 5 seconds for an answer, so both ways together have less than 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal

from shared.errors import RemoteError, RowConflict, Transient
from shared.storage.account import Queue
from shared.storage.envelope import Envelope, fits_queue
from shared.storage.overflow import Overflow

# So long for the queue, and for all together.
QUEUE_SECONDS = 1.8
ALL_SECONDS = 3.6

Way = Literal["queue", "overflow"]


class Outbox:
    """Stores envelopes for the worker."""

    def __init__(self, *, queue: Queue, overflow: Overflow) -> None:
        self._queue = queue
        self._overflow = overflow

    async def put(self, envelope: Envelope) -> Way:
        """Store `envelope`; returns where.

        Raises `Transient` where neither way took it in time, and `Permanent` for more than a table row can hold. After
        a `Transient` it may be stored all the same; to store it twice does no harm.
        """
        end = asyncio.get_running_loop().time() + ALL_SECONDS
        message = envelope.to_message()
        fits = fits_queue(message)
        if fits and await _done_within(QUEUE_SECONDS, self._queue.send(message)):
            return "queue"
        if envelope.kind == "spilled":
            # A pointer in the overflow table would take the place of what it points at.
            raise Transient("The queue did not take the event.", service="storage", status=503)
        try:
            async with asyncio.timeout_at(end):
                pointer = await self._overflow.keep(envelope)
        except (TimeoutError, Transient, RowConflict) as error:
            reason = "Neither the queue nor the table took the event."
            raise Transient(reason, service="storage", status=503) from error
        # The pointer only saves the wait for the sweep, which sends one for every row that has none. Where the queue
        # has just failed it is not tried again.
        if not fits:
            await self._point(pointer, at=envelope.received_at, end=end)
        return "overflow"

    async def _point(self, pointer: Envelope, *, at: str, end: float) -> None:
        left = end - asyncio.get_running_loop().time()
        if await _done_within(left, self._queue.send(pointer.to_message())):
            left = end - asyncio.get_running_loop().time()
            await _done_within(left, self._overflow.mark_pointed(pointer.spill_key, at=at))


async def _done_within(seconds: float, call: Awaitable[object]) -> bool:
    """Whether `call` succeeded within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await call
    except (TimeoutError, RemoteError, RowConflict):
        return False
    return True

"""How things stand: what waits, where, and for how long. Measured once a minute by the timer, and for who asks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass

from shared import telemetry
from shared.storage.account import Queue
from shared.storage.dead_letters import DeadLetters
from shared.storage.overflow import Overflow
from shared.storage.parked import Parked
from shared.timestamps import Clock

log = logging.getLogger("outreach_dynamics.backlog")

# Nobody needs to know more exactly how bad it is.
COUNTED_UP_TO = 1000


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits. `COUNTED_UP_TO` means that many or more, but for the queue, whose length storage knows.

    queue                messages, those put back with a delay included
    queue_age_seconds    how long the oldest message that may be taken has waited
    overflow             accepted events in the overflow table
    parked               meetings that wait for a setting or a condition
    dead_letters         events that need a person
    """

    queue: int
    queue_age_seconds: float
    overflow: int
    parked: int
    dead_letters: int


class Backlog:
    """Counts what waits, and reports it."""

    def __init__(
        self,
        *,
        queue: Queue,
        overflow: Overflow,
        parked: Parked,
        dead_letters: DeadLetters,
        now: Clock,
    ) -> None:
        self._queue = queue
        self._overflow = overflow
        self._parked = parked
        self._dead_letters = dead_letters
        self._now = now

    async def measure(self) -> Counts:
        """Five small requests. Raises `Transient` where storage does not answer."""
        depth, oldest, overflow, parked, dead = await asyncio.gather(
            self._queue.depth(),
            self._queue.oldest(),
            self._overflow.depth(limit=COUNTED_UP_TO),
            self._parked.count(limit=COUNTED_UP_TO),
            self._dead_letters.count(limit=COUNTED_UP_TO),
        )
        age = (self._now() - oldest).total_seconds() if oldest is not None else 0.0
        return Counts(depth, round(max(0.0, age), 3), overflow, parked, dead)

    async def report(self) -> Counts:
        """Measure, and log it in one line and the gauges."""
        counts = await self.measure()
        log.info(telemetry.line("backlog", **asdict(counts)))
        telemetry.QUEUE_DEPTH.record(counts.queue)
        telemetry.QUEUE_AGE.record(counts.queue_age_seconds)
        telemetry.OVERFLOW_DEPTH.record(counts.overflow)
        telemetry.PARKED.record(counts.parked)
        telemetry.DEAD_LETTERS.record(counts.dead_letters)
        return counts

"""How things stand: what waits, where, and for how long. Measured once a minute by the timer, and for who asks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass

from shared import telemetry
from shared.storage.account import Queue
from shared.storage.dead_letters import DeadLetters
from shared.storage.overflow import Spill
from shared.storage.parked import Parked
from shared.timestamps import Clock

log = logging.getLogger("outreach_dynamics.standing")

# Nobody needs to know more exactly how bad it is.
COUNTED_UP_TO = 1000


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits. `COUNTED_UP_TO` means that many or more, but for the queue, whose length storage knows.

    queue                messages, those put back with a delay included
    queue_age_seconds    how long the oldest message that may be taken has waited
    spill                accepted events in the spill table
    parked               meetings that wait for a setting or a condition
    dead_letters         events that need a person
    """

    queue: int
    queue_age_seconds: float
    spill: int
    parked: int
    dead_letters: int


class Standing:
    """Counts what waits, and reports it."""

    def __init__(
        self,
        *,
        queue: Queue,
        spill: Spill,
        parked: Parked,
        dead_letters: DeadLetters,
        now: Clock,
    ) -> None:
        self._queue = queue
        self._spill = spill
        self._parked = parked
        self._dead_letters = dead_letters
        self._now = now

    async def measure(self) -> Counts:
        """Five small requests. Raises `Transient` where storage does not answer."""
        depth, oldest, spill, parked, dead = await asyncio.gather(
            self._queue.depth(),
            self._queue.oldest(),
            self._spill.depth(limit=COUNTED_UP_TO),
            self._parked.count(limit=COUNTED_UP_TO),
            self._dead_letters.count(limit=COUNTED_UP_TO),
        )
        age = (self._now() - oldest).total_seconds() if oldest is not None else 0.0
        return Counts(depth, round(max(0.0, age), 3), spill, parked, dead)

    async def report(self) -> Counts:
        """Measure, and tell it in one log line and the gauges."""
        counts = await self.measure()
        log.info(telemetry.line("standing", **asdict(counts)))
        telemetry.QUEUE_DEPTH.record(counts.queue)
        telemetry.QUEUE_AGE.record(counts.queue_age_seconds)
        telemetry.SPILL_DEPTH.record(counts.spill)
        telemetry.PARKED.record(counts.parked)
        telemetry.DEAD_LETTERS.record(counts.dead_letters)
        return counts

"""What the timer does, every minute: what no event will do by itself, in parts that know nothing of each other.

    overflow      events that lie in the overflow table without a pointer in the queue
    parked        meetings parked, or refused a column, under settings or a mapping that have changed since
    unresolved    meetings written while somebody in them was nobody in Dynamics: 15 minutes, an hour, a day later
    missed        what webhooks missed, from Outreach's events API (`missed.py`)
    subscription  are our webhooks alive (`subscription.py`)
    token         an OAuth refresh token must not grow old in an idle app (`adapters/tokens.py`)
    retention     rows that have been kept long enough (`retention.py`)

There is no part for meetings that got stuck between the claim and the confirmed write. The event whose worker died
there comes back from the queue and goes on where it stopped; if it never can, it is a dead letter. Either way somebody
has it.

The host runs a timer on one instance only (a blob lease of its own), but an instance that it takes for dead may still
be at work. So a run holds a lease in the table too; and if even that is lost, every part may run twice without harm,
because what it sends is merged and what it deletes or repairs stays so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from shared.errors import RemoteError, describe
from shared.meeting.identity import MeetingKey
from shared.storage.account import Queue
from shared.storage.checkpoints import Checkpoints, FollowUps, Lease
from shared.storage.envelope import Envelope, Trace
from shared.storage.overflow import Overflow
from shared.storage.parked import Parked, meeting_of
from shared.telemetry import line, where
from shared.timestamps import Clock, sortable
from shared.work import Work, begin

log = logging.getLogger("outreach_dynamics.sweep")

# Per run and part; the rest waits for the next minute.
BATCH = 200
# Ingest sends the pointer of a row that it put into the overflow for its size; only then is the sweep needed.
OVERFLOW_AGE = timedelta(seconds=10)
# A parked meeting that was sent on is looked at within this time, unless the sending failed.
ANSWER_AGE = timedelta(hours=1)
# A pointer that was sent but never came back is sent again after the time in which every retry ends.
POINTER_AGE = timedelta(hours=26)
# No part may take the time of the others, and all of them end before the function is stopped (5 minutes).
# Deliveries that were kept are judged before, for a minute at most.
PART_SECONDS = 30.0
RUN_SECONDS = 220.0
LEASE_SECONDS = 300.0
CHECKPOINT = "schedule"
FAILING = "failing"
# A part that failed rests no longer than this, so that whoever is alerted by its log lines finds one of late.
RETRY = timedelta(minutes=10)

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name, what it does, and how long it rests after a run. No rest: every minute."""

    name: str
    run: Callable[[], Awaitable[Counts]]
    rest: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Failing:
    """A part that has not succeeded since it failed for the first time, and why it failed the last time."""

    since: str
    reason: str


async def failing_parts(checkpoints: Checkpoints) -> dict[str, Failing]:
    """The parts that failed when they last ran, by name."""
    return {name: Failing(**found) for name, found in (await checkpoints.get(FAILING)).items()}


@dataclass(frozen=True, slots=True)
class Swept:
    """What a run did: counts by part, and a sentence for each part that failed. `busy`: another instance is at it."""

    counts: Mapping[str, Counts] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    busy: bool = False

    def sent(self, part: str) -> int:
        """How many events or meetings `part` sent on."""
        return self.counts.get(part, {}).get("sent", 0)


class Sweep:
    """Runs the parts that are due, one after the other."""

    def __init__(self, parts: Collection[Part], *, lease: Lease, checkpoints: Checkpoints, now: Clock) -> None:
        self._parts = parts
        self._lease = lease
        self._checkpoints = checkpoints
        self._now = now

    async def run(self) -> Swept:
        """Run every part that is due. A part that fails is logged and does not stop the others.

        Raises `Transient` where storage is down; the next run goes on.
        """
        if not await self._lease.take(seconds=LEASE_SECONDS):
            return Swept(busy=True)
        try:
            swept = await self._run_due()
        finally:
            with suppress(RemoteError):  # it ends by itself
                await self._lease.release()
        sent = {name: counts for name, counts in swept.counts.items() if any(counts.values())}
        if sent or swept.failed:
            log.info(line("sweep", parts=sent, failed=sorted(swept.failed)))
        return swept

    async def _run_due(self) -> Swept:
        schedule = await self._checkpoints.get(CHECKPOINT)
        before = await failing_parts(self._checkpoints)
        failing = {part.name: before[part.name] for part in self._parts if part.name in before}
        counts: dict[str, Counts] = {}
        failed: dict[str, str] = {}
        rests: dict[str, str] = {}
        end = asyncio.get_running_loop().time() + RUN_SECONDS
        for part in self._parts:
            left = min(PART_SECONDS, end - asyncio.get_running_loop().time())
            if schedule.get(part.name, "") > sortable(self._now()) or left <= 0:
                continue
            begin(Work())  # what a part costs is not the cost of an event
            try:
                async with asyncio.timeout(left):
                    counts[part.name] = await part.run()
                failing.pop(part.name, None)
            except Exception as error:  # noqa: BLE001 - logged, whatever it is; the other parts go on
                since = failing[part.name].since if part.name in failing else sortable(self._now())
                failed[part.name] = log_failure(part.name, error, since=since)
                failing[part.name] = Failing(since, failed[part.name])
            rest = min(part.rest, RETRY) if part.name in failed else part.rest
            if rest:
                rests[part.name] = sortable(self._now() + rest)
        if rests:
            await self._checkpoints.put(CHECKPOINT, schedule | rests)
        if failing != before:
            await self._checkpoints.put(FAILING, {name: asdict(one) for name, one in failing.items()})
        return Swept(counts, failed)


def log_failure(part: str, error: Exception, *, since: str) -> str:
    """Log a part's failure, and return it as a sentence. `since`: when the failures began that this one is among."""
    described = describe(error)
    place = where(error) if described.unforeseen else []
    log.error(line("sweep_failed", part=part, code=described.code, reason=described.sentence, where=place, since=since))
    return described.sentence


class Feeding:
    """The parts that put into the queue what lies elsewhere. Sent first and noted after: a crash sends it twice."""

    def __init__(
        self,
        *,
        queue: Queue,
        overflow: Overflow,
        waiting: Sequence[Parked],
        follow_ups: FollowUps,
        now: Clock,
    ) -> None:
        self._queue = queue
        self._overflow = overflow
        self._waiting = waiting
        self._follow_ups = follow_ups
        self._now = now

    async def send_overflow(self) -> Counts:
        """Pointers to events in the overflow."""
        now = self._now()
        pointers = await self._overflow.without_pointer(
            fresh_before=sortable(now - OVERFLOW_AGE), pointed_before=sortable(now - POINTER_AGE), limit=BATCH
        )
        for pointer in pointers:
            await self._queue.send(pointer.to_message())
            await self._overflow.mark_pointed(pointer.spill_key, at=sortable(now))
        return {"sent": len(pointers)}

    async def send_parked(self) -> Counts:
        """Meetings that wait for other rules, when those may have changed."""
        now, sent = self._now(), 0
        for index in self._waiting:
            rows = await index.to_send(unanswered_since=sortable(now - ANSWER_AGE), limit=BATCH - sent)
            for row in rows:
                # Noted first: an instance with the old rules may carry it out at once, and its word must come last.
                await index.record_sent_on(row, at=sortable(now))
                await self._queue.send(reconcile(meeting_of(row), now=now).to_message())
            sent += len(rows)
        return {"sent": sent}

    async def send_unresolved(self) -> Counts:
        """Meetings whose people are to be looked up again."""
        rows = await self._follow_ups.due(limit=BATCH)
        for row in rows:
            await self._queue.send(reconcile(MeetingKey.parse(row["meeting"]), now=self._now()).to_message())
            await self._follow_ups.done(row)
        return {"sent": len(rows)}


def reconcile(key: MeetingKey, *, now: datetime, by: str = "") -> Envelope:
    """An envelope that brings one meeting up to date without a new event.

    `by`: who asked for it; then what differs in Dynamics is written again.
    """
    correlation_id = uuid4().hex
    return Envelope(
        kind="reconcile",
        correlation_id=correlation_id,
        traceparent=Trace.of(trace_id=correlation_id, span_id=uuid4().hex[:16]).traceparent,
        event_id=correlation_id,
        event_name="write" if by else "reconcile",
        received_at=sortable(now),
        meeting=str(key),
        again=bool(by),
        by=by,
    )

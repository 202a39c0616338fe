"""Back-fill: the rows of an export go into the same queue as events, as fast as nobody is disturbed by it.

So one path maps, merges, writes and journals everything, and a row is worth what an event with its stamp is worth:
nothing where something later is known (docs/decisions/0007). Correlation ids follow from the file's content and the
row's number: a row that is sent twice, because we died before we noted it, is one event that came twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import islice
from typing import Any, Protocol

from shared.admin.export import RESOURCE, BadRow, Numbered, delivery_of, organisation
from shared.errors import BadDelivery, Transient, Unmappable
from shared.meeting.appointment import Policy, collapse, desired, references, value_of
from shared.meeting.delivery import parse_delivery
from shared.meeting.mapping import MappingFile
from shared.meeting.outcome import OutcomeKind
from shared.meeting.patch import accepts, read_patch, why_not
from shared.meeting.people import Person
from shared.meeting.transforms import TIMES
from shared.pipeline.retry import delay_seconds
from shared.storage.account import Queue
from shared.storage.envelope import Envelope, Trace
from shared.storage.journal import Journal
from shared.storage.outbox import Outbox
from shared.timestamps import Clock, sortable

# How many rows go in before the queue is asked again, and progress is noted, at most.
LARGEST_CHUNK = 32
MAX_ATTEMPTS = 8
_SECONDS_BETWEEN_LOOKS = 2.0
_COUNT_STEP = 1000


class Feed(Protocol):
    """Where the rows go."""

    async def put(self, envelope: Envelope) -> None:
        """Store one event durably."""
        ...

    async def depth(self) -> int:
        """About how many events wait, those put back with a delay included."""
        ...


class QueueFeed:
    """The queue that live events go through, filled the way they are."""

    def __init__(self, queue: Queue, outbox: Outbox) -> None:
        self._queue = queue
        self._outbox = outbox

    async def put(self, envelope: Envelope) -> None:
        """Store one event durably."""
        await self._outbox.put(envelope)

    async def depth(self) -> int:
        """About how many messages wait."""
        return await self._queue.depth()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a back-fill is. `run` tells the file apart: 16 hex digits of a digest of its content and `resource`.

    `row` is the last row that is done with: queued, skipped or rejected. `organisation` is the first row's O_ID,
    `resource` what the rows are taken for.
    """

    run: str
    row: int = 0
    queued: int = 0
    skipped: int = 0
    rejected: int = 0
    organisation: str = ""
    finished: bool = False
    resource: str = RESOURCE


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was left out, and why."""

    row: int
    meeting: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a row must be to go in. `starting_from`: meetings that begin earlier are skipped.

    `resource`: what kind of Outreach record the rows are.
    """

    mapping: MappingFile
    policy: Policy
    starting_from: date | None = None
    resource: str = RESOURCE


@dataclass(frozen=True, slots=True)
class Pace:
    """`per_second`: rows at most. `ahead`: rows go in only while fewer messages than this wait in the queue."""

    per_second: float
    ahead: int


@dataclass(slots=True)
class _Chunk:
    envelopes: list[Envelope] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    skipped: int = 0


# Notes progress durably, together with the rejects since the last time.
Record = Callable[[Progress, list[Reject]], None]


class Backfill:
    """Reads an export and puts its meetings into the queue. `clock` is monotonic; it and `sleep` are in seconds."""

    def __init__(
        self,
        *,
        feed: Feed,
        rules: Rules,
        pace: Pace,
        record: Record,
        now: Clock,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._feed = feed
        self._rules = rules
        self._pace = pace
        self._record = record
        self._now = now
        self._clock = clock
        self._sleep = sleep

    async def run(self, rows: Iterator[Numbered], progress: Progress) -> Progress:
        """Queue every row after `progress.row`. Raises `Transient` where storage stays away; run it again to go on."""
        rest = (row for row in rows if row.number > progress.row)
        size = max(1, min(LARGEST_CHUNK, int(self._pace.per_second)))
        while chunk := list(islice(rest, size)):
            started = self._clock()
            await self._room()
            progress = await self._settle(chunk, progress)
            await self._sleep(max(0.0, started + len(chunk) / self._pace.per_second - self._clock()))
        progress = replace(progress, finished=True)
        self._record(progress, [])
        return progress

    async def _room(self) -> None:
        while await self._surely(self._feed.depth) >= self._pace.ahead:
            await self._sleep(_SECONDS_BETWEEN_LOOKS)

    async def _settle(self, rows: list[Numbered], progress: Progress) -> Progress:
        chunk = _Chunk()
        org = progress.organisation
        for row in rows:
            org = org or organisation(row.row)
            self._sort(row, chunk, run=progress.run, org=org)
        await asyncio.gather(*(self._put(envelope) for envelope in chunk.envelopes))
        progress = replace(
            progress,
            row=rows[-1].number,
            queued=progress.queued + len(chunk.envelopes),
            skipped=progress.skipped + chunk.skipped,
            rejected=progress.rejected + len(chunk.rejects),
            organisation=org,
        )
        self._record(progress, chunk.rejects)
        return progress

    def _sort(self, row: Numbered, chunk: _Chunk, *, run: str, org: str) -> None:
        try:
            body = read_row(row, self._rules, org=org, now=self._now())
        except BadRow as error:
            chunk.rejects.append(Reject(row.number, str(row.row.get("ID") or ""), str(error)))
            return
        if body is None:
            chunk.skipped += 1
        else:
            chunk.envelopes.append(self._envelope(body, run, row.number))

    def _envelope(self, body: dict[str, Any], run: str, number: int) -> Envelope:
        correlation_id = correlation_of(run, number)
        return Envelope(
            correlation_id=correlation_id,
            traceparent=Trace.of(trace_id=correlation_id, span_id=correlation_id[16:]).traceparent,
            event_id=correlation_id,
            event_name=f"{self._rules.resource}.backfill",
            received_at=sortable(self._now()),
            body=body,
        )

    async def _put(self, envelope: Envelope) -> None:
        await self._surely(lambda: self._feed.put(envelope))

    async def _surely(self, call: Callable[[], Awaitable[Any]]) -> Any:
        for attempt in range(MAX_ATTEMPTS - 1):
            try:
                return await call()
            except Transient as error:
                jitter = random.random()  # noqa: S311 - only spreads load
                await self._sleep(delay_seconds(attempt, retry_after=error.retry_after, jitter=jitter))
        return await call()


def read_row(row: Numbered, rules: Rules, *, org: str, now: datetime) -> dict[str, Any] | None:
    """The delivery to queue; None for a row that is left out on purpose. Raises `BadRow`.

    The row is mapped here as the sync will map it, so that what cannot work is reported now, with its row, and not as a
    dead letter. `org` is the one organisation of the file.
    """
    if row.problem:
        raise BadRow(row.problem)
    if organisation(row.row) != org:
        raise BadRow(f"O_ID is not {org}, as in the first row. Back-fill one organisation at a time.")
    body = delivery_of(row.row, resource=rules.resource)
    try:
        delivery = parse_delivery(body)
        if not accepts(delivery, rules.mapping):
            raise BadRow(why_not(delivery, rules.mapping))
        patch = read_patch(delivery, mapping=rules.mapping, received_at=now)
        values = collapse(patch.fields, rules.mapping)
        start = _start(values, rules)
    except Unmappable as error:
        raise BadRow(error.reason) from error
    except BadDelivery as error:
        raise BadRow(error.message) from error
    if patch.notes:
        raise BadRow("UPDATED_AT or CREATED_AT cannot be true; it must say which is later, the row or an event.")
    too_old = rules.starting_from is not None and start < rules.starting_from
    return None if too_old or (_is_off(values) and rules.policy.on_cancel == "ignore") else body


def correlation_of(run: str, number: int) -> str:
    """The correlation id of row `number`: those of one run stand together in the journal."""
    return f"{run}{number:016x}"


def run_of(digest: str, resource: str) -> str:
    """The run's name from the SHA-256 of the file, in hex, and from what its rows are taken for."""
    return hashlib.sha256(f"backfill {resource} {digest}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the rows: how many by outcome, and by reason where there is one."""

    outcomes: Counter[OutcomeKind]
    reasons: Counter[tuple[OutcomeKind, str]]


async def count_outcomes(journal: Journal, progress: Progress) -> Outcomes:
    """Count the journal's rows of a run, a thousand at a time."""
    outcomes: Counter[OutcomeKind] = Counter()
    reasons: Counter[tuple[OutcomeKind, str]] = Counter()
    for start in range(1, progress.row + 1, _COUNT_STEP):
        first, last = correlation_of(progress.run, start), correlation_of(progress.run, start + _COUNT_STEP - 1)
        for entry in await journal.between(first, last):
            outcomes[entry.outcome] += 1
            if entry.reason:
                reasons[entry.outcome, entry.reason] += 1
    return Outcomes(outcomes, reasons)


def _start(values: Mapping[str, Any], rules: Rules) -> date:
    """The day on which the meeting begins, in UTC. Raises `BadRow` and `Unmappable` for what no appointment can be."""
    nobody = {reference: Person() for reference in references(values, rules.mapping)}
    want = desired(values, mapping=rules.mapping, people=nobody, policy=rules.policy)
    columns = want.columns
    if any(columns.get(name) is None for name in TIMES):
        if all(value_of(name, values, rules.mapping) for name in TIMES):
            raise BadRow(" ".join(want.notes))
        raise BadRow("START_TIME or END_TIME is empty; an appointment needs both.")
    return date.fromisoformat(columns["scheduledstart"][:10])


def _is_off(values: Mapping[str, Any]) -> bool:
    """Whether the meeting was called off: it stays in Outreach then, unless SYNC_ON_CANCEL says otherwise."""
    return any(values.get(name) for name in ("canceled", "declined", "destroyed"))

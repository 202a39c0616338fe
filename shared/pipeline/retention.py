"""What has been kept long enough is forgotten: a bounded piece per run, going on where the last one stopped.

Tables forget nothing by themselves and have no index on a time, so each pass reads a table from one end to the other,
a few requests per run, and begins again a day after it came to the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from shared.errors import RowConflict
from shared.labels import Names
from shared.meeting.dead_letters import record_end
from shared.meeting.forgetting import counts_from
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Meeting, Recent
from shared.meeting.outcome import OutcomeKind
from shared.meeting.ports import Stored
from shared.storage.account import Continuation, Table
from shared.storage.checkpoints import Checkpoints
from shared.storage.dead_letters import DeadLetter, DeadLetters
from shared.storage.journal import Journal
from shared.storage.layout import NewerLayout
from shared.storage.meetings import MeetingTable
from shared.storage.overflow import Overflow
from shared.telemetry import line
from shared.timestamps import Clock, sortable

log = logging.getLogger("outreach_dynamics.retention")

T = TypeVar("T")
R = TypeVar("R")

BETWEEN_PASSES = timedelta(days=1)
# Requests per table and run, and rows per request: 10,000 rows looked through a minute at most.
MAX_PAGES = 10
PAGE_SIZE = 1000
MAX_DELETED = 2000
_AT_ONCE = 8


class Pass(Protocol):
    """What is looked through from one end to the other, page by page."""

    @property
    def name(self) -> str:
        """Under which its checkpoint and its counts stand."""
        ...

    async def step(self, *, now: datetime, after: Continuation | None) -> tuple[int, Continuation | None]:
        """Look through one page. Returns how much of it was forgotten, and where the next one begins."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows that are deleted.

    A table, the column that says how old a row is (text, as `sortable` writes it), and how long rows are kept.
    """

    name: str
    table: Table
    column: str
    keep: timedelta

    async def step(self, *, now: datetime, after: Continuation | None) -> tuple[int, Continuation | None]:
        """Delete the old rows of one page."""
        old = {"old": sortable(now - self.keep)}
        rows, following = await self.table.page(f"{self.column} lt @old", old, after=after, size=PAGE_SIZE)
        await _each(rows, lambda row: self.table.delete(row["PartitionKey"], row["RowKey"]))
        return len(rows), following


@dataclass(frozen=True, slots=True)
class KeptMeetings:
    """Meetings, of which only the ids of records and appointment stay."""

    meetings: MeetingTable
    mapping: MappingFile
    keep: timedelta
    name: str = "meetings"

    async def step(self, *, now: datetime, after: Continuation | None) -> tuple[int, Continuation | None]:
        """Forget the old ones of one page; one that is being written this moment stays for the next pass."""
        found, following = await self.meetings.page(after=after)
        old = [(one, one.meeting) for one in found if one.meeting is not None and self._is_old(one.meeting, now)]
        gone = await _each(old, lambda pair: self._forget(*pair))
        return sum(gone), following

    def _is_old(self, meeting: Meeting, now: datetime) -> bool:
        since = counts_from(meeting, self.mapping)
        return since is not None and now - since > self.keep

    async def _forget(self, stored: Stored, meeting: Meeting) -> bool:
        try:
            await self.meetings.save(stored, meeting.forget())
        except RowConflict:
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeptDeadLetters:
    """Dead letters for which nobody came. The journal, and the meeting's time line, say of each that it expired."""

    meetings: MeetingTable
    dead_letters: DeadLetters
    journal: Journal
    overflow: Overflow
    names: Names
    keep: timedelta
    name: str = "deadletters"

    async def step(self, *, now: datetime, after: Continuation | None) -> tuple[int, Continuation | None]:
        """Let the old ones of one page go."""
        found, following = await self.dead_letters.failed_before(now - self.keep, after=after)
        gone = await _each(found, lambda dead_letter: self._let_go(dead_letter, now))
        return sum(gone), following

    async def _let_go(self, dead_letter: DeadLetter, now: datetime) -> bool:
        """The journal first: a crash in between leaves the dead letter, for the next pass."""
        entry = dead_letter.entry(OutcomeKind.EXPIRED, now=now)
        try:
            if await self.journal.dismiss(entry) and entry.meeting:
                event = Recent(entry.correlation_id, entry.event, entry.received_at, entry.outcome)
                with suppress(NewerLayout):  # the journal says it all the same
                    await record_end(event, MeetingKey.parse(entry.meeting), meetings=self.meetings)
        except RowConflict:
            return False  # its event is being carried out this moment
        if dead_letter.spill_key:
            await self.overflow.forget(dead_letter.spill_key)
        if not await self.dead_letters.remove(dead_letter):
            return False
        log.warning(
            line(
                "expired",
                correlation_id=entry.correlation_id,
                event=self.names.event(entry.event),
                meeting=self.names.meeting(entry.meeting),
                code=entry.error_code,
            )
        )
        return True


class Retention:
    """Forgets what was kept long enough, a page at a time."""

    def __init__(self, kept: Collection[Pass], *, checkpoints: Checkpoints, now: Clock) -> None:
        self._kept = kept
        self._checkpoints = checkpoints
        self._now = now

    async def run(self) -> Mapping[str, int]:
        """The next piece of each pass. Counts what was forgotten, by name."""
        return {kept.name: await self._continue(kept) for kept in self._kept}

    async def _continue(self, kept: Pass) -> int:
        name = f"retention:{kept.name}"
        checkpoint = await self._checkpoints.get(name)
        if checkpoint.get("rest_until", "") > sortable(self._now()):
            return 0
        forgotten, after = 0, checkpoint.get("after")
        for _ in range(MAX_PAGES):
            some, after = await kept.step(now=self._now(), after=after)
            forgotten += some
            if after is None or forgotten >= MAX_DELETED:
                break
        done: dict[str, Any] = {"rest_until": sortable(self._now() + BETWEEN_PASSES)} if after is None else {}
        await self._checkpoints.put(name, done | ({"after": after} if after else {}))
        return forgotten


async def _each(some: Collection[T], forget: Callable[[T], Awaitable[R]]) -> list[R]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> R:
        async with gate:
            return await forget(item)

    return await asyncio.gather(*(one(item) for item in some))

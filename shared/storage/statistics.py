"""How many events ended how, and how late: added up per quarter of an hour for the console's chart (table `tallies`).

A write per event would cost more than the chart is worth. So each process adds up in memory and stores its sums a few
seconds after an event, at most once in that time. A process that is killed loses those seconds; the journal and
the log have every event.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from shared.errors import RemoteError, RowConflict
from shared.meeting.outcome import OutcomeKind
from shared.storage.account import Table
from shared.telemetry import line
from shared.timestamps import Clock, parse_time

log = logging.getLogger("outreach_dynamics.statistics")

TABLE = "tallies"
SLOT = timedelta(minutes=15)
STORE_AFTER_SECONDS = 10.0
_MOST_ROWS = 20_000


@dataclass(slots=True)
class Totals:
    """The events that ended in one slot. `lags`: how many of them made a lag; `lag_sum`, `lag_max` in seconds."""

    outcomes: Counter[OutcomeKind] = field(default_factory=Counter)
    lags: int = 0
    lag_sum: float = 0.0
    lag_max: float = 0.0

    def add(self, other: Totals) -> None:
        """Add what another process counted."""
        self.outcomes += other.outcomes
        self.lags += other.lags
        self.lag_sum += other.lag_sum
        self.lag_max = max(self.lag_max, other.lag_max)


class Statistics:
    """Counts how events ended, and stores it after `store_after` seconds."""

    def __init__(self, table: Table, *, now: Clock, store_after: float = STORE_AFTER_SECONDS) -> None:
        self._table = table
        self._now = now
        self._store_after = store_after
        self._process = uuid4().hex[:12]
        self._slots: dict[datetime, Totals] = {}
        self._storing: asyncio.Task[None] | None = None
        self._unstored = False

    def record(self, outcome: OutcomeKind, *, lag: float | None) -> None:
        """One event ended now."""
        totals = self._slots.setdefault(slot_of(self._now()), Totals())
        totals.outcomes[outcome] += 1
        if lag is not None:
            totals.lags += 1
            totals.lag_sum += lag
            totals.lag_max = max(totals.lag_max, lag)
        self._unstored = True
        if self._storing is None or self._storing.done():
            # In a context of its own: this is no part of the event that happens to be under way.
            self._storing = asyncio.get_running_loop().create_task(self._store_later(), context=contextvars.Context())

    async def since(self, moment: datetime) -> dict[datetime, Totals]:
        """The slots from the one of `moment` on, all processes together. Costs a request per 1,000 rows."""
        first = slot_of(moment)
        rows = await self._table.query("PartitionKey ge @day", {"day": f"{first:%Y-%m-%d}"}, limit=_MOST_ROWS)
        found: dict[datetime, Totals] = {}
        for slot, totals in map(_read, rows):
            if slot >= first:
                found.setdefault(slot, Totals()).add(totals)
        return found

    async def aclose(self) -> None:
        """Store what is left."""
        if self._storing is not None:
            self._storing.cancel()
            self._storing = None
        await self._store()

    async def _store_later(self) -> None:
        while self._unstored:
            await asyncio.sleep(self._store_after)
            await self._store()

    async def _store(self) -> None:
        """Store every slot; forget those that are over."""
        current, self._unstored = slot_of(self._now()), False
        try:
            for slot, totals in list(self._slots.items()):
                await self._table.put(_row(slot, totals, self._process))
                if slot < current:
                    del self._slots[slot]
        except (RemoteError, RowConflict) as error:
            log.warning(line("statistics_not_stored", error=type(error).__name__))


def slot_of(moment: datetime) -> datetime:
    """The start of the slot that `moment` lies in."""
    moment = moment.astimezone(UTC)
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % SLOT


def total(statistics: Iterable[Totals]) -> Totals:
    """All of them in one."""
    sum_ = Totals()
    for totals in statistics:
        sum_.add(totals)
    return sum_


def _row(slot: datetime, totals: Totals, process: str) -> dict[str, Any]:
    return {
        "PartitionKey": f"{slot:%Y-%m-%d}",
        "RowKey": f"{slot:%H%M}-{process}",
        "outcomes": json.dumps(totals.outcomes),
        "lags": totals.lags,
        "lag_sum": totals.lag_sum,
        "lag_max": totals.lag_max,
    }


def _read(row: Mapping[str, Any]) -> tuple[datetime, Totals]:
    slot = parse_time(f"{row['PartitionKey']}T{row['RowKey'][:4]}Z")
    counted = Counter({OutcomeKind(name): count for name, count in json.loads(row["outcomes"]).items()})
    return slot, Totals(counted, int(row["lags"]), float(row["lag_sum"]), float(row["lag_max"]))

"""Rows that have been kept long enough: a bounded number is deleted per run, going on where the last one stopped.

Tables forget nothing by themselves and have no index on a time, so each pass reads a table from one end to the other,
a few requests per run, and begins again a day after it came to the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.storage.account import Entity, Table
from shared.storage.checkpoints import Checkpoints
from shared.timestamps import Clock, sortable

BETWEEN_PASSES = timedelta(days=1)
# Requests per table and run, and rows per request: 10,000 rows looked through a minute at most.
MAX_PAGES = 10
PAGE_SIZE = 1000
MAX_DELETED = 2000
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """A table, the column that says how old a row is (text, as `sortable` writes it), and how long rows are kept."""

    name: str
    table: Table
    column: str
    keep: timedelta


class Retention:
    """Deletes what was kept long enough, a page at a time."""

    def __init__(self, kept: Collection[Kept], *, checkpoints: Checkpoints, now: Clock) -> None:
        self._kept = kept
        self._checkpoints = checkpoints
        self._now = now

    async def run(self) -> Mapping[str, int]:
        """The next piece of each table's pass. Counts the rows deleted, by table."""
        return {kept.name: await self._continue(kept) for kept in self._kept}

    async def _continue(self, kept: Kept) -> int:
        name = f"retention:{kept.name}"
        checkpoint = await self._checkpoints.get(name)
        if checkpoint.get("rest_until", "") > sortable(self._now()):
            return 0
        deleted, after = 0, checkpoint.get("after")
        for _ in range(MAX_PAGES):
            rows, after = await kept.table.page(
                f"{kept.column} lt @old", {"old": sortable(self._now() - kept.keep)}, after=after, size=PAGE_SIZE
            )
            await _delete(kept.table, rows)
            deleted += len(rows)
            if after is None or deleted >= MAX_DELETED:
                break
        done: dict[str, Any] = {"rest_until": sortable(self._now() + BETWEEN_PASSES)} if after is None else {}
        await self._checkpoints.put(name, done | ({"after": after} if after else {}))
        return deleted


async def _delete(table: Table, rows: list[Entity]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(row: Entity) -> None:
        async with gate:
            await table.delete(row["PartitionKey"], row["RowKey"])

    await asyncio.gather(*(one(row) for row in rows))

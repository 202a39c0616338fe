"""A table in memory, as far as rows go in and out one by one: what `Table` does there, and nothing more."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.errors import RowConflict
from shared.storage.account import Entity, Table


class MemoryTable(Table):
    """Every call gives way to others once, as one over the network does."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, Any], tuple[Entity, int]] = {}
        self.reads = self.writes = 0

    async def get(self, partition: str, row: str) -> tuple[Entity, str] | None:
        """The row and its etag."""
        await asyncio.sleep(0)
        self.reads += 1
        found = self.rows.get((partition, row))
        return None if found is None else (dict(found[0]), str(found[1]))

    async def save(self, entity: Entity, *, etag: str | None) -> str:
        """Insert, or replace what still has `etag`."""
        await asyncio.sleep(0)
        self.writes += 1
        key = entity["PartitionKey"], entity["RowKey"]
        found = self.rows.get(key)
        if (None if found is None else str(found[1])) != etag:
            raise RowConflict
        self.rows[key] = (dict(entity), found[1] + 1 if found else 1)
        return str(self.rows[key][1])

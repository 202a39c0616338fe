"""What the sweep remembers from one run to the next (table `sweep`): checkpoints, one lease, and follow-ups."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from shared.errors import RowConflict
from shared.meeting.identity import MeetingKey, table_key
from shared.storage.account import Table
from shared.storage.documents import pack, unpack
from shared.timestamps import Clock, parse_time, sortable

TABLE = "sweep"
_CHECKPOINTS, _LEASES, _FOLLOW_UPS = "checkpoints", "leases", "again"

# After a meeting was written with somebody who is nobody in Dynamics, its people are looked up again so much later.
FOLLOW_UP_AFTER = (timedelta(minutes=15), timedelta(hours=1), timedelta(days=1))


class Checkpoints:
    """A small JSON document per name."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, name: str) -> dict[str, Any]:
        """The document; empty where none was put."""
        found = await self._table.get(_CHECKPOINTS, table_key(name))
        document: dict[str, Any] = {} if found is None else unpack(found[0])
        return document

    async def put(self, name: str, document: Mapping[str, Any]) -> None:
        """Store `document`, over the one before."""
        await self._table.put({"PartitionKey": _CHECKPOINTS, "RowKey": table_key(name), **pack(dict(document))})


class Lease:
    """The right to do something, for one at a time."""

    def __init__(self, table: Table, *, name: str, now: Clock) -> None:
        self._table = table
        self._row = {"PartitionKey": _LEASES, "RowKey": table_key(name)}
        self._now = now
        self._owner = ""

    async def take(self, *, seconds: float) -> bool:
        """Whether it is ours now; it ends by itself after `seconds`."""
        found = await self._table.get(self._row["PartitionKey"], self._row["RowKey"])
        entity, etag = found or ({"until": "", "owner": ""}, None)
        if str(entity["until"]) > sortable(self._now()):
            return False
        owner, until = uuid4().hex, sortable(self._now() + timedelta(seconds=seconds))
        try:
            await self._table.save({**self._row, "owner": owner, "until": until}, etag=etag)
        except RowConflict:
            return False
        self._owner = owner
        return True

    async def release(self) -> None:
        """Give it back, unless it ran out and somebody else has it."""
        found = await self._table.get(self._row["PartitionKey"], self._row["RowKey"])
        if found is None or found[0]["owner"] != self._owner:
            return
        try:
            await self._table.save({**self._row, "owner": "", "until": ""}, etag=found[1])
        except RowConflict:
            return


class FollowUps:
    """Meetings that were written while somebody in them was nobody in Dynamics."""

    def __init__(self, table: Table, *, now: Clock) -> None:
        self._table = table
        self._now = now

    async def plan(self, key: MeetingKey) -> None:
        """Look at `key` again, at growing intervals from now on."""
        await self._put(key, since=self._now(), step=0)

    async def forget(self, key: MeetingKey) -> None:
        """Everybody is known now."""
        await self._table.delete(_FOLLOW_UPS, table_key(str(key)))

    async def due(self, *, limit: int) -> list[dict[str, Any]]:
        """Rows whose time has come; hand each to `done` when its meeting is in the queue."""
        now = sortable(self._now())
        return await self._table.query(
            "PartitionKey eq @again and due le @now", {"again": _FOLLOW_UPS, "now": now}, limit=limit
        )

    async def done(self, row: Mapping[str, Any]) -> None:
        """This look is on its way; plan the next one, or forget after the last."""
        key, step = MeetingKey.parse(row["meeting"]), int(row["step"]) + 1
        if step < len(FOLLOW_UP_AFTER):
            await self._put(key, since=parse_time(row["since"]), step=step)
        else:
            await self.forget(key)

    async def _put(self, key: MeetingKey, *, since: datetime, step: int) -> None:
        row = {"PartitionKey": _FOLLOW_UPS, "RowKey": table_key(str(key)), "meeting": str(key), "step": step}
        due = sortable(since + FOLLOW_UP_AFTER[step])
        await self._table.put({**row, "since": sortable(since), "due": due})

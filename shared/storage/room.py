"""Room for more rows: bounds on what a table holds that hold across all processes, at hardly any cost per row.

Nobody counts a table for every row that goes into it. A process is granted room for some rows at a time, in one row
that each changes only if nobody else did meanwhile, and fills it without asking again. The timer counts what is really
there, now and then. A grant ends by itself; what a process that died had left of it counts as used until then. So the
sum may be too high for minutes, and is never too low.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from shared.errors import RowConflict
from shared.storage.account import Table
from shared.timestamps import Clock, sortable

PARTITION = "~room"  # no digest begins with ~
_ROW = {"PartitionKey": PARTITION, "RowKey": PARTITION}

# What a process is granted at a time, and for how long. It stops using a grant a minute before it ends, so that clocks
# may differ and the last row be under way.
LOT_ROWS, LOT_BYTES = 256, 4 * 1024 * 1024
LOT_ENDS = timedelta(minutes=5)
LOT_STOPS = timedelta(minutes=4)
# A grant that is used up ends so long after: its last row is in the table by then.
LOT_SETTLES = timedelta(seconds=15)
# What ended so long ago was there to be found by any count under way.
LOT_FORGOTTEN = timedelta(hours=1)
# So long a process believes that there is no room, without asking again.
FULL_FOR = timedelta(seconds=10)
# How often it asks again for room that others want at the same moment.
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Size:
    """A number of rows and their bytes."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.rows + other.rows, self.bytes + other.bytes)

    def __sub__(self, other: Size) -> Size:
        return Size(self.rows - other.rows, self.bytes - other.bytes)

    def holds(self, other: Size) -> bool:
        """Whether `other` fits into it."""
        return other.rows <= self.rows and other.bytes <= self.bytes


@dataclass(frozen=True, slots=True)
class Account:
    """What the one row says.

    counted     what the timer found last, and when it began to look; empty before it first did
    note        what else it found, for whoever asks
    granted     by grant: what may have been added to that, and when the grant ends
    """

    counted: Size = Size()
    counted_at: str = ""
    note: Mapping[str, Any] = field(default_factory=dict)
    granted: Mapping[str, tuple[Size, str]] = field(default_factory=dict)

    @property
    def taken(self) -> Size:
        """What is there at most."""
        return sum((size for size, _ in self.granted.values()), self.counted)


@dataclass(slots=True)
class Lot:
    """A grant in use."""

    name: str
    granted: Size
    stops: datetime
    ends: str
    used: Size = Size()


class Room:
    """Room in the table in whose row the account is kept; `most`: of all its other rows."""

    def __init__(self, table: Table, *, most: Size, now: Clock) -> None:
        self._table = table
        self._most = most
        self._now = now
        self._lot: Lot | None = None
        self._lock = asyncio.Lock()
        self._full = Size()
        self._full_until = datetime.min.replace(tzinfo=UTC)

    async def take(self, size: int) -> Lot | None:
        """Take room for one more row of `size` bytes; None where there is none."""
        row = Size(1, size)
        async with self._lock:
            if self._lot is None or self._now() >= self._lot.stops or not self._left(self._lot).holds(row):
                if self._now() < self._full_until and row.holds(self._full):
                    return None
                lot = await self._granted(row)
                if lot is None:
                    self._full, self._full_until = row, self._now() + FULL_FOR
                    return None
                self._lot = lot
            self._lot.used += row
            return self._lot

    def give_back(self, lot: Lot, size: int) -> None:
        """The row that room was taken for, out of `lot`, was there already."""
        lot.used -= Size(1, size)

    async def account(self) -> Account:
        """What is known of the table."""
        return (await self._load())[0]

    async def counted(self, found: Size, *, since: datetime, note: Mapping[str, Any]) -> None:
        """Note that from `since` on somebody looked through the table and `found` this."""
        began = sortable(since)
        for _ in range(_ATTEMPTS):
            account, etag = await self._load()
            # What went in under a grant that had ended by then was there to be found.
            open_ = {name: grant for name, grant in account.granted.items() if grant[1] >= began}
            if await self._saved(Account(found, began, note, open_), etag):
                return

    async def forget_count(self) -> None:
        """What was counted is not true any more: let it be counted soon."""
        for _ in range(_ATTEMPTS):
            account, etag = await self._load()
            if etag is None or await self._saved(replace(account, counted_at=""), etag):
                return

    def _left(self, lot: Lot) -> Size:
        return lot.granted - lot.used

    async def _granted(self, row: Size) -> Lot | None:
        """A new grant that holds `row`, in place of the one before; None where there is no room."""
        for _ in range(_ATTEMPTS):
            account, etag = await self._load()
            account, now = self._tidied(account), self._now()
            free = self._most - account.taken
            if not free.holds(row):
                return None
            size = Size(min(LOT_ROWS, free.rows), min(LOT_BYTES, free.bytes))
            lot = Lot(uuid4().hex, size, now + LOT_STOPS, sortable(now + LOT_ENDS))
            granted = {**account.granted, lot.name: (lot.granted, lot.ends)}
            if await self._saved(replace(account, granted=granted), etag):
                return lot
        return None

    def _tidied(self, account: Account) -> Account:
        """`account` without what the grant before had left, and with grants of long ago in the sum."""
        now = self._now()
        forgotten = sortable(now - LOT_FORGOTTEN)
        granted = dict(account.granted)
        if self._lot is not None and self._lot.name in granted:
            granted[self._lot.name] = (self._lot.used, min(self._lot.ends, sortable(now + LOT_SETTLES)))
        counted = account.counted
        for name in [name for name, (_, ends) in granted.items() if ends < forgotten]:
            counted += granted.pop(name)[0]
        return replace(account, counted=counted, granted=granted)

    async def _load(self) -> tuple[Account, str | None]:
        found = await self._table.get(_ROW["PartitionKey"], _ROW["RowKey"])
        if found is None:
            return Account(), None
        entity, etag = found
        state = json.loads(entity["account"])
        granted = {name: (Size(*size), ends) for name, (size, ends) in state["granted"].items()}
        return Account(Size(*state["counted"]), state["counted_at"], state["note"], granted), etag

    async def _saved(self, account: Account, etag: str | None) -> bool:
        state = {
            "counted": [account.counted.rows, account.counted.bytes],
            "counted_at": account.counted_at,
            "note": dict(account.note),
            "granted": {name: [[size.rows, size.bytes], ends] for name, (size, ends) in account.granted.items()},
        }
        try:
            await self._table.save({**_ROW, "version": 1, "account": json.dumps(state)}, etag=etag)
        except RowConflict:
            return False
        return True

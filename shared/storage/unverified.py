"""Deliveries that nobody could verify when they came, as they came (table `unverified`).

    partition  row
    kept       DIGEST   one delivery; the same body with the same signature is one
    ~room      ~room    how many there are at most (`room.py`)

A row is no event yet: it goes nowhere before its signature fits. Anybody may have sent it who has the function key, so
the table is bounded, and nothing that came early goes for what comes late.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any, Literal, get_args

from shared.errors import NotStored, Permanent, RowConflict
from shared.storage.account import Continuation, Entity, Table
from shared.storage.documents import pack_bytes, unpack_bytes
from shared.storage.room import Room, Size
from shared.timestamps import Clock, sortable

TABLE = "unverified"
MOST = Size(rows=50_000, bytes=500 * 1024 * 1024)
KEPT_FOR = timedelta(days=7)
_PARTITION = "kept"
# What a row takes beside the body is less than the rest of its 1 MiB.
_MOST_PACKED = 1000 * 1024
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
_PAGE = 1000
_KEPT, _ALL = "PartitionKey eq @kept", {"kept": _PARTITION}
_UNTRIED = f"{_KEPT} and kind eq @kind and tried ne @tried"
_LISTED = ("RowKey", "kind", "size", "received_at")

# A secret is set that the app does not know yet, or every known one was tried and fits not.
Kind = Literal["secret_not_known", "does_not_fit"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Unverified:
    """One delivery: its bytes, the signature that came with it, and what it has in common with every other arrival.

    `tried`: a digest of the secrets that its signature does not fit.
    """

    kind: Kind
    body: bytes
    signature: str
    correlation_id: str
    traceparent: str
    event_id: str
    received_at: str
    tried: str

    @property
    def digest(self) -> str:
        """Names the delivery: the same body with the same signature."""
        return digest_of(self.body, self.signature)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a row says beside the delivery itself."""

    digest: str
    kind: Kind
    size: int
    received_at: str


@dataclass(frozen=True, slots=True)
class Totals:
    """How many of each kind, all their bytes, and when the oldest came ("" where there is none)."""

    secret_not_known: int = 0
    does_not_fit: int = 0
    bytes: int = 0
    oldest: str = ""

    @property
    def rows(self) -> int:
        """All of them."""
        return self.secret_not_known + self.does_not_fit

    def with_(self, listed: Sequence[Listed]) -> Totals:
        """These and those together."""
        counts = {kind: sum(one.kind == kind for one in listed) for kind in KINDS}
        arrivals = [one.received_at for one in listed] + ([self.oldest] if self.oldest else [])
        return Totals(
            self.secret_not_known + counts["secret_not_known"],
            self.does_not_fit + counts["does_not_fit"],
            self.bytes + sum(one.size for one in listed),
            min(arrivals, default=""),
        )


def can_be_kept(body: bytes, signature: str) -> bool:
    """Whether a delivery may prove to be right later: with a signature of the right form, and a body."""
    return bool(body) and _SIGNATURE.fullmatch(signature) is not None


def digest_of(body: bytes, signature: str) -> str:
    """Names a delivery that is not verified."""
    return hashlib.sha256(signature.encode() + b"\n" + body).hexdigest()


_SAID = tuple(field.name for field in fields(Unverified) if field.name != "body")


class UnverifiedTable:
    """Keeps them, and finds them again."""

    def __init__(self, table: Table, *, now: Clock, most: Size = MOST) -> None:
        self._table = table
        self._now = now
        self.room = Room(table, most=most, now=now)

    async def keep(self, one: Unverified) -> str:
        """Keep `one`, which `can_be_kept`. Returns the correlation id that it is found under.

        That is another where the same delivery came before. Raises `NotStored` where there is no room, and `Permanent`
        where it fits no row.
        """
        packed = pack_bytes(one.body)
        if sum(map(len, packed.values())) > _MOST_PACKED:
            raise Permanent("More than one table row can hold (1 MiB).", service="storage", status=413)
        lot = await self.room.take(len(one.body))
        if lot is None:
            raise NotStored("full")
        said = {"version": 1, "size": len(one.body), **{name: getattr(one, name) for name in _SAID}}
        try:
            await self._table.save({**_key(one.digest), **said, **packed}, etag=None)
        except RowConflict:
            self.room.give_back(lot, len(one.body))
            return await self._same_as(one)
        return one.correlation_id

    async def _same_as(self, one: Unverified) -> str:
        """The correlation id of the same delivery, which is in the table already."""
        found = await self._table.get(*_key(one.digest).values())
        if found is None:  # it has just been taken in
            return one.correlation_id
        if one.kind == "secret_not_known" != found[0]["kind"]:  # what is answered yes counts for more
            await self._table.change_all([{**_key(one.digest), "kind": one.kind}])
        return str(found[0]["correlation_id"])

    async def untried(self, kind: Kind, *, with_: str, after: str) -> list[Listed]:
        """Up to 1,000 of this kind that were not tried with the secrets of the digest `with_`, nor are too old.

        They are in the order of their digests; those up to `after` are left out.
        """
        rows = await self._table.query(
            f"{_UNTRIED} and RowKey gt @after and received_at ge @oldest",
            {**_untried(kind, with_), "after": after, "oldest": self._oldest()},
            limit=_PAGE,
            select=_LISTED,
        )
        return [_listed(row) for row in rows]

    async def load(self, some: Sequence[Listed], *, with_: str) -> dict[str, Unverified | None]:
        """Neighbours that `untried` found and that are still there, by digest; None for one that cannot be read."""
        rows = await self._table.query(
            f"{_UNTRIED} and RowKey ge @first and RowKey le @last",
            {**_untried(some[0].kind, with_), "first": some[0].digest, "last": some[-1].digest},
            limit=len(some),
        )
        return {row["RowKey"]: _read(row) for row in rows}

    async def record_tried(self, digests: Sequence[str], *, with_: str) -> None:
        """None of these fits the secrets of the digest `with_`."""
        await self._table.change_all([{**_key(digest), "tried": with_} for digest in digests])

    async def forget(self, digests: Sequence[str]) -> None:
        """These are done with."""
        await self._table.delete_all([_key(digest) for digest in digests])

    async def count(self) -> Totals:
        """Look through all of them, forget those that were kept long enough, and note what is there."""
        began, oldest, totals = self._now(), self._oldest(), Totals()
        async for page in self._pages():
            old = [one.digest for one in page if one.received_at < oldest]
            await self.forget(old)
            totals = totals.with_([one for one in page if one.received_at >= oldest])
        await self.room.counted(Size(totals.rows, totals.bytes), since=began, note=asdict(totals))
        return totals

    async def look(self) -> Totals:
        """How many there are, counted one by one. Nothing changes."""
        totals = Totals()
        async for page in self._pages():
            totals = totals.with_(page)
        return totals

    async def totals(self) -> Totals:
        """How many there are: counted now where they are few, else as the timer counted them last."""
        rows, more = await self._table.page(_KEPT, _ALL, after=None, size=_PAGE, select=_LISTED)
        if more is None:
            return Totals().with_([_listed(row) for row in rows])
        return Totals(**(await self.room.account()).note)

    async def forget_all(self) -> int:
        """Forget every one; returns how many there were. The timer finds out within a minute or two."""
        gone = 0
        async for page in self._pages():
            await self.forget([one.digest for one in page])
            gone += len(page)
        await self.room.forget_count()
        return gone

    async def _pages(self) -> AsyncIterator[list[Listed]]:
        after: Continuation | None = None
        while True:
            rows, after = await self._table.page(_KEPT, _ALL, after=after, size=_PAGE, select=_LISTED)
            yield [_listed(row) for row in rows]
            if after is None:
                return

    def _oldest(self) -> str:
        return sortable(self._now() - KEPT_FOR)


def _key(digest: str) -> Entity:
    return {"PartitionKey": _PARTITION, "RowKey": digest}


def _untried(kind: Kind, with_: str) -> dict[str, str]:
    return {**_ALL, "kind": kind, "tried": with_}


def _listed(row: Mapping[str, Any]) -> Listed:
    return Listed(row["RowKey"], row["kind"], int(row["size"]), row["received_at"])


def _read(row: Mapping[str, Any]) -> Unverified | None:
    """The delivery in a row; None for one that this version of the app cannot read."""
    try:
        return Unverified(body=unpack_bytes(row), **{name: str(row[name]) for name in _SAID})  # type: ignore[arg-type]
    except (KeyError, zlib.error):
        return None

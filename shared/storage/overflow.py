"""The second place for an accepted event: when the queue is down or refuses its size (table `spill`)."""

from __future__ import annotations

from contextlib import suppress

from shared.errors import RowConflict
from shared.storage.account import Entity, Table
from shared.storage.documents import pack, unpack_envelope
from shared.storage.envelope import Envelope, Trace

TABLE = "spill"
_PARTITION = "spill"


class Overflow:
    """Keeps envelopes until a pointer to them is in the queue and the event is done."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def keep(self, envelope: Envelope) -> Envelope:
        """Store `envelope`; returns the pointer to it, which fits the queue."""
        pointer = envelope.pointer()
        packed = pack(envelope.to_document())
        await self._table.put({**_row(pointer.spill_key), "pointed": "", **packed})
        return pointer

    async def load(self, key: str) -> Envelope | None:
        """The envelope, or None when it is done and gone. Raises `NewerLayout`, `Unmappable` where it is unreadable."""
        found = await self._table.get(_PARTITION, key)
        return None if found is None else unpack_envelope(found[0])

    async def mark_pointed(self, key: str, *, at: str) -> None:
        """Remember that the queue has a pointer, so that the sweep need not send another."""
        found = await self._table.get(_PARTITION, key)
        if found is not None:
            entity, etag = found
            with suppress(RowConflict):  # the worker was quicker: the event is done
                await self._table.save({**entity, "pointed": at}, etag=etag)

    async def without_pointer(self, *, fresh_before: str, pointed_before: str, limit: int) -> list[Envelope]:
        """Pointers to rows from before `fresh_before` whose pointer was never sent, or sent before `pointed_before`."""
        rows = await self._table.query(
            "PartitionKey eq @partition and pointed lt @pointed and RowKey lt @fresh",
            {"partition": _PARTITION, "pointed": pointed_before, "fresh": fresh_before},
            limit=limit,
        )
        return [_pointer(row["RowKey"]) for row in rows]

    async def depth(self, *, limit: int) -> int:
        """How many lie there, counted up to `limit`."""
        return await self._table.count("PartitionKey eq @partition", {"partition": _PARTITION}, limit=limit)

    async def forget(self, key: str) -> None:
        """The event is done."""
        await self._table.delete(_PARTITION, key)


def _pointer(key: str) -> Envelope:
    """From the key alone: what lies in the row is for the worker to read."""
    received_at, _, correlation_id = key.rpartition("-")
    trace = Trace.of(trace_id=correlation_id, span_id=correlation_id[:16])
    return Envelope(
        kind="spilled",
        correlation_id=correlation_id,
        traceparent=trace.traceparent,
        received_at=received_at,
        spill_key=key,
    )


def _row(key: str) -> Entity:
    return {"PartitionKey": _PARTITION, "RowKey": key}

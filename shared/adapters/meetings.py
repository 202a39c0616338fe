"""The table `meetings`: one row per meeting, and an index of those that are parked."""

from __future__ import annotations

from typing import Any

from shared.adapters.documents import pack, unpack
from shared.adapters.storage import Entity, Table
from shared.core.identity import MeetingKey, table_key
from shared.core.meeting import MeetingState, Recent
from shared.core.merge import Stamp, Stamped

TABLE = "meetings"
_ROW = "meeting"
_PARKED = "~parked"  # no key of a meeting begins with ~ and ends without a digest


class MeetingTable:
    """Implements `shared.core.ports.Meetings` on Table Storage.

    A parked meeting stands in the index before its own row says so, so that a crash between the two loses nothing. The
    index remembers under which rules it was parked: when those change, the sweep sends it on.
    """

    def __init__(self, table: Table, *, rules: str) -> None:
        self._table = table
        self._rules = rules

    async def load(self, key: MeetingKey) -> tuple[MeetingState | None, str | None]:
        """The state and its etag."""
        found = await self._table.get(table_key(str(key)), _ROW)
        if found is None:
            return None, None
        entity, etag = found
        return from_document(unpack(entity)), etag

    async def save(self, key: MeetingKey, state: MeetingState, *, version: str | None) -> str:
        """Store `state`; the plain columns beside the document are for people who look with a storage browser."""
        if state.parked:
            await self._index(key)
        entity: Entity = {
            "PartitionKey": table_key(str(key)),
            "RowKey": _ROW,
            "meeting": str(key),
            "appointment": state.appointment_id,
            "parked": state.parked,
            **pack(to_document(state)),
        }
        return await self._table.save(entity, etag=version)

    async def parked_under_other_rules(self, *, limit: int) -> list[MeetingKey]:
        """Parked meetings that were last looked at under other settings or another mapping."""
        rows = await self._table.query(
            "PartitionKey eq @parked and rules ne @rules", {"parked": _PARKED, "rules": self._rules}, limit=limit
        )
        return [MeetingKey.parse(row["meeting"]) for row in rows]

    async def note_sent_on(self, key: MeetingKey) -> None:
        """The queue has it: not again until the rules change once more."""
        await self._index(key)

    async def forget_parked(self, key: MeetingKey) -> None:
        """It went out."""
        await self._table.delete(_PARKED, table_key(str(key)))

    async def parked(self, *, limit: int) -> int:
        """How many meetings are parked, counted up to `limit`; some may have gone out since they were."""
        return await self._table.count("PartitionKey eq @parked", {"parked": _PARKED}, limit=limit)

    async def of_appointment(self, appointment_id: str) -> MeetingKey | None:
        """The meeting that this appointment belongs to.

        There is no index for this rare question: every row is looked at, so the caller must limit the time.
        """
        rows = await self._table.query("appointment eq @id", {"id": appointment_id}, limit=1)
        return MeetingKey.parse(rows[0]["meeting"]) if rows else None

    async def _index(self, key: MeetingKey) -> None:
        row = {"PartitionKey": _PARKED, "RowKey": table_key(str(key)), "meeting": str(key), "rules": self._rules}
        await self._table.put(row)


def to_document(state: MeetingState) -> dict[str, Any]:
    """`state` as plain JSON."""
    return {
        "fields": {name: [value, *stamp] for name, (value, stamp) in state.fields.items()},
        "appointment_id": state.appointment_id,
        "applied": dict(state.applied),
        "doubt": sorted(state.doubt),
        "crm_version": state.crm_version,
        "closed_as": state.closed_as,
        "parties": sorted(state.parties),
        "parked": state.parked,
        "gone": state.gone,
        "moved_to": state.moved_to,
        "copies": sorted(state.copies),
        "dead": state.dead,
        "recent": [[r.correlation_id, r.event, r.received_at, r.outcome] for r in state.recent],
    }


def from_document(document: dict[str, Any]) -> MeetingState:
    """The state in a document that `to_document` made."""
    return MeetingState(
        fields={
            name: Stamped(value, Stamp(changed, delivered))
            for name, (value, changed, delivered) in document["fields"].items()
        },
        appointment_id=document["appointment_id"],
        applied=document["applied"],
        doubt=frozenset(document["doubt"]),
        crm_version=document["crm_version"],
        closed_as=tuple(document["closed_as"]) if document["closed_as"] else None,
        parties=frozenset(document["parties"]),
        parked=document["parked"],
        gone=document["gone"],
        moved_to=document["moved_to"],
        copies=frozenset(document["copies"]),
        dead=document["dead"],
        recent=tuple(Recent(*entry) for entry in document["recent"]),
    )

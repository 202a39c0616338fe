"""The table `meetings`: one row per meeting, and an index of those that are parked (`parked.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.meeting.identity import MeetingKey, table_key
from shared.meeting.meeting import MeetingState, Recent
from shared.meeting.merge import Stamp, Stamped
from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import Party
from shared.storage.account import Continuation, Entity, Table
from shared.storage.documents import pack, unpack
from shared.storage.parked import PARTITION, Parked

TABLE = "meetings"
_PAGE = 200
# Stands before the etag in a version where the row says that the meeting is parked: only then the index is looked at
# when the meeting goes out.
_PARKED = "parked "


class MeetingTable:
    """Implements `shared.meeting.ports.Meetings` on Table Storage.

    A parked meeting stands in the index before its own row says so, and until after it says so no more, so that a crash
    loses nothing.
    """

    def __init__(self, table: Table, *, rules: str) -> None:
        self._table = table
        self.parked = Parked(table, rules=rules)

    async def load(self, key: MeetingKey) -> tuple[MeetingState | None, str | None]:
        """The state and its version."""
        name = table_key(str(key))
        found = await self._table.get(name, name)
        if found is None:
            return None, None
        entity, etag = found
        state = from_document(unpack(entity))
        return state, _version(state, etag)

    async def save(self, key: MeetingKey, state: MeetingState, *, version: str | None) -> str:
        """Store `state`; the plain columns beside the document are for people who look with a storage browser."""
        if state.parked:
            await self.parked.add(key)
        etag = version and version.removeprefix(_PARKED)
        # Read before the row is written: whoever parks the meeting again after that has changed it.
        goes_out = version != etag and not state.parked
        waiting = await self.parked.waiting(key) if goes_out else None
        name = table_key(str(key))
        entity: Entity = {
            "PartitionKey": name,
            # Azure does not care; the emulator looks for the row key first, and a common one is all rows.
            "RowKey": name,
            "meeting": str(key),
            "appointment": state.appointment_id,
            "parked": state.parked,
            **pack(to_document(state)),
        }
        saved = await self._table.save(entity, etag=etag)
        await self.parked.remove(waiting)
        return _version(state, saved)

    async def of_appointment(self, appointment_id: str) -> MeetingKey | None:
        """The meeting that this appointment belongs to.

        There is no index for this rare question: every row is looked at, so the caller must limit the time.
        """
        rows = await self._table.query("appointment eq @id", {"id": appointment_id}, limit=1)
        return MeetingKey.parse(rows[0]["meeting"]) if rows else None

    async def changed_since(
        self, moment: datetime, *, after: Continuation | None
    ) -> tuple[list[tuple[MeetingKey, MeetingState]], Continuation | None]:
        """Some of the meetings whose row was written at `moment` or later, in no order, and where the next begin.

        There is no index: the service looks at every row, so the caller must limit the time.
        """
        rows, following = await self._table.page(
            "PartitionKey ne @parked and Timestamp ge @moment",
            {"parked": PARTITION, "moment": moment},
            after=after,
            size=_PAGE,
            select=None,
        )
        return [(MeetingKey.parse(row["meeting"]), from_document(unpack(row))) for row in rows], following


def _version(state: MeetingState, etag: str) -> str:
    return f"{_PARKED}{etag}" if state.parked else etag


def to_document(state: MeetingState) -> dict[str, Any]:
    """`state` as plain JSON."""
    return {
        "fields": {name: [value, *stamp] for name, (value, stamp) in state.fields.items()},
        "appointment_id": state.appointment_id,
        "applied": dict(state.applied),
        "doubt": sorted(state.doubt),
        "crm_version": state.crm_version,
        "closed_as": state.closed_as,
        "parties": sorted(map(str, state.parties)),
        "parked": state.parked,
        "gone": state.gone,
        "moved_to": state.moved_to,
        "copies": sorted(state.copies),
        "spare": sorted(state.spare),
        "unsettled": state.unsettled,
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
        parties=frozenset(map(Party.parse, document["parties"])),
        parked=document["parked"],
        gone=document["gone"],
        moved_to=document["moved_to"],
        copies=frozenset(document["copies"]),
        spare=frozenset(document["spare"]),
        unsettled=document["unsettled"],
        recent=tuple(
            Recent(trace, event, at, OutcomeKind(outcome)) for trace, event, at, outcome in document["recent"]
        ),
    )

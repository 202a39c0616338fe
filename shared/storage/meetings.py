"""The table `meetings`: one row per meeting, and indexes of those that wait for other rules (`parked.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey, table_key
from shared.meeting.meeting import Aliases, Hold, Meeting, Recent
from shared.meeting.merge import Stamp, Stamped
from shared.meeting.mirror import Mirror, Refusal, TakenOver
from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import Party, parse_who, who_text
from shared.meeting.ports import Stored
from shared.storage.account import ETAG, Continuation, Entity, Table
from shared.storage.documents import pack, unpack
from shared.storage.layout import NewerLayout, upgraded, version_of
from shared.storage.parked import PARTITION, REFUSED, Parked

TABLE = "meetings"
_PAGE = 200


class MeetingTable:
    """Implements `shared.meeting.ports.Meetings` on Table Storage.

    A parked meeting stands in the index before its own row says so, and until after it says so no more, so that a crash
    loses nothing. The same for one with a column that Dynamics refused.
    """

    def __init__(self, table: Table, *, rules: str) -> None:
        self._table = table
        self.parked = Parked(table, rules=rules)
        self.refused = Parked(table, rules=rules, partition=REFUSED)
        self.waiting = (self.parked, self.refused)

    async def load(self, key: MeetingKey) -> Stored:
        """The row as it is. Raises `NewerLayout`."""
        name = table_key(str(key))
        found = await self._table.get(name, name)
        if found is None:
            return Stored(key)
        entity, etag = found
        return Stored(key, from_document(unpack(entity)), etag)

    async def save(self, stored: Stored, meeting: Meeting) -> Stored:
        """Store `meeting`; the plain columns beside the document are for people who look with a storage browser."""
        key, parked = stored.key, meeting.held.reason if meeting.held is not None else ""
        before = stored.meeting or Meeting()
        waits = [
            (self.parked, before.held is not None, bool(parked)),
            (self.refused, bool(before.mirror.refused), bool(meeting.mirror.refused)),
        ]
        for index, _, now in waits:
            if now:
                await index.add(key)
        # Read before the row is written: whoever makes the meeting wait again after that has changed it.
        over = [(index, await index.waiting(key)) for index, was, now in waits if was and not now]
        name = table_key(str(key))
        entity: Entity = {
            "PartitionKey": name,
            # Azure does not care; the emulator looks for the row key first, and a common one is all rows.
            "RowKey": name,
            "meeting": str(key),
            "appointment": meeting.mirror.appointment_id,
            "parked": parked,
            **pack(to_document(meeting)),
        }
        etag = await self._table.save(entity, etag=stored.version)
        for index, row in over:
            await index.remove(row)
        return Stored(key, meeting, etag)

    async def of_appointment(self, appointment_id: str) -> MeetingKey | None:
        """The meeting that this appointment belongs to.

        There is no index for this rare question: every row is looked at, so the caller must limit the time.
        """
        rows = await self._table.query("appointment eq @id", {"id": appointment_id}, limit=1)
        return MeetingKey.parse(rows[0]["meeting"]) if rows else None

    async def page(self, *, after: Continuation | None) -> tuple[list[Stored], Continuation | None]:
        """Some of the meetings, in no order, and where the next begin; without those of a newer version of the app."""
        rows, following = await self._table.page(
            "PartitionKey ne @parked and PartitionKey ne @refused",
            {"parked": PARTITION, "refused": REFUSED},
            after=after,
            size=_PAGE,
            select=None,
        )
        found = []
        for row in rows:
            with suppress(NewerLayout):
                found.append(Stored(MeetingKey.parse(row["meeting"]), from_document(unpack(row)), row[ETAG]))
        return found, following

    async def changed_since(
        self, moment: datetime, *, after: Continuation | None
    ) -> tuple[list[tuple[MeetingKey, Meeting]], Continuation | None]:
        """Some of the meetings whose row was written at `moment` or later, in no order, and where the next begin.

        There is no index: the service looks at every row, so the caller must limit the time.
        """
        rows, following = await self._table.page(
            "PartitionKey ne @parked and PartitionKey ne @refused and Timestamp ge @moment",
            {"parked": PARTITION, "refused": REFUSED, "moment": moment},
            after=after,
            size=_PAGE,
            select=None,
        )
        return [(MeetingKey.parse(row["meeting"]), from_document(unpack(row))) for row in rows], following


def to_document(meeting: Meeting) -> dict[str, Any]:
    """`meeting` as plain JSON."""
    mirror, aliases = meeting.mirror, meeting.aliases
    return {
        "version": version_of(_UPGRADES),
        "fields": {name: [value, *stamp] for name, (value, stamp) in meeting.facts.items()},
        "appointment_id": mirror.appointment_id,
        "applied": dict(mirror.applied),
        "doubt": sorted(mirror.doubt),
        "refused": {name: [one.value, one.code, one.reason, one.mapping] for name, one in mirror.refused.items()},
        "crm_version": mirror.version,
        "closed_as": mirror.give_back,
        "open_as": mirror.open_as,
        "parties": sorted(map(str, mirror.parties)),
        "made_of": dict(mirror.made_of),
        "invited": {f"{of.type}:{of.id}": who_text(who) for of, who in mirror.invited.items()},
        "parked": meeting.held.reason if meeting.held is not None else "",
        "gone": mirror.deleted,
        "moved_to": str(aliases.meeting or ""),
        "copies": sorted(map(str, aliases.known)),
        "spare": sorted(mirror.surplus),
        "taken_over": [own.made_by, own.made_on, own.tracked] if (own := mirror.taken_over) else None,
        "filling": dict(mirror.filling),
        "unsettled": meeting.unsettled,
        "recent": [[r.correlation_id, r.event, r.received_at, r.outcome] for r in meeting.recent],
    }


def from_document(document: Mapping[str, Any]) -> Meeting:
    """The meeting in a document that this or an older version of the app stored. Raises `NewerLayout`."""
    document = upgraded(document, _UPGRADES)
    mirror = Mirror(
        appointment_id=document["appointment_id"],
        version=document["crm_version"],
        applied=document["applied"],
        doubt=frozenset(document["doubt"]),
        refused={name: Refusal(*one) for name, one in document["refused"].items()},
        give_back=tuple(document["closed_as"]) if document["closed_as"] else None,
        open_as=tuple(document["open_as"]) if document["open_as"] else None,
        parties=frozenset(map(Party.parse, document["parties"])),
        made_of=document["made_of"],
        invited={Reference(*of.split(":", 1)): parse_who(who) for of, who in document["invited"].items()},
        deleted=document["gone"],
        surplus=frozenset(document["spare"]),
        taken_over=TakenOver(*document["taken_over"]) if document["taken_over"] else None,
        filling=document["filling"],
    )
    points_to = MeetingKey.parse(document["moved_to"]) if document["moved_to"] else None
    return Meeting(
        facts={
            name: Stamped(value, Stamp(changed, delivered))
            for name, (value, changed, delivered) in document["fields"].items()
        },
        mirror=mirror,
        aliases=Aliases(points_to, frozenset(map(MeetingKey.parse, document["copies"]))),
        held=Hold(document["parked"]) if document["parked"] else None,
        unsettled=document["unsettled"],
        recent=tuple(
            Recent(trace, event, at, OutcomeKind(outcome)) for trace, event, at, outcome in document["recent"]
        ),
    )


def _from_1(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Several versions of the app wrote this layout without a number; each knew a few members more."""
    absent: dict[str, Any] = {
        **dict.fromkeys(("appointment_id", "parked", "moved_to"), ""),
        **dict.fromkeys(("doubt", "parties", "copies", "spare", "recent"), ()),
        **dict.fromkeys(("crm_version", "closed_as")),
        **dict.fromkeys(("gone", "unsettled"), False),
        "fields": {},
        "applied": {},
    }
    return {**absent, **document, "version": 2}


def _from_2(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Who was looked up, and as what an open appointment stood, was not remembered."""
    return {"open_as": None, "made_of": {}, "invited": {}, **document, "version": 3}


def _from_3(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Dynamics refused was not remembered."""
    return {"refused": {}, **document, "version": 4}


def _from_4(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every appointment was one that we made."""
    return {"taken_over": None, "filling": {}, **document, "version": 5}


_UPGRADES = (_from_1, _from_2, _from_3, _from_4)

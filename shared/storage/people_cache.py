"""Who Outreach's people are in Dynamics, remembered for all instances (table `directory`)."""

from __future__ import annotations

import json
from datetime import timedelta

from shared.meeting.delivery import Reference
from shared.meeting.identity import table_key
from shared.meeting.people import CrmRecord, Person
from shared.storage.account import Entity, Table
from shared.timestamps import Clock, parse_time, sortable

TABLE = "directory"
_ROW = "person"


class PeopleCache:
    """One row per Outreach record, each in a partition of its own."""

    def __init__(self, table: Table, *, now: Clock) -> None:
        self._table = table
        self._now = now

    async def get(self, reference: Reference) -> tuple[Person, float] | None:
        """The person and for how many more seconds that holds; None where nobody knows (any more)."""
        found = await self._table.get(_key(reference), _ROW)
        if found is None:
            return None
        left = (parse_time(found[0]["until"]) - self._now()).total_seconds()
        return (_person(found[0]), left) if left > 0 else None

    async def last_known(self, reference: Reference) -> Person | None:
        """Who it was when somebody last knew, however long ago; None where nobody ever did."""
        found = await self._table.get(_key(reference), _ROW)
        return None if found is None else _person(found[0])

    async def put(self, reference: Reference, person: Person, *, seconds: float) -> None:
        """Remember for `seconds`, over whatever is there."""
        await self._table.put(
            {
                "PartitionKey": _key(reference),
                "RowKey": _ROW,
                "until": sortable(self._now() + timedelta(seconds=seconds)),
                "records": json.dumps([[record.table, record.id] for record in person.records]),
                "email": person.email or "",
                "note": person.note,
            }
        )

    async def forget(self, reference: Reference) -> None:
        """Nothing is remembered of it any more."""
        await self._table.delete(_key(reference), _ROW)


def _person(entity: Entity) -> Person:
    records = tuple(CrmRecord(table, record_id) for table, record_id in json.loads(entity["records"]))
    return Person(records, entity["email"] or None, str(entity["note"]))


def _key(reference: Reference) -> str:
    return table_key(f"{reference.type}:{reference.id}")

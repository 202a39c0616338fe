"""Who Outreach's people and opportunities are in Dynamics, remembered for a while.

In this order: what Outreach says it is connected to, a custom id that is a GUID, then the e-mail address in Dynamics.
An answer is kept for an hour, "nobody" for a minute only, because somebody who books for the first time gets a CRM
record soon after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from shared.adapters.dataverse import Dataverse
from shared.adapters.outreach import Outreach
from shared.core.appointment import is_address
from shared.core.connections import addresses, custom_id, data_connections
from shared.core.delivery import Reference
from shared.core.errors import Transient
from shared.core.meeting import CrmRecord, Person
from shared.core.odata import ENTITY_SETS, quoted
from shared.work import current

FOUND_SECONDS = 3600.0
NOBODY_SECONDS = 60.0
MAX_REMEMBERED = 20_000

# Which tables an Outreach record can be in, with the key and the e-mail columns of each.
_TABLES: Mapping[str, tuple[str, ...]] = {
    "prospect": ("contact", "lead"),
    "user": ("systemuser",),
    "opportunity": ("opportunity",),
}
_EMAIL_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "contact": ("emailaddress1", "emailaddress2", "emailaddress3"),
    "lead": ("emailaddress1", "emailaddress2", "emailaddress3"),
    "systemuser": ("internalemailaddress", "domainname"),
}
_ACTIVE: Mapping[str, str] = {
    "contact": "statecode eq 0",
    "lead": "statecode eq 0",
    "systemuser": "isdisabled eq false",
}


@dataclass(frozen=True, slots=True)
class _Remembered:
    person: Person
    until: float


class CrmDirectory:
    """Implements `shared.core.ports.Directory`. `clock` is a monotonic clock in seconds."""

    def __init__(self, outreach: Outreach, dataverse: Dataverse, *, clock: Callable[[], float]) -> None:
        self._outreach = outreach
        self._dataverse = dataverse
        self._clock = clock
        self._known: dict[Reference, _Remembered] = {}
        self._asking: dict[Reference, asyncio.Future[Person]] = {}

    async def resolve(self, wanted: Collection[Reference], *, distrust: bool = False) -> dict[Reference, Person]:
        """A `Person` for everybody in `wanted`. `distrust`: check that the records found still exist."""
        now = self._clock()
        people = {
            reference: known.person
            for reference in wanted
            if not distrust and (known := self._known.get(reference)) is not None and known.until > now
        }
        current().cache_hits += len(people)
        missing = sorted(set(wanted) - people.keys())
        found = await asyncio.gather(*(self._ask(reference, distrust=distrust) for reference in missing))
        return people | dict(zip(missing, found, strict=True))

    async def _ask(self, reference: Reference, *, distrust: bool) -> Person:
        """Ask once however many events wait for the same person."""
        if not distrust and (asking := self._asking.get(reference)) is not None:
            return await asyncio.shield(asking)
        future: asyncio.Future[Person] = asyncio.get_running_loop().create_future()
        self._asking[reference] = future
        try:
            person = await (self._find_existing(reference) if distrust else self._find(reference))
        except BaseException as error:
            dropped = Transient("The look-up was interrupted; it will be made again.", service="directory")
            future.set_exception(error if isinstance(error, Exception) else dropped)
            future.exception()  # nobody may be waiting
            raise
        finally:
            if self._asking.get(reference) is future:
                del self._asking[reference]
        future.set_result(person)
        self._remember(reference, person)
        return person

    def _remember(self, reference: Reference, person: Person) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        seconds = FOUND_SECONDS if person.records else NOBODY_SECONDS
        self._known[reference] = _Remembered(person, self._clock() + seconds)

    async def _find(self, reference: Reference) -> Person:
        person, custom = await self._from_outreach(reference)
        if person.records:
            return person
        if custom:
            for table in _TABLES[reference.type]:
                if await self._dataverse.exists(ENTITY_SETS[table], custom, key=f"{table}id"):
                    return replace(person, records=(CrmRecord(table, custom),))
        return await self._by_address(reference, person)

    async def _find_existing(self, reference: Reference) -> Person:
        """As `_find`, but a record counts only if Dynamics still has it: contacts are merged, leads qualified."""
        person, custom = await self._from_outreach(reference)
        claimed = [*person.records, *(CrmRecord(table, custom) for table in _TABLES[reference.type] if custom)]
        records = [
            record
            for record in dict.fromkeys(claimed)
            if await self._dataverse.exists(ENTITY_SETS[record.table], record.id, key=f"{record.table}id")
        ]
        if records:
            return replace(person, records=tuple(records))
        return await self._by_address(reference, replace(person, records=()))

    async def _from_outreach(self, reference: Reference) -> tuple[Person, str | None]:
        """What Outreach knows of them: connections that make sense for the kind, address, custom id."""
        record = await self._outreach.get(reference.type, reference.id)
        if record is None:
            return Person(note="Outreach does not know this record (any more)."), None
        attributes = record["attributes"]
        fitting = tuple(found for found in data_connections(record["meta"]) if found.table in _TABLES[reference.type])
        emails = [text for text in addresses(reference.type, attributes) if is_address(text)]
        return Person(fitting, emails[0] if emails else None), custom_id(reference.type, attributes)

    async def _by_address(self, reference: Reference, person: Person) -> Person:
        if not person.email:
            return person
        for table in _TABLES[reference.type]:
            columns = _EMAIL_COLUMNS.get(table, ())
            if not columns:
                continue
            same = " or ".join(f"{column} eq {quoted(person.email)}" for column in columns)
            rows = await self._dataverse.find(
                ENTITY_SETS[table], filter_=f"({same}) and {_ACTIVE[table]}", select=f"{table}id", top=2
            )
            if rows:
                note = f"Several {table}s share the address; the oldest was taken." if len(rows) > 1 else ""
                return replace(person, records=(CrmRecord(table, str(rows[0][f"{table}id"]).lower()),), note=note)
        return person

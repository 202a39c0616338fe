"""Who Outreach's people and opportunities are in Dynamics, and which row a text names, remembered for a while.

In this order: what Outreach says it is connected to, a custom id that is a GUID, then the e-mail addresses in Dynamics,
the main one first. A contact or lead counts as what became of it: contacts are merged and leads qualified, and Dynamics
would take the old row without a word. Somebody whom Outreach has deleted stays the record that they were in Dynamics:
the meeting was with them. An address of theirs is forgotten.

Answers are kept in two levels, in memory and beneath it in a table that all instances share:

                     in memory   in the table   because
    contact, user …  1 hour      1 day          they hardly ever change, and Dynamics says so when one is gone
    only a lead      15 min      15 min         a lead becomes a contact just when its meetings are held
    nobody           1 min       1 min          who books for the first time gets a CRM record soon after

A look-up in memory costs nothing. One that memory does not know costs a table read; one that nobody knows a table read
and a table write, one Outreach call, and a Dataverse call for each contact, lead, custom id or address tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.dataverse.client import Dataverse, document, rows
from shared.dataverse.odata import quoted
from shared.errors import Transient
from shared.meeting.delivery import Reference
from shared.meeting.identity import guid
from shared.meeting.people import CrmRecord, Person, RowKey, is_address
from shared.meeting.ports import Refused, TargetMissing
from shared.meeting.wire import ENTITY_SETS
from shared.outreach.client import Outreach
from shared.outreach.connections import addresses, custom_id, data_connections
from shared.storage.people_cache import PeopleCache
from shared.work import current

MEMORY_SECONDS = 3600.0
FOUND_SECONDS = 24 * 3600.0
LEAD_SECONDS = 900.0
NOBODY_SECONDS = 60.0
MAX_REMEMBERED = 20_000
# So many people of one event are looked up at the same time: half of a service's connections (`http.py`), so that an
# event with thousands of attendees neither keeps the other events waiting nor itself until that counts as an outage.
AT_ONCE = 16
# More addresses than this of one prospect are not asked for: the filter has a column of each table for every one.
MAX_ADDRESSES = 5

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
# What says, beside the key, what became of a row.
_FATE: Mapping[str, str] = {
    "contact": "statecode,_masterid_value",
    "lead": "statecode,_parentcontactid_value",
    "systemuser": "isdisabled",
}
_ACTIVE_STATE, _QUALIFIED = 0, 1
# Contacts merged one into the next are followed so far.
_MAX_MERGES = 5


@dataclass(frozen=True, slots=True)
class _Remembered:
    person: Person
    until: float


@dataclass(frozen=True, slots=True)
class _InOutreach:
    """What Outreach says of a record: the person so far, a custom id that is a GUID, all addresses that can be one."""

    person: Person
    custom: str | None = None
    addresses: tuple[str, ...] = ()


class CrmDirectory:
    """Implements `shared.meeting.ports.Directory`. `clock` is a monotonic clock in seconds.

    Without `shared` it remembers in memory only.
    """

    def __init__(
        self,
        outreach: Outreach,
        dataverse: Dataverse,
        *,
        clock: Callable[[], float],
        shared: PeopleCache | None = None,
    ) -> None:
        self._outreach = outreach
        self._dataverse = dataverse
        self._clock = clock
        self._shared = shared
        self._known: dict[Reference, _Remembered] = {}
        self._asking: dict[Reference, asyncio.Future[Person]] = {}

    async def resolve(self, wanted: Collection[Reference], *, refresh: bool = False) -> dict[Reference, Person]:
        """A `Person` for everybody in `wanted`. `refresh`: check that the records found still exist."""
        now = self._clock()
        people = {
            reference: known.person
            for reference in wanted
            if not refresh and (known := self._known.get(reference)) is not None and known.until > now
        }
        current().cache_hits += len(people)
        missing = sorted(set(wanted) - people.keys())
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            found = await asyncio.gather(*(self._ask(reference, refresh=refresh) for reference in some))
            people |= dict(zip(some, found, strict=True))
        return people

    async def _ask(self, reference: Reference, *, refresh: bool) -> Person:
        """Ask once however many events wait for the same person."""
        if not refresh and (asking := self._asking.get(reference)) is not None:
            return await asyncio.shield(asking)
        future: asyncio.Future[Person] = asyncio.get_running_loop().create_future()
        self._asking[reference] = future
        try:
            person, seconds = await (self._learn(reference, check=True) if refresh else self._recall(reference))
        except BaseException as error:
            dropped = Transient("The look-up was interrupted; it will be made again.", service="directory")
            future.set_exception(error if isinstance(error, Exception) else dropped)
            future.exception()  # nobody may be waiting
            raise
        finally:
            if self._asking.get(reference) is future:
                del self._asking[reference]
        future.set_result(person)
        self._remember(reference, person, seconds)
        return person

    def _remember(self, reference: Reference, person: Person, seconds: float) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[reference] = _Remembered(person, self._clock() + min(seconds, MEMORY_SECONDS))

    async def _recall(self, reference: Reference) -> tuple[Person, float]:
        """From the table if any instance knows, else by asking."""
        if self._shared is not None and (found := await self._shared.get(reference)) is not None:
            current().cache_hits += 1
            return found
        return await self._learn(reference, check=False)

    async def _learn(self, reference: Reference, *, check: bool) -> tuple[Person, float]:
        """Ask Outreach and Dynamics. `check`: whatever Outreach claims counts only if Dynamics still has it."""
        person = await self._find(reference, check=check)
        seconds = _seconds(person)
        if self._shared is None:
            return person, seconds
        if person.gone and not person.records:
            await self._shared.forget(reference)
        else:
            await self._shared.put(reference, person, seconds=seconds)
        return person, seconds

    async def _find(self, reference: Reference, *, check: bool) -> Person:
        if (key := RowKey.of(reference)) is not None:
            return await self._by_key(key)
        found = await self._from_outreach(reference)
        if found is None:
            return await self._as_it_was(reference)
        claimed = found.person.records
        if check or reference.type == "prospect":
            claimed = await self._existing(claimed)
        if not claimed and found.custom:
            # A custom id does not say in which table it is, nor whether it is of this CRM at all.
            claimed = await self._existing([CrmRecord(table, found.custom) for table in _TABLES[reference.type]])
        if claimed:
            return replace(found.person, records=claimed)
        return await self._by_address(reference, replace(found.person, records=()), found.addresses)

    async def _by_key(self, key: RowKey) -> Person:
        """The one row that has the text in its column. Where Dynamics refuses to look, nobody is found."""
        params = {"$filter": f"{key.by} eq {quoted(key.text)}", "$select": key.by, "$top": "2"}
        try:
            found = rows(await self._dataverse.request("GET", f"/{key.table}", params=params))
        except (Refused, TargetMissing) as error:
            return Person(note=f"Dynamics refuses to look in {key.table} by {key.by} ({error.code or '404'})")
        if len(found) > 1:
            return Person(note=f"several rows of {key.table} have that text in {key.by}")
        # Beside what is selected, Dataverse answers with the row's own id.
        ids = [one for row in found for name, value in row.items() if name != key.by and (one := guid(value))]
        return Person(tuple(CrmRecord(key.table, one) for one in ids))

    async def _as_it_was(self, reference: Reference) -> Person:
        """Who somebody was in Dynamics whom Outreach has deleted; nobody is invited by an address of theirs."""
        known = await self._shared.last_known(reference) if self._shared is not None else None
        if known is None or not known.records:
            return Person(note="Outreach does not know this record (any more).", gone=True)
        records = await self._existing(known.records)
        return Person(
            records, note="Outreach has deleted this record; who it was in Dynamics is remembered.", gone=True
        )

    async def _existing(self, records: Collection[CrmRecord]) -> tuple[CrmRecord, ...]:
        """What became of `records`: those that exist, and what a merged contact or a qualified lead was turned into."""
        found: dict[CrmRecord, None] = {}
        for record in dict.fromkeys(records):
            found |= dict.fromkeys(await self._survivors(record))
        return tuple(found)

    async def _survivors(self, record: CrmRecord, merges: int = 0) -> tuple[CrmRecord, ...]:
        select = ",".join(filter(None, (f"{record.table}id", _FATE.get(record.table))))
        path = f"/{ENTITY_SETS[record.table]}({record.id})"
        try:
            row = document(await self._dataverse.request("GET", path, params={"$select": select}))
        except TargetMissing:
            return ()
        state = row.get("statecode")
        if record.table == "contact" and state != _ACTIVE_STATE and (master := guid(row.get("_masterid_value"))):
            return await self._survivors(CrmRecord("contact", master), merges + 1) if merges < _MAX_MERGES else ()
        if record.table == "lead" and state == _QUALIFIED:
            return (*await self._made_of(record, row), record)
        return () if row.get("isdisabled") else (record,)

    async def _made_of(self, lead: CrmRecord, row: Mapping[str, Any]) -> tuple[CrmRecord, ...]:
        """The contact that a lead was qualified into: one made of it, else the one that it was connected to."""
        made = await self._dataverse.find(
            "contacts",
            filter_=f"_originatingleadid_value eq {lead.id} and {_ACTIVE['contact']}",
            select="contactid",
            top=1,
        )
        found = guid(made[0]["contactid"] if made else row.get("_parentcontactid_value"))
        return (CrmRecord("contact", found),) if found else ()

    async def _from_outreach(self, reference: Reference) -> _InOutreach | None:
        """Connections that make sense for the kind, addresses, custom id; None where there is no such record."""
        record = await self._outreach.get(reference.type, reference.id)
        if record is None:
            return None
        attributes = record["attributes"]
        fitting = tuple(found for found in data_connections(record["meta"]) if found.table in _TABLES[reference.type])
        emails = tuple(text for text in addresses(reference.type, attributes) if is_address(text))
        person = Person(fitting, emails[0] if emails else None)
        return _InOutreach(person, custom_id(reference.type, attributes), emails[:MAX_ADDRESSES])

    async def _by_address(self, reference: Reference, person: Person, emails: tuple[str, ...]) -> Person:
        """The oldest active row with the main address, else with the next one, and so on."""
        for table in _TABLES[reference.type] if emails else ():
            columns = _EMAIL_COLUMNS.get(table, ())
            if not columns:
                continue
            same = " or ".join(f"{column} eq {quoted(email)}" for email in emails for column in columns)
            same_address = await self._dataverse.find(
                ENTITY_SETS[table],
                filter_=f"({same}) and {_ACTIVE[table]}",
                select=",".join([f"{table}id", *columns]),
                top=20,
            )
            ranked = [[row for row in same_address if email in _addresses_of(row, columns)] for email in emails]
            if best := next((found for found in ranked if found), None):
                note = f"Several {table}s share the address; the oldest was taken." if len(best) > 1 else ""
                return replace(person, records=(CrmRecord(table, str(best[0][f"{table}id"]).lower()),), note=note)
        return person


def _addresses_of(row: Mapping[str, Any], columns: Collection[str]) -> set[str]:
    return {str(row.get(column) or "").strip().lower() for column in columns}


def _seconds(person: Person) -> float:
    if not person.records:
        return NOBODY_SECONDS
    if all(record.table == "lead" for record in person.records):
        return LEAD_SECONDS
    return FOUND_SECONDS

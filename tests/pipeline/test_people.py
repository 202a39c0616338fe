"""Who somebody is in Dynamics: two levels of memory, every address, and what became of leads and contacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sandbox.dataverse import people
from sandbox.dataverse.schema import CONTACT
from sandbox.dataverse.seed import (
    CONTACT_EMAILS,
    CONTACT_IDS,
    DISABLED_USER_ID,
    LEAD_EMAILS,
    LEAD_IDS,
    OPPORTUNITY_IDS,
    USER_IDS,
)
from sandbox.outreach.deliveries import MeetingScript, Target
from sandbox.outreach.records import Record
from sandbox.outreach.seed import FORMER_USER, NEWCOMER, UNKNOWN_OPPORTUNITY, UNKNOWN_USER, connection
from shared.meeting.delivery import Reference
from shared.meeting.people import CrmRecord, Person
from shared.pipeline.people import AT_ONCE, CrmDirectory
from shared.storage.account import Table
from shared.storage.people_cache import PeopleCache
from shared.work import Work, begin
from tests.clock import Clock
from tests.product.bench import Installation

Tables = Callable[[str], Table]


class Processes:
    """Directories as several processes have them: a memory each, one table, the same two services."""

    def __init__(self, product: Installation, table: Table, clock: Clock) -> None:
        self.product = product
        self.clock = clock
        self._table = table

    def start(self) -> CrmDirectory:
        """A new process."""
        runtime = self.product.runtime
        cache = PeopleCache(self._table, now=self.clock.now)
        return CrmDirectory(runtime.outreach, runtime.dataverse, clock=self.clock.seconds, shared=cache)


@pytest.fixture
def processes(product: Installation, tables: Tables, clock: Clock) -> Processes:
    return Processes(product, tables("directory"), clock)


async def ask(directory: CrmDirectory, kind: str, number: int, *, refresh: bool = False) -> tuple[Person, Work]:
    """The person, and what asking has cost."""
    work = begin(Work())
    reference = Reference(kind, str(number))
    found = await directory.resolve([reference], refresh=refresh)
    return found[reference], work


def records(*pairs: tuple[str, str]) -> tuple[CrmRecord, ...]:
    return tuple(CrmRecord(table, record) for table, record in pairs)


def add_prospect(product: Installation, number: int, *, emails: list[str], connections: object = None) -> None:
    attributes = {"emails": emails, "externalId": None}
    product.outreach.put(Record("prospect", number, attributes, {}, connections))


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [
        ("prospect", 101, records(("contact", CONTACT_IDS[0]))),
        ("prospect", 102, records(("contact", CONTACT_IDS[1]))),
        ("prospect", 103, records(("contact", CONTACT_IDS[2]))),
        ("prospect", 104, records(("lead", LEAD_IDS[0]))),
        ("prospect", 105, records(("lead", LEAD_IDS[1]), ("contact", CONTACT_IDS[3]))),
        ("prospect", 106, records(("contact", CONTACT_IDS[4]))),
        ("prospect", 107, records(("contact", CONTACT_IDS[5]))),
        ("prospect", NEWCOMER, ()),
        ("prospect", 109, records(("lead", LEAD_IDS[2]))),
        ("prospect", 110, records(("lead", LEAD_IDS[3]))),
        ("prospect", 999, ()),
        ("user", 1, records(("systemuser", USER_IDS[0]))),
        ("user", 2, records(("systemuser", USER_IDS[1]))),
        ("user", UNKNOWN_USER, ()),
        ("user", FORMER_USER, ()),
        ("opportunity", 301, records(("opportunity", OPPORTUNITY_IDS[0]))),
        ("opportunity", 302, records(("opportunity", OPPORTUNITY_IDS[1]))),
        ("opportunity", UNKNOWN_OPPORTUNITY, ()),
    ],
)
async def test_everybody_is_found(
    processes: Processes, kind: str, number: int, expected: tuple[CrmRecord, ...]
) -> None:
    """By connection in every form, by custom id, by address; trusted, refreshed, and from the table the same."""
    found, _ = await ask(processes.start(), kind, number)
    assert found.records == expected
    assert (await ask(processes.start(), kind, number))[0] == found
    assert (await ask(processes.start(), kind, number, refresh=True))[0].records == expected


async def test_what_a_look_up_costs(processes: Processes) -> None:
    """Cold: two table operations, one call of each service; from the table one operation; from memory nothing."""
    first, second = processes.start(), processes.start()
    cold, shared, warm = [(await ask(one, "prospect", 101))[1] for one in (first, second, first)]
    assert cold.calls == {"storage": 2, "outreach": 1, "dataverse": 1}
    assert shared.calls == {"storage": 1}
    assert warm.calls == {}
    assert [work.cache_hits for work in (cold, shared, warm)] == [0, 1, 1]


async def test_many_ask_once(processes: Processes) -> None:
    """A burst of events with the same person makes one call."""
    directory = processes.start()
    work = begin(Work())
    wanted = [Reference("prospect", "101")]
    found = await asyncio.gather(*(directory.resolve(wanted) for _ in range(10)))
    assert all(people == found[0] for people in found)
    assert work.calls["outreach"] == 1


async def test_an_event_with_very_many_people(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked up a few at a time, so that other events find a free connection; all are found."""
    outreach, at_once, most = processes.product.runtime.outreach, 0, 0
    get = outreach.get

    async def counted(resource: str, record_id: str) -> dict[str, Any] | None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await get(resource, record_id)
        finally:
            at_once -= 1

    monkeypatch.setattr(outreach, "get", counted)
    wanted = [Reference("prospect", str(number)) for number in range(101, 201)]
    found = await processes.start().resolve(wanted)
    assert list(found) == wanted
    assert found[wanted[0]].records == records(("contact", CONTACT_IDS[0]))
    assert 1 < most <= AT_ONCE


@pytest.mark.parametrize(
    ("number", "seconds", "calls"),
    [
        (101, 3500, {}),
        (101, 3700, {"storage": 1}),
        (101, 86_500, {"storage": 2, "outreach": 1, "dataverse": 1}),
        (104, 800, {}),
        (104, 1000, {"storage": 2, "outreach": 1, "dataverse": 1}),
        (NEWCOMER, 50, {}),
        (NEWCOMER, 70, {"storage": 2, "outreach": 1, "dataverse": 2}),
    ],
    ids=["contact, memory", "contact, table", "contact, old", "lead", "lead, old", "nobody", "nobody, old"],
)
async def test_how_long_answers_hold(processes: Processes, number: int, seconds: int, calls: dict[str, int]) -> None:
    """A contact holds an hour in memory and a day in the table, a lead 15 minutes, nobody one."""
    directory = processes.start()
    await ask(directory, "prospect", number)
    processes.clock.pass_by(seconds=seconds)
    assert (await ask(directory, "prospect", number))[1].calls == calls


async def test_a_refresh_goes_to_all(processes: Processes) -> None:
    """What refresh finds out replaces the row, so that other processes learn it too."""
    crm = processes.product.crm
    directory = processes.start()
    await ask(directory, "prospect", 101)
    people.delete(crm, {"entity_set": "contacts", "id": CONTACT_IDS[0]})
    assert (await ask(directory, "prospect", 101))[0].records
    assert not (await ask(directory, "prospect", 101, refresh=True))[0].records
    assert not (await ask(processes.start(), "prospect", 101))[0].records


async def test_every_address_is_tried(processes: Processes) -> None:
    """Somebody who is in Dynamics under a second address is found by that."""
    add_prospect(processes.product, 120, emails=["nobody@example.com", CONTACT_EMAILS[5].upper()])
    found, work = await ask(processes.start(), "prospect", 120)
    assert found.records == records(("contact", CONTACT_IDS[5]))
    assert found.email == "nobody@example.com"
    assert work.calls["dataverse"] == 1


async def test_the_main_address_decides(processes: Processes) -> None:
    """Where two addresses lead to two people, the first address is right."""
    add_prospect(processes.product, 121, emails=[CONTACT_EMAILS[5], CONTACT_EMAILS[4]])
    add_prospect(processes.product, 122, emails=[CONTACT_EMAILS[4], CONTACT_EMAILS[5]])
    found = [(await ask(processes.start(), "prospect", number))[0] for number in (121, 122)]
    assert [person.records[0].id for person in found] == [CONTACT_IDS[5], CONTACT_IDS[4]]
    assert not any(person.note for person in found)


async def test_addresses_that_are_none(processes: Processes) -> None:
    """Text that cannot be an address is not asked for, and a quote in one stays inside its literal."""
    add_prospect(processes.product, 123, emails=["not an address", "o'neil@example.com", "' or 1 eq 1 or '@x"])
    found, work = await ask(processes.start(), "prospect", 123)
    assert not found.records
    assert found.email == "o'neil@example.com"
    assert work.calls["dataverse"] == 2


@pytest.mark.parametrize("keep_lead", [True, False])
async def test_qualified_lead(processes: Processes, *, keep_lead: bool) -> None:
    """A lead that was qualified is the contact that was made of it, whether the lead is still there or not."""
    made = people.qualify(processes.product.crm, {"lead": LEAD_IDS[0], "keep_lead": keep_lead})
    found, _ = await ask(processes.start(), "prospect", 104)
    contact = found.record("contact")
    assert contact is not None
    assert contact.id == made["contact"]


async def test_disqualified_lead(processes: Processes) -> None:
    """A lead that came to nothing is still who was met."""
    lead = processes.product.crm.rows["lead"][LEAD_IDS[0]]
    processes.product.crm.touch(lead, statecode=2, statuscode=4)
    assert (await ask(processes.start(), "prospect", 104))[0].records == records(("lead", LEAD_IDS[0]))


async def test_lead_qualified_into_a_contact_that_was_there(processes: Processes) -> None:
    """Where no contact was made of a lead, the contact that it was connected to is meant."""
    lead = processes.product.crm.rows["lead"][LEAD_IDS[0]]
    processes.product.crm.touch(lead, statecode=1, statuscode=3, _parentcontactid_value=CONTACT_IDS[2])
    found, _ = await ask(processes.start(), "prospect", 104)
    assert found.records == records(("contact", CONTACT_IDS[2]), ("lead", LEAD_IDS[0]))


async def test_merged_contact(processes: Processes) -> None:
    """A contact that was merged into another, and that into a third, is the third, whatever Outreach says."""
    for number in (0, 1):
        people.merge(processes.product.crm, {"from": CONTACT_IDS[number], "into": CONTACT_IDS[number + 1]})
    assert (await ask(processes.start(), "prospect", 101))[0].records == records(("contact", CONTACT_IDS[2]))


async def test_merge_that_was_taken_back(processes: Processes) -> None:
    """A contact that was activated again after a merge is itself, though its row still names the other one."""
    crm = processes.product.crm
    people.merge(crm, {"from": CONTACT_IDS[0], "into": CONTACT_IDS[1]})
    crm.touch(crm.rows["contact"][CONTACT_IDS[0]], statecode=0, statuscode=1)
    assert (await ask(processes.start(), "prospect", 101))[0].records == records(("contact", CONTACT_IDS[0]))


async def test_contacts_merged_in_a_circle(processes: Processes) -> None:
    """Rows that name each other do not keep us busy for ever."""
    crm = processes.product.crm
    for one, other in ((0, 1), (1, 0)):
        people.merge(crm, {"from": CONTACT_IDS[one], "into": CONTACT_IDS[other]})
    assert not (await ask(processes.start(), "prospect", 101))[0].records


async def test_address_that_only_looks_the_same(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dynamics compares without accents; a row with another address is another person."""

    async def find(*_: object, **__: object) -> list[dict[str, Any]]:
        return [{"contactid": CONTACT_IDS[0], "leadid": LEAD_IDS[0], "emailaddress1": "jose@example.com"}]

    add_prospect(processes.product, 125, emails=["josé@example.com"])
    monkeypatch.setattr(processes.product.runtime.dataverse, "find", find)
    assert not (await ask(processes.start(), "prospect", 125))[0].records


async def test_connections_of_other_kinds(processes: Processes) -> None:
    """A prospect that is connected to an account only is looked up by address."""
    add_prospect(processes.product, 124, emails=[LEAD_EMAILS[2]], connections=[connection("Account", CONTACT_IDS[0])])
    assert (await ask(processes.start(), "prospect", 124))[0].records == records(("lead", LEAD_IDS[2]))


async def test_lead_qualified_between_two_events(product: Installation) -> None:
    """The meeting of a lead that was qualified since its last event ends with the contact as attendee."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[104]))
    assert (5, LEAD_IDS[0]) in product.parties()
    made = people.qualify(product.crm, {"lead": LEAD_IDS[0]})
    await restart_later(product, hours=1)
    entry = await product.sync(script.changed(title="Second talk"))
    assert entry["outcome"] == "updated"
    assert {party for party in product.parties() if party[0] == 5} == {(5, made["contact"])}
    assert product.appointment.values["_regardingobjectid_value"] == made["contact"]


async def test_contact_replaced_between_two_events(product: Installation) -> None:
    """When Dynamics says that an attendee is gone, everybody is looked up again: here a new contact has the address."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[107], opportunity=301))
    people.delete(product.crm, {"entity_set": "contacts", "id": CONTACT_IDS[5]})
    new = people.add(product.crm, CONTACT, {"emailaddress1": CONTACT_EMAILS[5]})
    both = (Target("prospect", 107), Target("prospect", 101))
    entry = await product.sync(script.changed(relationships={"prospects": both}))
    assert entry["outcome"] == "updated"
    assert {party for party in product.parties() if party[0] == 5} == {(5, new.id), (5, CONTACT_IDS[0])}


async def test_prospect_deleted_between_two_events(product: Installation) -> None:
    """A meeting stays with whom it was: the contact of a prospect that Outreach deleted remains the attendee."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[101]))
    del product.outreach.records["prospect"][101]
    await restart_later(product, days=80)
    assert not (await product.runtime.sweep.run()).failed
    entry = await product.sync(script.changed(title="Second talk"))
    assert entry["columns"] == ["subject"]
    assert (5, CONTACT_IDS[0]) in product.parties()
    assert product.appointment.values["_regardingobjectid_value"] == CONTACT_IDS[0]


async def test_deleted_prospect_in_the_preview(product: Installation) -> None:
    """What the preview says of such a meeting is what happens."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[101]))
    del product.outreach.records["prospect"][101]
    await restart_later(product, days=2)
    preview = await product.runtime.dry_runner.run(script.changed(title="Second talk").document)
    told = next(found for found in preview.people if found.reference.id == "101")
    assert "deleted" in told.how
    assert [column.column for column in preview.columns if column.action == "write"] == ["subject"]


@pytest.mark.parametrize("number", [101, 107])
async def test_deleted_everywhere(processes: Processes, number: int) -> None:
    """Somebody who is neither in Outreach nor in Dynamics any more is not invited by an address that we remember."""
    product = processes.product
    found, _ = await ask(processes.start(), "prospect", number)
    people.delete(product.crm, {"entity_set": "contacts", "id": found.records[0].id})
    del product.outreach.records["prospect"][number]
    assert (await ask(processes.start(), "prospect", number, refresh=True))[0].records == ()
    assert (await ask(processes.start(), "prospect", number, refresh=True))[0].email is None


async def test_nobody_ever_knew(processes: Processes) -> None:
    """Of somebody whom Outreach never gave, nothing is said to be remembered, however often it is asked."""
    for _ in range(2):
        found, _ = await ask(processes.start(), "prospect", 999, refresh=True)
        assert found.note == "Outreach does not know this record (any more)."


async def test_owner_who_left(product: Installation) -> None:
    """Dynamics gives no appointment to a disabled user, whoever Outreach is connected to: it is made without."""
    product.outreach.records["user"][FORMER_USER].data_connections = [connection("SystemUser", DISABLED_USER_ID)]
    entry = await product.sync(MeetingScript(1).booked(user=FORMER_USER))
    assert entry["outcome"] == "created"
    assert entry["notes"] == ["ownerid was refused by Dynamics (0x80040225): the user is disabled."]


async def test_owner_who_leaves_between_two_events(product: Installation) -> None:
    """The appointment of a user who was disabled since stays theirs."""
    script = MeetingScript(1)
    await product.sync(script.booked(user=1))
    crm = product.crm
    crm.touch(crm.rows["systemuser"][USER_IDS[0]], isdisabled=True)
    await restart_later(product, days=2)
    entry = await product.sync(script.changed(title="Second talk"))
    assert entry["columns"] == ["subject"]
    assert (7, USER_IDS[0]) in product.parties()


async def test_warm_directory_asks_nobody(product: Installation) -> None:
    """Once everybody is known, events cost no Outreach call at all."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[101, 102, 104], opportunity=301))
    before = product.outreach.log.total
    for number in range(20):
        await product.sync(script.changed(title=f"Title {number}"))
    assert product.outreach.log.total == before


async def restart_later(product: Installation, **span: float) -> None:
    """A new process, after some time."""
    await product.restart()
    product.runtime.later = timedelta(**span)

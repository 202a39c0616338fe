"""The journal on real storage: what one row can hold."""

from __future__ import annotations

from dataclasses import replace

from azure.data.tables.aio import TableServiceClient

from sandbox.azurite import StorageNames
from shared.meeting.outcome import OutcomeKind
from shared.storage.account import Table
from shared.storage.journal import MAX_NOTES, MOST_SHOWN, Entry, Journal

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
MOMENT = "2026-03-02T12:00:00.000000Z"


async def test_an_event_with_very_many_notes(azurite: str, storage_names: StorageNames) -> None:
    """A row takes an event however many attendees nobody knows, and says how many notes it left out."""
    notes = tuple(f"prospect {number} is nobody in Dynamics; invited by address." for number in range(20_000))
    async with TableServiceClient.from_connection_string(azurite) as service:
        journal = Journal(Table(service, storage_names.table("journal")))
        await journal.write(Entry(ID, "event", "meeting.created", MOMENT, OutcomeKind.CREATED, MOMENT, notes=notes))
        await journal.write(
            Entry(ID, "other", "meeting.updated", MOMENT, OutcomeKind.UPDATED, MOMENT, notes=notes[:MAX_NOTES])
        )
        told = {entry.event_id: entry.notes for entry in await journal.read(ID)}
    assert told["event"] == (*notes[:MAX_NOTES], f"and {20_000 - MAX_NOTES} more.")
    assert told["other"] == notes[:MAX_NOTES]


def entry(number: int, outcome: OutcomeKind, event_id: str = "event") -> Entry:
    """What became of a delivery that came in second `number`."""
    return Entry(ID, event_id, "meeting.created", f"{MOMENT[:17]}{number:02}.000000Z", outcome, MOMENT)


async def test_a_delivery_that_is_sent_again_leaves_what_is_written(azurite: str, storage_names: StorageNames) -> None:
    """Under the same trace and id: it stands after the first one, which keeps its own end, on every attempt."""
    async with TableServiceClient.from_connection_string(azurite) as service:
        journal = Journal(Table(service, storage_names.table("journal")))
        for outcome in (OutcomeKind.RETRYING, OutcomeKind.CREATED):
            await journal.write(entry(1, outcome))
        await journal.write(entry(2, OutcomeKind.DUPLICATE))
        assert [one.outcome for one in await journal.read(ID)] == [OutcomeKind.CREATED, OutcomeKind.DUPLICATE]
        assert [one.outcome for one in await journal.between(ID, ID)] == [OutcomeKind.CREATED]


async def test_many_events_of_one_trace_do_not_hide_the_first(azurite: str, storage_names: StorageNames) -> None:
    """Whatever their ids are: those that came first are shown, in their order."""
    async with TableServiceClient.from_connection_string(azurite) as service:
        journal = Journal(Table(service, storage_names.table("journal")))
        for number in range(MOST_SHOWN + 5):
            await journal.write(entry(number, OutcomeKind.DUPLICATE if number else OutcomeKind.CREATED, f"{-number}"))
        found = await journal.read(ID)
    assert found[0].outcome is OutcomeKind.CREATED
    assert [one.received_at for one in found] == [entry(number, OutcomeKind.LEFT).received_at for number in range(50)]


async def test_a_row_under_the_key_of_an_earlier_version(azurite: str, storage_names: StorageNames) -> None:
    """It is the same event: what ended last counts, it is dismissed where it stands, and what was carried out stays."""
    async with TableServiceClient.from_connection_string(azurite) as service:
        table = Table(service, storage_names.table("journal"))
        journal = Journal(table)
        await journal.write(entry(1, OutcomeKind.DEAD_LETTERED))
        (row,) = await table.query("PartitionKey eq @id", {"id": ID}, limit=2)
        await table.delete(row["PartitionKey"], row["RowKey"])
        await table.put({**{name: value for name, value in row.items() if name != "~etag"}, "RowKey": "event"})
        assert await journal.dismiss(entry(1, OutcomeKind.DISMISSED))
        assert [one.outcome for one in await journal.read(ID)] == [OutcomeKind.DISMISSED]
        await journal.write(replace(entry(1, OutcomeKind.CREATED), finished_at=f"{MOMENT[:17]}59.000000Z"))
        assert [one.outcome for one in await journal.read(ID)] == [OutcomeKind.CREATED]
        assert not await journal.dismiss(entry(1, OutcomeKind.DISMISSED))

"""The journal on real storage: what one row can hold."""

from __future__ import annotations

from azure.data.tables.aio import TableServiceClient

from sandbox.azurite import StorageNames
from shared.meeting.outcome import OutcomeKind
from shared.storage.account import Table
from shared.storage.journal import MAX_NOTES, Entry, Journal

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

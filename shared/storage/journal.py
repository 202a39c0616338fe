"""The journal: what became of every accepted event, by correlation id (table `correlations`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from shared.meeting.identity import table_key
from shared.meeting.outcome import OutcomeKind
from shared.storage.account import ETAG, Entity, Table
from shared.storage.layout import read

TABLE = "correlations"
LAYOUT = 1
_NOT_DONE = frozenset({OutcomeKind.RETRYING, OutcomeKind.DEAD_LETTERED, OutcomeKind.DISMISSED, OutcomeKind.EXPIRED})
_OF_AN_ATTEMPT = ("dataverse_calls", "changed_at", "delivered_at")
# A property holds 64 KiB. A meeting with hundreds of people whom Dynamics does not know has a note for each.
MAX_NOTES = 50
# Of one trace; whoever sends more hides none of the first.
MOST_SHOWN = 50
_MOST_READ = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One event's row. Ids, outcomes, column names and reasons; never a value from the meeting.

    `changed_at` and `delivered_at` are the stamp of what the event said: by it one can tell which event set a field.
    `reason` is why it failed, and `dismissed_because` why an admin dismissed it. `by` is who dismissed it or sent it
    again: the name of a key, or a person's id.
    """

    correlation_id: str
    event_id: str
    event: str
    received_at: str
    outcome: OutcomeKind
    finished_at: str
    meeting: str = ""
    appointment_id: str = ""
    attempts: int = 1
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    error_code: str = ""
    request_id: str = ""
    dataverse_calls: int = 0
    changed_at: str = ""
    delivered_at: str = ""
    next_attempt_at: str = ""
    dismissed_because: str = ""
    by: str = ""


class Journal:
    """Writes and reads the rows.

    Several events may share a trace, and whoever has a delivery may send it again under any trace: so the row key is
    when the event came, and its id. Earlier versions of the app had the id alone.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    async def write(self, entry: Entry) -> None:
        """Store `entry`, over an earlier one of the same event."""
        await self._table.put(_row(entry))

    async def dismiss(self, entry: Entry) -> bool:
        """Store `entry`, which says that an event was let go, and keep what only its last attempt knew.

        What a newer version of the app says beside stays too.

        Returns False for an event that was carried out after all: its row stays. Raises `RowConflict` where it is
        written meanwhile.
        """
        row, etag = _row(entry), None
        found = await self._table.query(
            "PartitionKey eq @id and event_id eq @event",
            {"id": entry.correlation_id, "event": entry.event_id},
            limit=_MOST_READ,
        )
        # Dead letters of an earlier version do not say when their event came.
        if known := min(found, key=lambda one: one["received_at"] != entry.received_at, default=None):
            if known["outcome"] not in _NOT_DONE:
                return False
            etag = known.pop(ETAG)
            row = known | row | {name: known[name] for name in (*_OF_AN_ATTEMPT, "RowKey") if name in known}
        await self._table.save(row, etag=etag)
        return True

    async def read(self, correlation_id: str) -> list[Entry]:
        """The first events that came under one correlation id, in the order in which they came."""
        rows = await self._table.query("PartitionKey eq @id", {"id": correlation_id}, limit=_MOST_READ)
        return sorted(_each_once(rows), key=lambda entry: entry.received_at)[:MOST_SHOWN]

    async def between(self, first: str, last: str) -> list[Entry]:
        """What is known from correlation id `first` to `last`, of at most 1,000 rows: each event as it ended first."""
        rows = await self._table.query(
            "PartitionKey ge @first and PartitionKey le @last", {"first": first, "last": last}, limit=_MOST_READ
        )
        entries = sorted(_each_once(rows), key=lambda entry: entry.received_at, reverse=True)
        return list({(entry.correlation_id, entry.event_id): entry for entry in entries}.values())


def _each_once(rows: Iterable[Entity]) -> list[Entry]:
    """Each event as it ended last: an earlier version of the app may have written of it under another key."""
    entries = sorted(map(_read, rows), key=lambda entry: entry.finished_at)
    return list({(entry.correlation_id, entry.event_id, entry.received_at): entry for entry in entries}.values())


def _row(entry: Entry) -> Entity:
    return {
        "version": LAYOUT,
        "PartitionKey": entry.correlation_id,
        "RowKey": table_key(f"{entry.received_at}:{entry.event_id}"),
        **{name: value for name, value in asdict(entry).items() if not isinstance(value, tuple)},
        "outcome": entry.outcome.value,
        "columns": json.dumps(entry.columns),
        "notes": json.dumps(_some(entry.notes)),
    }


def _some(notes: tuple[str, ...]) -> tuple[str, ...]:
    """As many notes as a row holds, and how many more there are."""
    more = len(notes) - MAX_NOTES
    return (*notes[:MAX_NOTES], f"and {more} more.") if more > 0 else notes


def _read(row: Entity) -> Entry:
    columns, notes = (tuple(json.loads(row.get(name, "[]"))) for name in ("columns", "notes"))
    return read(Entry, row, outcome=OutcomeKind(row["outcome"]), columns=columns, notes=notes)

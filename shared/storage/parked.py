"""Which meetings wait for other rules, and under which they were looked at last (in the table `meetings`).

    partition  row
    ~parked    RULES:KEY  it waits; it was looked at under these rules
    ~parked    sent:KEY   it was sent on, and nobody has said yet what came of it
    ~refused   the same   of meetings with a column that Dynamics refused

Rows of other rules lie beside those of the present ones, so they are found without reading any that has to wait: most
calendars are full of meetings without a prospect, which wait for good.
"""

from __future__ import annotations

from shared.meeting.identity import MeetingKey, table_key
from shared.storage.account import ETAG, Entity, Table

# No key of a meeting begins with ~ and ends without a digest.
PARTITION, REFUSED = "~parked", "~refused"
_SENT = "sent"


class Parked:
    """`rules` is a short text of hex digits that changes when settings or mapping do; `partition`: why they wait."""

    def __init__(self, table: Table, *, rules: str, partition: str = PARTITION) -> None:
        self._table = table
        self._rules = rules
        self._partition = partition

    async def add(self, key: MeetingKey) -> None:
        """It was looked at under the rules of this instance, and waits."""
        await self._table.put(self._row(self._rules, key))

    async def waiting(self, key: MeetingKey) -> Entity | None:
        """The row that says so, to be given to `remove`."""
        return await self._found(self._rules, key)

    async def sent(self, key: MeetingKey) -> Entity | None:
        """The row that says it was sent on, to be given to `remove`."""
        return await self._found(_SENT, key)

    async def remove(self, row: Entity | None) -> None:
        """What `row` says is so no longer; nothing happens where it was written again since it was read."""
        if row is not None:
            await self._table.delete_unchanged(row)

    async def to_send(self, *, unanswered_since: str, limit: int) -> list[Entity]:
        """Up to `limit` rows of other rules, or sent on before `unanswered_since` without a word since."""
        own, after_own = f"{self._rules}:", f"{self._rules};"  # ; follows : in the order of keys
        parameters = {
            "parked": self._partition,
            "own": own,
            "after": after_own,
            "sent": f"{_SENT}:",
            "end": f"{_SENT};",
        }
        found: list[Entity] = []
        for condition in (
            "RowKey lt @own",
            "RowKey ge @after and RowKey lt @sent",
            "RowKey ge @sent and RowKey lt @end and sent lt @since",
        ):
            if len(found) < limit:
                found += await self._table.query(
                    f"PartitionKey eq @parked and {condition}",
                    {**parameters, "since": unanswered_since},
                    limit=limit - len(found),
                )
        return found

    async def record_sent_on(self, row: Entity, *, at: str) -> None:
        """It is about to be sent on; whoever carries that out says what came of it."""
        key = meeting_of(row)
        await self._table.put({**self._row(_SENT, key), "sent": at})
        if row["RowKey"] != self._row(_SENT, key)["RowKey"]:
            await self.remove(row)

    async def count(self, *, limit: int) -> int:
        """How many meetings are parked, counted up to `limit`."""
        return await self._table.count("PartitionKey eq @parked", {"parked": self._partition}, limit=limit)

    async def keys(self, *, limit: int) -> list[MeetingKey]:
        """Up to `limit` of the parked meetings, in no order."""
        rows = await self._table.query("PartitionKey eq @parked", {"parked": self._partition}, limit=limit)
        return list(dict.fromkeys(map(meeting_of, rows)))

    async def _found(self, rules: str, key: MeetingKey) -> Entity | None:
        row = self._row(rules, key)
        found = await self._table.get(row["PartitionKey"], row["RowKey"])
        return None if found is None else {**row, ETAG: found[1]}

    def _row(self, rules: str, key: MeetingKey) -> Entity:
        return {"PartitionKey": self._partition, "RowKey": f"{rules}:{table_key(str(key))}", "meeting": str(key)}


def meeting_of(row: Entity) -> MeetingKey:
    """The meeting that a row is about."""
    return MeetingKey.parse(row["meeting"])

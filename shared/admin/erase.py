"""Forgetting one person or one meeting on request: all that mentions them here, and nothing in Dynamics.

Of a meeting its ids stay, so that a late event finds its appointment. What waits in the queue cannot be looked at: a
queue shows what is due and not what was put back for later, and to take a message out counts as an attempt at it. So it
is carried out first, and whoever asked looks again until nothing waits.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import RowConflict, Transient
from shared.meeting.aliases import canonical
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.storage import people_cache
from shared.storage.account import Continuation, Entity, Table
from shared.storage.documents import unpack_bytes
from shared.storage.meetings import MeetingTable
from shared.storage.parked import PARTITION, REFUSED
from shared.storage.room import Room

MAX_ROUNDS = 12
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom or what to look for: records of Outreach, and texts, which are addresses and ids of records in Dynamics."""

    records: frozenset[Reference] = frozenset()
    texts: frozenset[str] = frozenset()
    _pattern: re.Pattern[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """What is searched for in texts: whole words only, whatever their case."""
        named = [rf"{re.escape(one.type)}[: ]{re.escape(one.id)}" for one in self.records]
        wanted = "|".join(sorted([*named, *map(re.escape, self.texts)])) or r"(?!)"
        pattern = re.compile(rf"(?<![\w.+-])(?:{wanted})(?![\w-])(?!\.\w)", re.IGNORECASE)
        object.__setattr__(self, "_pattern", pattern)

    def is_in(self, content: object, name: str = "") -> bool:
        """Whether plain JSON, or a text, mentions it. `name`: of the member that holds `content`."""
        match content:
            case Mapping():
                target = Reference(str(content.get("type", "")), str(content.get("id", "")))
                return target in self.records or any(
                    self.is_in(key) or self.is_in(value, key) for key, value in content.items()
                )
            case list() | tuple():
                return any(self.is_in(one, name) for one in content)
            case str():
                return self._is_id(name, content) or self._pattern.search(content) is not None
            case int():
                return self._is_id(name, str(content))
        return False

    def _is_id(self, name: str, text: str) -> bool:
        """Whether member `name` says by its name which record its value is the id of: `prospectId`, `prospect_ids`."""
        plain = name.replace("_", "").lower()
        kinds = {one.type.lower() for one in self.records if one.id == text}
        return any(plain in {kind, f"{kind}s", f"{kind}id", f"{kind}ids"} for kind in kinds)


@dataclass(frozen=True, slots=True)
class Found:
    """What mentions the subject: meetings with their appointments' ids, and rows by table."""

    appointments: Mapping[str, str]
    rows: Mapping[str, int]

    @property
    def anything(self) -> bool:
        """Whether there is anything."""
        return bool(self.appointments) or any(self.rows.values())


class Eraser:
    """Looks through every table that holds anything of people. `tables`: by name, without that of the meetings."""

    def __init__(self, meetings: MeetingTable, rows: Table, *, tables: Mapping[str, Table], unverified: Room) -> None:
        self._meetings = meetings
        self._rows = rows
        self._tables = tables
        self._unverified = unverified

    async def person(self, *, prospect: str = "", address: str = "") -> Subject:
        """A person by the id of the prospect, or by the address; with what the people cache knows of the two."""
        start = Subject(
            frozenset({Reference("prospect", prospect)} if prospect else ()), frozenset({address} if address else ())
        )
        records, texts = set(start.records), set(start.texts)
        async for row in _every(self._tables[people_cache.TABLE]):
            if start.is_in(_content(row)):
                kind, _, record_id = str(row["PartitionKey"]).partition(":")
                records |= {Reference(kind, record_id)} if record_id and "~" not in record_id else set()
                texts |= {row["email"]} - {""}
                texts |= {record_id for _, record_id in json.loads(row["records"])}
        return Subject(frozenset(records), frozenset(texts))

    async def meeting(self, meeting_id: str) -> Subject:
        """A meeting, with all records that turned out to be it."""
        found = await canonical(MeetingKey.parse(meeting_id), self._meetings)
        keys = {MeetingKey.parse(meeting_id), found.stored.key, *found.meeting.aliases.known}
        return Subject(frozenset(Reference(key.resource, key.record_id) for key in keys))

    async def look(self, subject: Subject) -> Found:
        """What there is of it. Nothing changes."""
        return await self._through(subject, erase=False)

    async def erase(self, subject: Subject) -> Found:
        """Forget it. The people cache comes last: by it a person is found again, should this stop halfway."""
        return await self._through(subject, erase=True)

    async def _through(self, subject: Subject, *, erase: bool) -> Found:
        appointments: dict[str, str] = {}
        async for row in _every(self._rows):
            if row["PartitionKey"] not in {PARTITION, REFUSED} and subject.is_in(_content(row)):
                key = MeetingKey.parse(row["meeting"])
                appointment = await self._forget(key) if erase else await self._remembered(key)
                if appointment is not None:
                    appointments[str(key)] = appointment
        counts: dict[str, int] = {}
        for name in sorted(self._tables, key=lambda one: one == people_cache.TABLE):
            counts[name] = 0
            async for row in _every(self._tables[name]):
                if subject.is_in(_content(row)) and (not erase or await self._tables[name].delete_unchanged(row)):
                    counts[name] += 1
        if erase:
            await self._unverified.forget_count()
        return Found(appointments, counts)

    async def _remembered(self, key: MeetingKey) -> str | None:
        """The appointment's id of a meeting that is not forgotten yet."""
        meeting = (await self._meetings.load(key)).meeting
        return None if meeting is None or meeting == meeting.forget() else meeting.mirror.appointment_id

    async def _forget(self, key: MeetingKey) -> str | None:
        for _ in range(MAX_ROUNDS):
            stored = await self._meetings.load(key)
            if stored.meeting is None or stored.meeting == stored.meeting.forget():
                return None
            try:
                await self._meetings.save(stored, stored.meeting.forget())
            except RowConflict:
                continue
            return stored.meeting.mirror.appointment_id
        raise Transient(f"Many events of {key} at once; run it again.", service="storage")


async def _every(table: Table) -> AsyncIterator[Entity]:
    """All rows of a table."""
    after: Continuation | None = None
    while True:
        rows, after = await table.page("PartitionKey ne @none", {"none": ""}, after=after, size=_PAGE, select=None)
        for row in rows:
            yield row
        if after is None:
            return


def _content(row: Entity) -> dict[str, Any]:
    """What a row says, with the document that is packed in it; one that is no JSON as text."""
    plain = {name: value for name, value in row.items() if isinstance(value, str)}
    try:
        raw = unpack_bytes(row)
    except zlib.error:
        return plain
    try:
        return {**plain, "document": json.loads(raw)}
    except (ValueError, RecursionError):
        return {**plain, "document": raw.decode("utf-8", "replace")}

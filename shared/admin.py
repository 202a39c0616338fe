"""What an admin asks: what became of this event, how does this meeting stand, what needs a person."""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.adapters.deadletters import DeadLetters
from shared.adapters.journal import Journal
from shared.adapters.meetings import MeetingTable
from shared.adapters.spill import Spill
from shared.adapters.storage import Continuation, Entity, Queue
from shared.core.envelope import Envelope, fits_queue
from shared.core.errors import BadDelivery
from shared.core.identity import MeetingKey
from shared.core.meeting import MeetingState

CORRELATION_ID = re.compile(r"[0-9a-f]{32}")
MAX_LISTED = 10_000
MAX_NAMED = 1000
# How many dead letters are sent again at the same time.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Admin:
    """Reads the journal, the meetings and the dead letters; `dataverse_url` makes links for people."""

    journal: Journal
    meetings: MeetingTable
    dead_letters: DeadLetters
    queue: Queue
    spill: Spill
    dataverse_url: str

    async def correlation(self, correlation_id: str) -> dict[str, Any] | None:
        """The journal of one event; others of the same trace under `others`."""
        wanted = _plain_id(correlation_id)
        if not CORRELATION_ID.fullmatch(wanted):
            return None
        entries = await self.journal.read(wanted)
        if not entries:
            return None
        first, *others = entries
        return first | ({"others": others} if others else {})

    async def meeting(self, meeting_id: str) -> dict[str, Any] | None:
        """How one meeting stands. A bare id is a meeting, or else a calendar event."""
        keys = [MeetingKey.parse(meeting_id)]
        if ":" not in meeting_id:
            keys.append(MeetingKey("calendarEvent", meeting_id))
        for key in keys:
            state, _ = await self.meetings.load(key)
            if state is not None and state.moved_to:
                key = MeetingKey.parse(state.moved_to)  # noqa: PLW2901 - the row says where it went
                state, _ = await self.meetings.load(key)
            if state is not None:
                return await self._shown(key, state)
        return None

    async def list_dead_letters(self) -> list[dict[str, Any]]:
        """All dead letters, the latest first; where there are more than about `MAX_LISTED`, that many."""
        return await self.dead_letters.newest(limit=MAX_LISTED)

    async def dead_letters_from(self, continuation: str) -> tuple[list[dict[str, Any]], str | None]:
        """A page of dead letters, and what to ask for to get the next one. Raises `BadDelivery`.

        `continuation`: what the call before returned as that; empty for the first page.
        """
        letters, after = await self.dead_letters.page(after=_read_continuation(continuation))
        return letters, None if after is None else _continuation(after)

    async def replay(self, correlation_ids: frozenset[str] | None) -> list[str]:
        """Put dead letters back into the queue: those named, or all (None). Returns the correlation ids sent.

        Sent first and forgotten after: a crash in between sends one twice, which changes nothing.
        """
        sent = []
        async for page in self.dead_letters.take(correlation_ids=correlation_ids):
            for start in range(0, len(page), _AT_ONCE):
                some = page[start : start + _AT_ONCE]
                await asyncio.gather(*(self._send_again(row, envelope) for row, envelope in some))
                sent += [envelope.correlation_id for _, envelope in some]
        return sent

    async def _send_again(self, row: Entity, envelope: Envelope) -> None:
        message = envelope.to_message()
        if not fits_queue(message):
            message = (await self.spill.keep(envelope)).to_message()
        await self.queue.send(message)
        await self.dead_letters.remove(row)

    async def _shown(self, key: MeetingKey, state: MeetingState) -> dict[str, Any]:
        letters = await self.dead_letters.of_meetings([str(key), *sorted(state.copies)]) if state.unsettled else []
        last = max(letters, key=lambda row: str(row["last_failed_at"]), default=None)
        return {
            "meetingId": str(key),
            "appointmentId": state.appointment_id,
            "appointmentUrl": self._link(state) if state.crm_version else None,
            "state": standing_of(state),
            "parked": state.parked or None,
            "fields": {
                name: {"value": value, "changedAt": stamp.changed, "deliveredAt": stamp.delivered}
                for name, (value, stamp) in sorted(state.fields.items())
            },
            "written": dict(state.applied),
            "columnsInDoubt": sorted(state.doubt),
            "appointmentVersion": state.crm_version,
            "recent": _recent(state, letters),
            "lastError": await self._last_error(state, last),
        }

    async def _last_error(self, state: MeetingState, letter: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if letter is not None:
            return {
                "code": letter["error_code"],
                "reason": letter["reason"],
                "correlationId": letter["correlation_id"],
                "at": letter["last_failed_at"],
            }
        for recent in reversed(state.recent):
            if recent.outcome not in {"writing", "failed"}:
                continue
            for entry in await self.journal.read(recent.correlation_id):
                if entry["lastError"] and entry["outcome"] == "retrying":
                    return {
                        **entry["lastError"],
                        "correlationId": recent.correlation_id,
                        "at": entry["finishedAt"],
                    }
        return None

    def _link(self, state: MeetingState) -> str:
        return f"{self.dataverse_url}/main.aspx?pagetype=entityrecord&etn=appointment&id={state.appointment_id}"


def standing_of(state: MeetingState) -> str:
    """How a meeting stands, in one of the words that the API uses."""
    if state.gone:
        return "deleted in Dynamics"
    if state.unsettled:
        return "needs attention"
    if state.parked:
        return "parked"
    if state.doubt:
        return "being written"
    return "in Dynamics" if state.crm_version else "remembered"


def _recent(state: MeetingState, letters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last events, newest first, those among them that could not even be merged."""
    told = [
        {
            "correlationId": recent.correlation_id,
            "event": recent.event,
            "receivedAt": recent.received_at,
            "outcome": recent.outcome,
        }
        for recent in reversed(state.recent)
    ]
    known = {recent.correlation_id for recent in state.recent}
    lost = [
        {
            "correlationId": letter["correlation_id"],
            "event": letter["event"],
            "receivedAt": letter["first_failed_at"],
            "outcome": "dead-lettered",
        }
        for letter in letters
        if letter["correlation_id"] not in known
    ]
    return sorted([*told, *lost], key=lambda event: str(event["receivedAt"]), reverse=True) if lost else told


class _Replay(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    all: bool = False
    correlation_ids: list[str] | None = Field(default=None, alias="correlationIds", max_length=MAX_NAMED)


def read_replay(body: bytes) -> frozenset[str] | None:
    """What to replay: correlation ids, or None for all. Raises `BadDelivery` for anything else."""
    problem = BadDelivery("bad_request", 'Send {"all": true} or {"correlationIds": ["…"]}.')
    try:
        wanted = _Replay.model_validate_json(body)
    except ValidationError as error:
        raise problem from error
    if wanted.all == bool(wanted.correlation_ids):
        raise problem
    return None if wanted.all else frozenset(_plain_id(one) for one in wanted.correlation_ids or ())


def _plain_id(correlation_id: str) -> str:
    """As it stands in the tables, however it was copied: upper case, or with the dashes of a GUID."""
    return correlation_id.strip().lower().replace("-", "")


# Partition and row key; the service may leave the latter out.
_NEXT = TypeAdapter(tuple[Annotated[str, Field(min_length=1)], str | None])


def _continuation(after: Continuation) -> str:
    """`after` as one word that can stand in an address."""
    return urlsafe_b64encode(_NEXT.dump_json((after["PartitionKey"] or "", after["RowKey"]))).decode()


def _read_continuation(text: str) -> Continuation | None:
    if not text:
        return None
    try:
        partition, row = _NEXT.validate_json(urlsafe_b64decode(text.encode()))
    except ValueError as error:
        raise BadDelivery("bad_continuation", "Give `continuation` as the page before had it, or none.") from error
    return {"PartitionKey": partition, "RowKey": row}

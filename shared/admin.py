"""What an admin asks: what became of this event, how does this meeting stand, what needs a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.adapters.deadletters import DeadLetters
from shared.adapters.journal import Journal
from shared.adapters.meetings import MeetingTable
from shared.adapters.spill import Spill
from shared.adapters.storage import Queue
from shared.core.envelope import fits_queue
from shared.core.errors import BadDelivery
from shared.core.identity import MeetingKey
from shared.core.meeting import MeetingState

CORRELATION_ID = re.compile(r"[0-9a-f]{32}")
MAX_LISTED = 1000


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
        wanted = correlation_id.lower().replace("-", "")
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
        """The latest dead letters."""
        return await self.dead_letters.newest(limit=MAX_LISTED)

    async def replay(self, correlation_ids: frozenset[str] | None) -> list[str]:
        """Put dead letters back into the queue: those named, or all (None). Returns the correlation ids sent.

        Sent first and forgotten after: a crash in between sends one twice, which changes nothing.
        """
        sent = []
        taken = await self.dead_letters.take(correlation_ids=correlation_ids, limit=MAX_LISTED)
        for row, envelope in taken:
            message = envelope.to_message()
            if not fits_queue(message):
                message = (await self.spill.keep(envelope)).to_message()
            await self.queue.send(message)
            await self.dead_letters.remove(row)
            sent.append(envelope.correlation_id)
        return sent

    async def _shown(self, key: MeetingKey, state: MeetingState) -> dict[str, Any]:
        letters = await self.dead_letters.of_meeting(str(key)) if state.dead else []
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
    if state.dead:
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
    model_config = ConfigDict(extra="forbid")
    all: bool = False
    correlation_ids: list[str] | None = Field(default=None, alias="correlationIds", max_length=MAX_LISTED)


def read_replay(body: bytes) -> frozenset[str] | None:
    """What to replay: correlation ids, or None for all. Raises `BadDelivery` for anything else."""
    problem = BadDelivery("bad_request", 'Send {"all": true} or {"correlationIds": ["…"]}.')
    try:
        wanted = _Replay.model_validate_json(body)
    except ValidationError as error:
        raise problem from error
    if wanted.all == bool(wanted.correlation_ids):
        raise problem
    return None if wanted.all else frozenset(wanted.correlation_ids or ())

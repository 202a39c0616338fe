"""What an admin asks: what became of this event, how does this meeting stand, which events are dead letters."""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, TypeAdapter

from shared import labels
from shared.errors import BadDelivery, RowConflict
from shared.labels import Names
from shared.meeting.aliases import Found, canonical
from shared.meeting.dead_letters import filed_under, record_end
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting, Recent
from shared.meeting.outcome import OutcomeKind
from shared.pipeline.sweep import reconcile
from shared.storage.account import Continuation
from shared.storage.dead_letters import DeadLetter, DeadLetters
from shared.storage.envelope import Envelope
from shared.storage.journal import Entry, Journal
from shared.storage.meetings import MeetingTable
from shared.storage.outbox import Outbox
from shared.storage.overflow import Overflow
from shared.telemetry import line
from shared.timestamps import Clock

log = logging.getLogger("outreach_dynamics.admin")

CORRELATION_ID = re.compile(r"[0-9a-f]{32}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_LISTED = 10_000
MAX_NAMED = 1000
MAX_REASON = 500
# Who calls a route of level ADMIN: the one key that opens those, by the name that the portal gives it. The host tells a
# function no more.
BY_KEY = "_master"
# How many dead letters are sent again at the same time.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class LastError:
    """The last thing that went wrong with a meeting, and with which of its events."""

    code: str
    reason: str
    correlation_id: str
    at: str


@dataclass(frozen=True, slots=True)
class MeetingReport:
    """How a meeting stands. `recent`: its last events, newest first, with those that could not be merged."""

    key: MeetingKey
    meeting: Meeting
    appointment_url: str | None
    recent: tuple[Recent, ...]
    last_error: LastError | None


@dataclass(frozen=True, slots=True)
class Admin:
    """Reads the journal, the meetings and the dead letters.

    `dataverse_url` makes links for people.
    """

    journal: Journal
    meetings: MeetingTable
    dead_letters: DeadLetters
    outbox: Outbox
    overflow: Overflow
    dataverse_url: str
    now: Clock
    names: Names

    async def correlation(self, correlation_id: str) -> list[Entry]:
        """The journal of one event, and of others that came under the same trace after it, in their order."""
        wanted = plain_id(correlation_id)
        return await self.journal.read(wanted) if CORRELATION_ID.fullmatch(wanted) else []

    async def meeting(self, meeting_id: str) -> MeetingReport | None:
        """How one meeting stands. A bare id is a meeting, or else a calendar event."""
        found = await self._find(meeting_id)
        return None if found is None else await self._report(found.stored.key, found.meeting)

    async def write(self, meeting_id: str, *, by: str) -> str | None:
        """Have what differs in Dynamics written again, and what was refused tried again; None: nothing is known of it.

        `by`: who asked for it, a key's name or a person's id. Returns the correlation id.
        """
        found = await self._find(meeting_id)
        if found is None:
            return None
        envelope = reconcile(found.stored.key, now=self.now(), by=by)
        await self.outbox.put(envelope)
        meeting = self.names.meeting(envelope.meeting)
        log.info(line("write_again", correlation_id=envelope.correlation_id, meeting=meeting, by=_who(by)))
        return envelope.correlation_id

    async def _find(self, meeting_id: str) -> Found | None:
        keys = [MeetingKey.parse(meeting_id)]
        if ":" not in meeting_id:
            keys.append(MeetingKey("calendarEvent", meeting_id))
        for key in keys:
            found = await canonical(key, self.meetings)
            if found.is_known:
                return found
        return None

    async def list_dead_letters(self) -> list[DeadLetter]:
        """All dead letters, the latest first; where there are more than about `MAX_LISTED`, that many."""
        return await self.dead_letters.newest(limit=MAX_LISTED)

    async def dead_letters_from(self, continuation: str) -> tuple[list[DeadLetter], str | None]:
        """A page of dead letters, and what to ask for to get the next one. Raises `BadDelivery`.

        `continuation`: what the call before returned as that; empty for the first page.
        """
        dead_letters, after = await self.dead_letters.page(after=_read_continuation(continuation))
        return dead_letters, None if after is None else _continuation(after)

    async def replay(self, correlation_ids: frozenset[str] | None, *, by: str) -> list[str]:
        """Put dead letters back into the queue: those named, or all (None). Returns the correlation ids sent.

        `by`: who asked for it, a key's name or a person's id.
        Sent first and forgotten after: a crash in between sends one twice, which changes nothing.
        """
        sent = []
        async for page in self.dead_letters.take(correlation_ids=correlation_ids):
            for start in range(0, len(page), _AT_ONCE):
                some = page[start : start + _AT_ONCE]
                await asyncio.gather(*(self._send_again(dead_letter, envelope, by) for dead_letter, envelope in some))
                sent += [envelope.correlation_id for _, envelope in some]
        return sent

    async def _send_again(self, dead_letter: DeadLetter, envelope: Envelope, by: str) -> None:
        await self.outbox.put(envelope.model_copy(update={"by": by}))
        event = self.names.event(envelope.event_name or envelope.kind)
        log.info(line("sent_again", correlation_id=envelope.correlation_id, event=event, by=_who(by)))
        await self.dead_letters.remove(dead_letter)

    async def dismiss(self, correlation_ids: frozenset[str], *, reason: str, by: str) -> list[str]:
        """Let the dead letters with these ids go for good, because `reason`. Returns the correlation ids of those gone.

        `by`: who asked for it, a key's name or a person's id.
        Written into the journal first and forgotten after: a crash in between leaves the dead letter, to
        be dismissed again.
        """
        gone = []
        async for page in self.dead_letters.find(correlation_ids=correlation_ids):
            gone += [dead_letter.correlation_id for dead_letter in page if await self._let_go(dead_letter, reason, by)]
        return gone

    async def _let_go(self, dead_letter: DeadLetter, reason: str, by: str) -> bool:
        entry = dead_letter.entry(OutcomeKind.DISMISSED, now=self.now(), because=reason, by=by)
        try:
            if await self.journal.dismiss(entry) and entry.meeting:
                event = Recent(entry.correlation_id, entry.event, entry.received_at, entry.outcome)
                await record_end(event, MeetingKey.parse(entry.meeting), meetings=self.meetings)
        except RowConflict:
            return False  # an event of the meeting is being carried out this moment
        if dead_letter.spill_key:
            # Else the sweep would send it on, to one more dead letter.
            await self.overflow.forget(dead_letter.spill_key)
        if not await self.dead_letters.remove(dead_letter):
            return False
        log.info(
            line(
                "dismissed",
                correlation_id=entry.correlation_id,
                event=self.names.event(entry.event),
                meeting=self.names.meeting(entry.meeting),
                code=entry.error_code,
                by=_who(by),
            )
        )
        return True

    async def checked(self, key: MeetingKey, meeting: Meeting) -> Meeting:
        """`meeting` with `unsettled` where there are dead letters: in the row it only says that there may be."""
        if not meeting.unsettled:
            return meeting
        return replace(meeting, unsettled=await self.dead_letters.has_any_of(filed_under(key, meeting)))

    async def _report(self, key: MeetingKey, meeting: Meeting) -> MeetingReport:
        dead_letters = await self.dead_letters.of_meetings(filed_under(key, meeting)) if meeting.unsettled else []
        return MeetingReport(
            key,
            replace(meeting, unsettled=bool(dead_letters)),
            self._link(meeting.mirror.appointment_id) if meeting.mirror.exists else None,
            _recent(meeting, dead_letters),
            await self._last_error(meeting, dead_letters),
        )

    async def _last_error(self, meeting: Meeting, dead_letters: Sequence[DeadLetter]) -> LastError | None:
        if dead_letters:
            last = max(dead_letters, key=lambda dead_letter: dead_letter.last_failed_at)
            return LastError(last.error_code, last.reason, last.correlation_id, last.last_failed_at)
        for recent in reversed(meeting.recent):
            if not (recent.outcome.comes_again or recent.outcome.needs_person):
                continue
            for entry in await self.journal.read(recent.correlation_id):
                if entry.reason and entry.outcome is OutcomeKind.RETRYING:
                    return LastError(entry.error_code, entry.reason, recent.correlation_id, entry.finished_at)
        return None

    def _link(self, appointment_id: str) -> str:
        return f"{self.dataverse_url}/main.aspx?pagetype=entityrecord&etn=appointment&id={appointment_id}"


def _who(by: str) -> str:
    """For the log: the name of the key, or a person's id in a fixed form."""
    return by if by == BY_KEY else labels.record(by)


def _recent(meeting: Meeting, dead_letters: Sequence[DeadLetter]) -> tuple[Recent, ...]:
    """The last events, newest first, those among them that could not even be merged."""
    known = {recent.correlation_id for recent in meeting.recent}
    lost = [
        Recent(dead_letter.correlation_id, dead_letter.event, dead_letter.first_failed_at, OutcomeKind.DEAD_LETTERED)
        for dead_letter in dead_letters
        if dead_letter.correlation_id not in known
    ]
    events = [*reversed(meeting.recent), *lost]
    return tuple(sorted(events, key=lambda recent: recent.received_at, reverse=True) if lost else events)


def read_reason(text: str) -> str:
    """Why, on one line. Raises `BadDelivery` where nothing is said, or too much."""
    reason = " ".join(text.split())
    if not 1 <= len(reason) <= MAX_REASON or _CONTROL.search(reason):
        raise BadDelivery("bad_reason", f"Say why in a few words, {MAX_REASON} characters at most.")
    return reason


def plain_id(correlation_id: str) -> str:
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

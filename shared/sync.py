"""Carrying out one queued event: merge, write, journal; put back what may pass, dead-letter what will not.

Whatever happens, the event ends in exactly one of four places before its message is deleted: done in Dynamics, parked
in its meeting's row, in the queue again, or among the dead letters. Where even that fails an error escapes, and the
queue itself brings the message back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from shared.adapters.deadletters import DeadLetter, DeadLetters
from shared.adapters.journal import Entry, Journal
from shared.adapters.meetings import MeetingTable
from shared.adapters.spill import Spill
from shared.adapters.storage import Queue
from shared.core.apply import Kind, Outcome, Rules, apply
from shared.core.appointment import Policy
from shared.core.delivery import parse_delivery
from shared.core.envelope import Envelope
from shared.core.errors import BadDelivery, RemoteError, RowConflict, SyncError, Transient, Unmappable
from shared.core.identity import MeetingKey, appointment_id
from shared.core.mapping import MappingFile
from shared.core.meeting import MeetingState, Recent
from shared.core.merge import sortable
from shared.core.patch import read_patch
from shared.core.ports import Appointments, Directory
from shared.core.retry import delay_seconds, is_exhausted
from shared.work import Work, begin, current

log = logging.getLogger("outreach_dynamics.sync")

# A pause of Dynamics up to this long is waited out with the event in hand: cheaper than a way through the queue.
LONGEST_WAIT = 5.0

# A bug is not an outage: what fails in a way nobody foresaw is given up after this many attempts.
MAX_UNFORESEEN = 8

# What a meeting's time line says of an event that comes again; `writing`: it died between the write and the settling.
_FIRST_TOLD: Mapping[str, Kind] = {
    "created": "created",
    "updated": "updated",
    "merged": "merged",
    "writing": "updated",
}


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the sync keeps things."""

    queue: Queue
    meetings: MeetingTable
    journal: Journal
    dead_letters: DeadLetters
    spill: Spill


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error in the words of the journal. `may_pass`: put the event back."""

    reason: str
    code: str
    request_id: str = ""
    retry_after: float | None = None
    may_pass: bool = False
    unforeseen: bool = False
    paused: bool = False
    merged: bool = False


class Sync:
    """`now`: the time of day, aware; `pause`: how long Dynamics wants to be left alone; `jitter`: numbers 0 to 1."""

    def __init__(
        self,
        stores: Stores,
        *,
        appointments: Appointments,
        directory: Directory,
        mapping: MappingFile,
        policy: Policy,
        org: str,
        now: Callable[[], datetime],
        pause: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._stores = stores
        self._appointments = appointments
        self._directory = directory
        self._mapping = mapping
        self._policy = policy
        self._org = org
        self._now = now
        self._pause = pause
        self._jitter = jitter

    async def handle(self, message: bytes) -> None:
        """Carry out the event in `message` (as the trigger decoded it)."""
        try:
            envelope = Envelope.from_message(message)
        except Unmappable as error:
            await self._unreadable(message, error)
            return
        begin(Work(envelope.correlation_id, envelope.traceparent))
        started = time.monotonic()
        spill_key = envelope.spill_key
        if envelope.kind == "spilled":
            loaded = await self._stores.spill.load(spill_key)
            if loaded is None:
                return  # done already; this was a second pointer
            envelope = loaded.model_copy(
                update={
                    "attempt": envelope.attempt,
                    "first_failed_at": envelope.first_failed_at,
                    "spill_key": spill_key,
                }
            )
        entry = await self._carry_out(envelope)
        if spill_key and entry.outcome != "retrying":
            await self._stores.spill.forget(spill_key)
        self._log(entry, envelope, seconds=time.monotonic() - started)

    async def poisoned(self, message: bytes) -> None:
        """Record a message that the trigger gave up on."""
        try:
            envelope = Envelope.from_message(message)
        except Unmappable as error:
            await self._unreadable(message, error)
            return
        begin(Work(envelope.correlation_id, envelope.traceparent))
        failure = _Failure("The worker failed again and again while it had this event.", "poison")
        entry = await self._give_up(envelope, envelope.meeting, failure)
        if envelope.spill_key:
            await self._stores.spill.forget(envelope.spill_key)
        self._log(entry, envelope, seconds=0.0)

    async def _carry_out(self, envelope: Envelope) -> Entry:
        meeting = envelope.meeting
        try:
            await self._wait_for_dynamics()
            key, patch, copy = self._read(envelope)
            meeting = str(key)
            outcome = await self._apply(key, patch, copy, envelope)
        except Exception as error:
            failure = _failure(error)
            if failure.unforeseen:
                log.exception("unforeseen error in event %s", envelope.correlation_id)
            return await self._failed(envelope, meeting, failure)
        entry = self._entry(envelope, meeting, outcome)
        try:
            if outcome.state is not None and outcome.state.dead:
                await self._clear_dead_letters(key)
            if envelope.kind == "reconcile" and outcome.kind != "parked":
                await self._stores.meetings.forget_parked(key)
            await self._stores.journal.write(entry)
        except (RemoteError, RowConflict) as error:
            return await self._failed(envelope, meeting, _failure(error))
        return entry

    async def _wait_for_dynamics(self) -> None:
        """Sit out a short pause; a long one sends the event back before it costs anything."""
        seconds = self._pause()
        if 0 < seconds <= LONGEST_WAIT:
            await asyncio.sleep(seconds + self._jitter() / 2)
            seconds = self._pause()
        if seconds > 0:
            reason = "Dynamics asked for a pause or is not answering; waiting before the next call."
            raise Transient(reason, service="dataverse", code="paused", retry_after=seconds)

    def _read(self, envelope: Envelope) -> tuple[MeetingKey, Any, MeetingKey | None]:
        if envelope.kind == "reconcile":
            return MeetingKey.parse(envelope.meeting), {}, None
        delivery = parse_delivery(envelope.body)
        if delivery.resource not in self._mapping.resources:
            raise Unmappable("unknown_resource", f"The mapping has no resource {delivery.resource} any more.")
        patch = read_patch(delivery, mapping=self._mapping, received_at=datetime.fromisoformat(envelope.received_at))
        return patch.key, patch.fields, patch.copy_of

    async def _apply(self, key: MeetingKey, patch: Any, copy: MeetingKey | None, envelope: Envelope) -> Outcome:
        event = Recent(envelope.correlation_id, envelope.event_name or envelope.kind, envelope.received_at, "")
        outcome = await apply(
            key,
            patch,
            rules=Rules(self._mapping, self._policy, appointment_id(key, org=self._org)),
            meetings=self._stores.meetings,
            appointments=self._appointments,
            directory=self._directory,
            copy_of=copy,
            event=event,
        )
        return _as_first_told(outcome, envelope)

    async def _failed(self, envelope: Envelope, meeting: str, failure: _Failure) -> Entry:
        now = self._now()
        first = envelope.first_failed_at or sortable(now)
        envelope = envelope.model_copy(update={"first_failed_at": first})
        exhausted = is_exhausted(datetime.fromisoformat(first), now)
        if failure.unforeseen and envelope.attempt + 1 >= MAX_UNFORESEEN:
            exhausted = True
        if not failure.may_pass or exhausted:
            return await self._give_up(envelope, meeting, failure)
        return await self._put_back(envelope, meeting, failure)

    async def _put_back(self, envelope: Envelope, meeting: str, failure: _Failure) -> Entry:
        # Waiting for a paused service is not an attempt: nothing was sent.
        attempt = envelope.attempt if failure.paused else envelope.attempt + 1
        delay = delay_seconds(envelope.attempt, retry_after=failure.retry_after, jitter=self._jitter())
        again = envelope.model_copy(update={"attempt": attempt})
        if again.spill_key:
            again = again.model_copy(update={"kind": "spilled", "body": None})
        await self._stores.queue.send(again.to_message(), delay=delay)
        entry = replace(
            self._failure_entry(envelope, meeting, failure, "retrying"),
            next_attempt_at=sortable(self._now() + timedelta(seconds=delay)),
        )
        await self._journal_if_possible(entry)
        return entry

    async def _give_up(self, envelope: Envelope, meeting: str, failure: _Failure) -> Entry:
        now = sortable(self._now())
        letter = DeadLetter(
            correlation_id=envelope.correlation_id,
            meeting=meeting or "unknown",
            event=envelope.event_name or envelope.kind,
            reason=failure.reason,
            error_code=failure.code,
            request_id=failure.request_id,
            attempts=envelope.attempt + 1,
            first_failed_at=envelope.first_failed_at or now,
            last_failed_at=now,
            merged=failure.merged,
        )
        if envelope.kind == "spilled":
            # The envelope itself must be in the dead letter: its row in the spill table is about to go.
            envelope = await self._stores.spill.load(envelope.spill_key) or envelope
        again = envelope.model_copy(update={"attempt": 0, "first_failed_at": "", "spill_key": ""})
        await self._stores.dead_letters.add(letter, again)
        if meeting:
            await self._mark_dead(MeetingKey.parse(meeting), dead=True)
        entry = self._failure_entry(envelope, meeting, failure, "dead-lettered")
        await self._journal_if_possible(entry)
        return entry

    async def _mark_dead(self, key: MeetingKey, *, dead: bool) -> None:
        """Note in the meeting's row whether it has dead letters, so that a good event need not look for them."""
        for _ in range(12):
            state, version = await self._stores.meetings.load(key)
            state = state or MeetingState({}, appointment_id(key, org=self._org))
            if state.dead == dead:
                return
            try:
                await self._stores.meetings.save(key, replace(state, dead=dead), version=version)
            except RowConflict:
                continue
            return

    async def _clear_dead_letters(self, key: MeetingKey) -> None:
        """A good event has carried out what earlier ones of the meeting said, as far as that was merged."""
        rows = await self._stores.dead_letters.of_meeting(str(key))
        for row in rows:
            if row["merged"]:
                await self._stores.dead_letters.remove(row["PartitionKey"], row["RowKey"])
        if all(row["merged"] for row in rows):
            await self._mark_dead(key, dead=False)

    async def _journal_if_possible(self, entry: Entry) -> None:
        """The event is safe by now; a journal that cannot be written must not bring it back."""
        try:
            await self._stores.journal.write(entry)
        except RemoteError as error:
            log.warning("journal of %s not written: %s", entry.correlation_id, error.code)

    async def _unreadable(self, message: bytes, error: Unmappable) -> None:
        """A message that is none of ours is kept as it is: somebody may want to know what it was."""
        now = sortable(self._now())
        correlation_id = sha256(message).hexdigest()[:32]
        envelope = Envelope(correlation_id=correlation_id, received_at=now, body=message.decode("utf-8", "replace"))
        letter = DeadLetter(
            correlation_id, "unknown", "unknown", error.reason, error.code, "", 1, now, now, merged=False
        )
        await self._stores.dead_letters.add(letter, envelope)
        log.error("a queue message that is not an envelope was dead-lettered as %s", correlation_id)

    def _entry(self, envelope: Envelope, meeting: str, outcome: Outcome) -> Entry:
        return Entry(
            correlation_id=envelope.correlation_id,
            event_id=envelope.event_id,
            event=envelope.event_name or envelope.kind,
            received_at=envelope.received_at,
            outcome=outcome.kind,
            finished_at=sortable(self._now()),
            meeting=meeting,
            appointment_id=outcome.appointment_id,
            attempts=envelope.attempt + 1,
            columns=outcome.columns,
            notes=outcome.notes,
            reason=outcome.reason,
            request_id=outcome.request_id,
            dataverse_calls=current().calls.get("dataverse", 0),
        )

    def _failure_entry(self, envelope: Envelope, meeting: str, failure: _Failure, outcome: str) -> Entry:
        return Entry(
            correlation_id=envelope.correlation_id,
            event_id=envelope.event_id,
            event=envelope.event_name or envelope.kind,
            received_at=envelope.received_at,
            outcome=outcome,
            finished_at=sortable(self._now()),
            meeting=meeting,
            attempts=envelope.attempt + 1,
            reason=failure.reason,
            error_code=failure.code,
            request_id=failure.request_id,
            dataverse_calls=current().calls.get("dataverse", 0),
        )

    def _log(self, entry: Entry, envelope: Envelope, *, seconds: float) -> None:
        """The one line about this event: ids, outcome, cost; nothing personal."""
        work = current()
        age = self._now() - datetime.fromisoformat(envelope.received_at)
        line = {
            "what": "event",
            "correlation_id": entry.correlation_id,
            "event": entry.event,
            "meeting": entry.meeting,
            "outcome": entry.outcome,
            "attempts": entry.attempts,
            "appointment": entry.appointment_id,
            "columns": len(entry.columns),
            "code": entry.error_code,
            "seconds": round(seconds, 3),
            "age_seconds": round(age.total_seconds(), 3),
            "calls": work.calls,
            "cache_hits": work.cache_hits,
        }
        log.info(json.dumps(line))


def _as_first_told(outcome: Outcome, envelope: Envelope) -> Outcome:
    """A redelivered message whose first run was settled but not journaled keeps the outcome it had then."""
    if outcome.kind != "duplicate" or outcome.state is None:
        return outcome
    for recent in outcome.state.recent:
        first_told = _FIRST_TOLD.get(recent.outcome)
        if recent.correlation_id == envelope.correlation_id and first_told is not None:
            return replace(outcome, kind=first_told, notes=(*outcome.notes, "Confirmed on redelivery."))
    return outcome


def _failure(error: Exception) -> _Failure:
    match error:
        case Transient():
            return _Failure(
                error.reason,
                error.code or str(error.status or ""),
                error.request_id,
                error.retry_after,
                may_pass=True,
                paused=error.code == "paused",
                merged=error.merged,
            )
        case RemoteError():
            return _Failure(error.reason, error.code or str(error.status or ""), error.request_id, merged=error.merged)
        case Unmappable():
            return _Failure(error.reason, error.code, merged=error.merged)
        case BadDelivery():
            return _Failure(error.message, error.code)
        case RowConflict():
            return _Failure("Table row changed meanwhile.", "row_conflict", may_pass=True)
        case SyncError():
            return _Failure(str(error) or type(error).__name__, type(error).__name__, merged=error.merged)
        case _:
            reason = f"An error in the app itself ({type(error).__name__}); its log has the trace."
            return _Failure(reason, "unforeseen", may_pass=True, unforeseen=True)

"""Carrying out one queued event: merge, write, journal; put back what may pass, dead-letter what will not.

Whatever happens, the event ends in exactly one of four places before its message is deleted: done in Dynamics, parked
in its meeting's row, in the queue again, or among the dead letters. Where even that fails an error escapes, and the
queue itself brings the message back.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from weakref import WeakValueDictionary

from shared.errors import (
    AnothersAccount,
    BadDelivery,
    BadSettings,
    Described,
    RemoteError,
    RowConflict,
    Transient,
    Unmappable,
    describe,
)
from shared.labels import Names
from shared.meeting.aliases import is_alias
from shared.meeting.apply import Outcome, apply
from shared.meeting.appointment import Policy
from shared.meeting.dead_letters import clear_dead_letters, record_dead_letter
from shared.meeting.decide import Rules
from shared.meeting.delivery import parse_delivery
from shared.meeting.identity import MeetingKey, appointment_id
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Recent
from shared.meeting.merge import NO_STAMP, Stamp
from shared.meeting.outcome import OutcomeKind
from shared.meeting.patch import Patch, accepts, read_patch, why_not
from shared.meeting.ports import Appointments, Directory, Ports
from shared.pipeline.event_line import report
from shared.pipeline.retry import delay_seconds, is_exhausted
from shared.storage.account import Entity, Queue
from shared.storage.checkpoints import FollowUps
from shared.storage.claims import ClaimTable
from shared.storage.dead_letters import DeadLetter, DeadLetters
from shared.storage.envelope import Envelope
from shared.storage.journal import Entry, Journal
from shared.storage.layout import NewerLayout
from shared.storage.meetings import MeetingTable
from shared.storage.overflow import Overflow
from shared.storage.statistics import Statistics
from shared.telemetry import carrying_out, line, where
from shared.timestamps import Clock, parse_time, sortable
from shared.work import Work, begin, current

log = logging.getLogger("outreach_dynamics.sync")

# A pause of Dynamics up to this long is waited out with the event in hand: cheaper than a way through the queue.
LONGEST_WAIT = 5.0

# How long what a newer version of the app has sent waits before this one looks whether it has gone.
NEWER_DELAY = 60.0

# How long an event waits before it looks whether the settings are right now. New settings restart the app.
SETTINGS_DELAY = 60.0

# How long one waits that belongs to another organisation's app, which may be there at once to carry it out.
OTHERS_DELAY = 10.0

# A bug is not an outage: what fails in a way nobody foresaw becomes a dead letter after this many attempts.
MAX_UNFORESEEN = 8

_UNNAMED = Described(200, "unnamed", "The event names no meeting, and no earlier one of the same record did.")

# What a meeting's time line may say of an event that comes again, because its first run was not journaled.
_FIRST_RUN = frozenset({OutcomeKind.CREATED, OutcomeKind.UPDATED, OutcomeKind.MERGED})


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the sync keeps things."""

    queue: Queue
    meetings: MeetingTable
    journal: Journal
    dead_letters: DeadLetters
    overflow: Overflow
    follow_ups: FollowUps
    claims: ClaimTable


@dataclass(frozen=True, slots=True)
class _Event:
    """The event in hand, and what could be read of it: the meeting that it is about, and when it happened."""

    envelope: Envelope
    meeting: str = ""
    stamp: Stamp = NO_STAMP

    def entry(self, outcome: OutcomeKind, *, now: datetime) -> Entry:
        """What the journal says of it whatever became of it."""
        return Entry(
            correlation_id=self.envelope.correlation_id,
            event_id=self.envelope.event_id,
            event=self.envelope.event_name or self.envelope.kind,
            received_at=self.envelope.received_at,
            outcome=outcome,
            finished_at=sortable(now),
            meeting=self.meeting,
            attempts=self.envelope.attempt + 1,
            dataverse_calls=current().calls.get("dataverse", 0),
            changed_at=self.stamp.changed,
            delivered_at=self.stamp.delivered,
            by=self.envelope.by,
        )


class Sync:
    """Carries out events. `pause`: how long Dynamics wants to be left alone; `jitter`: numbers 0 to 1."""

    def __init__(
        self,
        stores: Stores,
        *,
        appointments: Appointments,
        directory: Directory,
        mapping: MappingFile,
        policy: Policy,
        org: str,
        now: Clock,
        pause: Callable[[], float],
        statistics: Statistics,
        names: Names,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._stores = stores
        self._ports = Ports(stores.meetings, appointments, directory, stores.claims)
        self._rules = Rules(mapping, policy, partial(appointment_id, org=org))
        self._now = now
        self._pause = pause
        self._statistics = statistics
        self._names = names
        self._jitter = jitter
        self._turns: WeakValueDictionary[MeetingKey, asyncio.Lock] = WeakValueDictionary()

    async def handle(self, message: bytes) -> None:
        """Carry out the event in `message` (as the trigger decoded it)."""
        envelope = await self._opened(message)
        if envelope is None:
            return
        begin(Work(envelope.correlation_id, envelope.traceparent))
        started = time.monotonic()
        name, attempt = self._names.event(envelope.event_name or envelope.kind), envelope.attempt + 1
        with carrying_out(envelope.traceparent, name=name, attempt=attempt) as span:
            entry = await self._from_overflow(envelope)
            if entry is None:
                return
            span.set_attribute("sync.outcome", entry.outcome)
            self._report(entry, envelope, seconds=time.monotonic() - started)

    async def _opened(self, message: bytes) -> Envelope | None:
        """The envelope in `message`; None: it is none, or a newer version's, and taken care of."""
        try:
            return Envelope.from_message(message)
        except NewerLayout as error:
            await self._stores.queue.send(base64.b64encode(message).decode(), delay=NEWER_DELAY)
            log.warning(line("unreadable", correlation_id="", code=error.code))
        except Unmappable as error:
            await self._unreadable(message, error)
        return None

    async def _from_overflow(self, envelope: Envelope) -> Entry | None:
        """Carry out the event itself or, for a pointer, the one that lies in the overflow table; None: it is done."""
        if envelope.kind != "spilled":
            return await self._carry_out(envelope)
        try:
            event = await self._loaded(envelope)
        except (Unmappable, NewerLayout) as error:
            # Its row stays: another version may read it.
            return await self._failed(_Event(envelope), describe(error))
        if event is None:
            return None  # this was a second pointer
        entry = await self._carry_out(event)
        if not entry.outcome.comes_again:
            await self._stores.overflow.forget(envelope.spill_key)
        return entry

    async def _loaded(self, pointer: Envelope) -> Envelope | None:
        """The event in the overflow table; None: it is done. Raises `Unmappable` for one that cannot be read."""
        loaded = await self._stores.overflow.load(pointer.spill_key)
        kept = {name: getattr(pointer, name) for name in ("attempt", "first_failed_at", "by", "spill_key")}
        return None if loaded is None else loaded.model_copy(update=kept)

    async def poisoned(self, message: bytes) -> None:
        """Record a message that the trigger gave up on."""
        envelope = await self._opened(message)
        if envelope is None:
            return
        begin(Work(envelope.correlation_id, envelope.traceparent))
        failure = Described(500, "poison", "The worker failed again and again while it had this event.")
        pointer = envelope
        if pointer.kind == "spilled":
            try:
                envelope = await self._loaded(pointer) or pointer
            except (Unmappable, NewerLayout) as error:
                failure = describe(error)
        entry = await self._give_up(_Event(envelope, self._meeting_of(envelope)), failure)
        if envelope is not pointer:
            await self._stores.overflow.forget(pointer.spill_key)
        self._report(entry, envelope, seconds=0.0)

    def _report(self, entry: Entry, envelope: Envelope, *, seconds: float) -> None:
        """The event has ended or is in the queue again; what goes wrong here must not bring its message back too."""
        try:
            report(
                entry,
                envelope,
                names=self._names,
                work=current(),
                now=self._now(),
                seconds=seconds,
                statistics=self._statistics,
            )
        except Exception as error:  # noqa: BLE001 - as above
            _log_unforeseen(entry.correlation_id, error)

    async def _carry_out(self, envelope: Envelope) -> Entry:
        event = _Event(envelope, envelope.meeting)
        try:
            patch = self._read(envelope)
            if isinstance(patch, Described):
                return await self._ignore(replace(event, meeting=self._about(envelope)), patch)
            event = _Event(envelope, str(patch.key), patch.stamp)
            if patch.unnamed and not await is_alias(patch.key, self._stores.meetings):
                return await self._ignore(event, _UNNAMED)
            sent = await self._sent_on(patch.key) if envelope.kind == "reconcile" else []
            outcome = await self._apply(patch, envelope)
            outcome = replace(outcome, notes=(*patch.notes, *outcome.notes))
        except Exception as error:  # noqa: BLE001 - whatever it is, the event must not be lost
            failure = describe(error)
            if failure.unforeseen:
                _log_unforeseen(envelope.correlation_id, error)
            meeting = failure.meeting or event.meeting or self._about(envelope)
            return await self._failed(replace(event, meeting=meeting), failure)
        # A calendar event may have turned out to belong to another row.
        key = outcome.stored.key
        event = replace(event, meeting=str(key))
        entry = self._done(event, outcome)
        try:
            await clear_dead_letters(
                outcome.stored, meetings=self._stores.meetings, dead_letters=self._stores.dead_letters
            )
            if envelope.kind == "reconcile":
                await self._answer(key, sent, outcome)
            await self._follow_ups(key, envelope, outcome)
            await self._stores.journal.write(entry)
        except (RemoteError, RowConflict) as error:
            return await self._failed(event, describe(error))
        return entry

    async def _sent_on(self, key: MeetingKey) -> list[Entity | None]:
        return [await index.sent(key) for index in self._stores.meetings.waiting]

    async def _answer(self, key: MeetingKey, sent: list[Entity | None], outcome: Outcome) -> None:
        """Record in the indexes of meetings that wait for other rules what came of looking at one again.

        The rules of this instance may be older than those of the one that sent it on.
        """
        waits = (outcome.kind is OutcomeKind.PARKED, bool(outcome.meeting.mirror.refused))
        for index, row, again in zip(self._stores.meetings.waiting, sent, waits, strict=True):
            if again:
                await index.add(key)
            await index.remove(row)

    async def _wait_for_dynamics(self, envelope: Envelope) -> None:
        """Sit out a short pause; a long one sends the event back before it costs anything.

        But not the first time: then it is merged first, so that its meeting can be found. The call that follows is not
        made.
        """
        seconds = self._pause()
        if 0 < seconds <= LONGEST_WAIT:
            await asyncio.sleep(seconds + self._jitter() / 2)
            seconds = self._pause()
        if seconds > 0 and envelope.first_failed_at:
            reason = "Dynamics asked for a pause or is not answering; waiting before the next call."
            raise Transient(reason, service="dataverse", code="paused", retry_after=seconds)

    def _read(self, envelope: Envelope) -> Patch | Described:
        """What the event says of its meeting, or why it is none of ours.

        That is asked again here: ingest takes everything in while settings are wrong, and the mapping may be another
        one now. What a worker has begun is finished all the same.
        """
        if envelope.kind == "reconcile":
            return Patch(MeetingKey.parse(envelope.meeting), None, {})
        delivery, mapping = parse_delivery(envelope.body), self._rules.mapping
        begun = envelope.first_failed_at and delivery.resource in mapping.resources
        if not begun and not accepts(delivery, mapping):
            return Described(200, "not_counted", why_not(delivery, mapping))
        return read_patch(delivery, mapping=mapping, received_at=parse_time(envelope.received_at))

    def _meeting_of(self, envelope: Envelope) -> str:
        """The meeting that an event names, or else the record that it is about."""
        if envelope.meeting:
            return envelope.meeting
        try:
            patch = self._read(envelope)
        except Exception:  # noqa: BLE001 - what made its run fail may well fail here too
            return self._about(envelope)
        return str(patch.key) if isinstance(patch, Patch) else self._about(envelope)

    def _about(self, envelope: Envelope) -> str:
        """The record that an event names, where nothing else in it can be read: somebody will look for it by that."""
        try:
            delivery = parse_delivery(envelope.body)
        except BadDelivery:
            return ""
        known = delivery.resource in self._rules.mapping.resources
        return str(MeetingKey(delivery.resource, delivery.record_id)) if known else ""

    async def _ignore(self, event: _Event, reason: Described) -> Entry:
        entry = self._not_done(event, reason, OutcomeKind.IGNORED)
        await self._journal_if_possible(entry)
        return entry

    async def _follow_ups(self, key: MeetingKey, envelope: Envelope, outcome: Outcome) -> None:
        """Who was nobody in Dynamics when the meeting was written may be somebody soon; no event will say so."""
        if envelope.kind == "reconcile":
            if not outcome.unresolved:
                await self._stores.follow_ups.forget(key)
        elif outcome.unresolved and outcome.kind.applied:
            await self._stores.follow_ups.plan(key)

    async def _apply(self, patch: Patch, envelope: Envelope) -> Outcome:
        # Events of one meeting take turns in this process. They may meet all the same, from other processes; but each
        # one that loses a race has asked Dynamics and the table in vain.
        event = Recent(
            envelope.correlation_id, envelope.event_name or envelope.kind, envelope.received_at, OutcomeKind.WRITING
        )
        async with self._turns.setdefault(patch.key, asyncio.Lock()):
            await self._wait_for_dynamics(envelope)
            outcome = await apply(
                patch.key,
                patch.fields,
                rules=self._rules,
                ports=self._ports,
                alias=patch.alias,
                event=event,
                anew=envelope.kind == "reconcile",
                again=envelope.again,
                at=envelope.received_at,
            )
        work = current()
        work.rounds, work.unresolved, work.status = outcome.rounds, len(outcome.unresolved), outcome.meeting.status
        return _as_at_first(outcome, envelope)

    async def _failed(self, event: _Event, failure: Described) -> Entry:
        now, envelope = self._now(), event.envelope
        known = failure.paused and bool(envelope.first_failed_at)
        # A time of the future would never be a day ago.
        first = sortable(min(parse_time(envelope.first_failed_at or sortable(now)), now))
        event = replace(event, envelope=envelope.model_copy(update={"first_failed_at": first}))
        exhausted = is_exhausted(parse_time(first), now)
        if failure.unforeseen and envelope.attempt + 1 >= MAX_UNFORESEEN:
            exhausted = True
        if not failure.may_pass or exhausted:
            return await self._give_up(event, failure)
        entry = await self._put_back(event, failure)
        if not known:  # that it still waits is no change
            await self._journal_if_possible(entry)
        return entry

    async def _put_back(self, event: _Event, failure: Described) -> Entry:
        envelope = event.envelope
        # Waiting for a paused service is not an attempt: nothing was sent.
        attempt = envelope.attempt if failure.paused else envelope.attempt + 1
        waited = (self._now() - parse_time(envelope.first_failed_at)).total_seconds()
        delay = delay_seconds(envelope.attempt, retry_after=failure.retry_after, jitter=self._jitter(), waited=waited)
        again = envelope.model_copy(update={"attempt": attempt})
        if again.spill_key:
            again = again.model_copy(update={"kind": "spilled", "body": None})
        await self._stores.queue.send(again.to_message(), delay=delay)
        entry = self._not_done(event, failure, OutcomeKind.RETRYING)
        return replace(entry, next_attempt_at=sortable(self._now() + timedelta(seconds=delay)))

    async def _give_up(self, event: _Event, failure: Described) -> Entry:
        now, envelope = sortable(self._now()), event.envelope
        dead_letter = DeadLetter(
            correlation_id=envelope.correlation_id,
            meeting=event.meeting or "unknown",
            event=envelope.event_name or envelope.kind,
            reason=failure.sentence,
            error_code=failure.code,
            request_id=failure.request_id,
            attempts=envelope.attempt + 1,
            first_failed_at=envelope.first_failed_at or now,
            last_failed_at=now,
            merged=failure.merged,
        )
        # An event from the overflow table is in the dead letter itself: its row there is about to go.
        key = envelope.spill_key if envelope.kind == "spilled" else ""
        again = envelope.model_copy(update={"attempt": 0, "first_failed_at": "", "spill_key": key})
        await self._stores.dead_letters.add(dead_letter, again)
        if envelope.kind == "reconcile":
            # A person is asked now; without this the sweep would send it on again, to one more dead letter every hour.
            for index in self._stores.meetings.waiting:
                await index.remove(await index.sent(MeetingKey.parse(envelope.meeting)))
        if event.meeting:
            with suppress(NewerLayout):  # the dead letter stands in the list, and stays there until a person decides
                await record_dead_letter(
                    MeetingKey.parse(event.meeting),
                    meetings=self._stores.meetings,
                    new_appointment_id=self._rules.new_appointment_id,
                )
        entry = self._not_done(event, failure, OutcomeKind.DEAD_LETTERED)
        await self._journal_if_possible(entry)
        return entry

    async def _journal_if_possible(self, entry: Entry) -> None:
        """The event is safe by now; a journal that cannot be written must not bring it back."""
        try:
            await self._stores.journal.write(entry)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning(line("journal_not_written", correlation_id=entry.correlation_id, code=describe(error).code))

    async def _unreadable(self, message: bytes, error: Unmappable) -> None:
        """A message that is none of ours is kept as it is: somebody may want to know what it was."""
        now = sortable(self._now())
        correlation_id = sha256(message).hexdigest()[:32]
        envelope = Envelope(correlation_id=correlation_id, received_at=now, body=message.decode("utf-8", "replace"))
        dead_letter = DeadLetter(
            correlation_id, "unknown", "unknown", error.reason, error.code, "", 1, now, now, merged=False
        )
        await self._stores.dead_letters.add(dead_letter, envelope)
        log.error(line("unreadable", correlation_id=correlation_id, code=error.code))

    def _done(self, event: _Event, outcome: Outcome) -> Entry:
        return replace(
            event.entry(outcome.kind, now=self._now()),
            appointment_id=outcome.meeting.mirror.appointment_id,
            columns=outcome.columns,
            notes=outcome.notes,
            reason=outcome.reason,
            request_id=outcome.request_id,
        )

    def _not_done(self, event: _Event, failure: Described, outcome: OutcomeKind) -> Entry:
        return replace(
            event.entry(outcome, now=self._now()),
            reason=failure.sentence,
            error_code=failure.code,
            request_id=failure.request_id,
        )


async def wait_for_settings(message: bytes, error: BadSettings, *, queue: Queue) -> None:
    """While settings are wrong a message goes back as it came, to the queue that it came from."""
    log.error(line("settings", part="sync", problems=error.problems))
    delay = OTHERS_DELAY if isinstance(error, AnothersAccount) else SETTINGS_DELAY
    await queue.send(base64.b64encode(message).decode(), delay=delay)


def _log_unforeseen(correlation_id: str, error: Exception) -> None:
    """Where it happened, and no more: an error's message may repeat a value from the meeting."""
    log.error(line("unforeseen", correlation_id=correlation_id, error=type(error).__name__, at=where(error)))


def _as_at_first(outcome: Outcome, envelope: Envelope) -> Outcome:
    """A redelivered message whose first run was settled but not journaled keeps the outcome it had then."""
    if outcome.kind is not OutcomeKind.DUPLICATE:
        return outcome
    for recent in outcome.meeting.recent:
        same = (recent.correlation_id, recent.received_at) == (envelope.correlation_id, envelope.received_at)
        if same and recent.outcome in _FIRST_RUN:
            return replace(outcome, kind=recent.outcome, notes=(*outcome.notes, "Confirmed on redelivery."))
    return outcome

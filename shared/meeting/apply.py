"""The heart: one event in, one appointment right, whoever else is at it and wherever we die.

    load the row, merge the event
    claim: save the row with the columns in doubt and the version that will fence the write
    write the doubtful columns to Dynamics, fenced by that version (create: only if it is not there)
    settle: save the row with the doubt gone and the new version

Three rules make it safe; `tests/simulation` shows what breaks without each.

1. Every write follows a claim, and a claim is saved only if the row is unchanged since it was loaded. So whoever writes
   has merged all that anybody claimed before.
2. The fence is read before the claim. A refused write (412) reads the actual version and starts again at *load*: it
   never just repeats the write, because by now the row may know better.
3. Doubt ends only when no slower write can land any more, with the row unchanged since: by a write of our own that
   Dynamics confirmed, or by a look at a version that no write still on its way can be fenced by. Where all doubtful
   columns are right already and a look proves nothing, a column that nobody sees is written as it stands: that raises
   the version.

What to do is decided in `decide.py` and what a meeting becomes by it in `meeting.py`; here is what is read and written.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import LostRace, Permanent, SyncError, Transient, Unmappable
from shared.meeting.adopt import in_order, in_words, kept_in_words, not_filled, search, spared, taking
from shared.meeting.aliases import Found, canonical, with_alias
from shared.meeting.appointment import Desired, collapse, creators, desired, fingerprint, made_of, references
from shared.meeting.decide import (
    Plan,
    Rules,
    columns_to_write,
    decide,
    is_proof,
    state_to_end_in,
    tried_again,
    without_refused,
    without_unset,
)
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting, Recent
from shared.meeting.merge import Facts, Merged
from shared.meeting.mirror import OPEN, STATES, Actual, State, Written
from shared.meeting.outcome import OutcomeKind
from shared.meeting.parties import still_ours
from shared.meeting.people import as_invited
from shared.meeting.ports import AppointmentClosed, FenceRefused, Ports, Refused, Stored, TargetMissing
from shared.meeting.refused import Refusals
from shared.meeting.surplus import withdraw
from shared.meeting.transforms import FENCE, ORGANIZER, PARTIES, STATE, CreatedOnRow

MAX_ROUNDS = 12
# So often one event may ask for its appointment; a create costs more than any other call.
MAX_CREATES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event, and all that is decided on after it.

    `stored`: the meeting's row as the event left or found it. `columns`: those that were written. `unresolved`:
    Outreach records that are nobody in Dynamics. `rounds`: how often it had to begin, because others wrote the same
    meeting.
    """

    kind: OutcomeKind
    stored: Stored
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    request_id: str = ""
    unresolved: frozenset[Reference] = frozenset()
    rounds: int = 1

    @property
    def meeting(self) -> Meeting:
        """The meeting after it."""
        return self.stored.meeting or Meeting()

    @property
    def reason(self) -> str:
        """Why nothing went out although something waits."""
        return self.meeting.held.reason if self.meeting.held is not None else ""


async def apply(
    key: MeetingKey,
    patch: Facts,
    *,
    rules: Rules,
    ports: Ports,
    alias: MeetingKey | None = None,
    event: Recent | None = None,
    anew: bool = False,
    again: bool = False,
    at: str = "",
) -> Outcome:
    """Merge `patch` into the meeting and bring its appointment up to date.

    With an empty `patch`, what is merged but not yet in Dynamics goes out. `alias` is the record that the patch came
    from, where that is not the meeting itself. `anew`: everybody in the meeting is looked up again, else only those
    whose columns change. `again`: what differs in Dynamics is written again, and what was refused is tried again.
    `at`: when the event arrived (sortable); no appointment is said to be created later.

    Raises `Permanent`, `Transient`; whatever it raises, calling again with the same arguments continues where it
    stopped.
    """
    work = _Work(key, rules=rules, ports=ports, alias=alias, event=event, anew=anew or again, again=again, at=at)
    for round_ in range(1, MAX_ROUNDS + 1):
        try:
            outcome = await work.round(patch)
            stored = await withdraw(outcome.stored, policy=rules.policy, ports=ports, notes=work.notes)
        except LostRace:
            continue
        except SyncError as error:
            error.merged, error.meeting = work.merged, str(work.key)
            raise
        return replace(outcome, stored=stored, notes=(*outcome.notes, *work.all_notes), rounds=round_)
    raise Transient("Many events of this meeting at once; this one tries again.", service="storage")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at Dynamics showed (None: no such appointment), and the fence that stood in the row then."""

    actual: Actual | None
    fence: str | None


class _Work:
    """The rounds of one `apply`: what one round learnt and the next one needs. A round that loses a race raises it."""

    def __init__(
        self,
        key: MeetingKey,
        *,
        rules: Rules,
        ports: Ports,
        alias: MeetingKey | None,
        event: Recent | None,
        anew: bool,
        again: bool,
        at: str,
    ) -> None:
        self._named = key
        self._alias = alias
        self._rules = rules
        self._ports = ports
        self._event = event
        self._anew = anew
        self._again = again
        self._at = at
        self._creates = 0
        self._refusals = Refusals(rules.mapping.digest)
        self._refusal: Refused | None = None
        self._finished: MeetingKey | None = None
        self._seen: _Seen | None = None
        self._fenced_by: str | None = None
        self._refresh = False
        self._reopen = False
        self._change = OutcomeKind.DUPLICATE
        self._claimed = False
        self._taken: tuple[str, ...] = ()
        self.key = key
        self.merged = False
        self.notes: list[str] = []

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What was found out on the way."""
        return (*self._taken, *self._refusals.notes, *self.notes)

    async def round(self, patch: Facts) -> Outcome:
        """From the row as it is now to what became of the event."""
        self._fenced_by = None
        self._taken = self._taken if self._claimed else ()
        found = await self._find()
        self.key = found.stored.key
        meeting, merged = found.meeting.learn(patch)
        self._record_change(merged)
        self.merged = not merged.taken
        settled = meeting.is_settled and not tried_again(meeting.mirror, self._rules.mapping)
        if settled and not self._anew and meeting == found.stored.meeting:
            # Nothing new, and nothing left to do: not even a look at who the people are.
            return await self._leave(found.stored, meeting)
        meeting = self._as_seen(meeting).choose_appointment(self._rules.new_appointment_id(self.key))
        meeting = (meeting.forget_refusals() if self._again else meeting).refuse(self._refusals.columns)
        values = collapse(meeting.facts, self._rules.mapping)
        try:
            want = await self._wanted(meeting, values)
        except (Unmappable, Permanent, Transient) as error:
            # What the event said is remembered all the same: somebody may ask for the meeting meanwhile. When the event
            # comes again there is nothing new in it, and yet something to do.
            outcome = OutcomeKind.RETRYING if isinstance(error, Transient) else OutcomeKind.FAILED
            if not self.merged:
                await self._save(found.stored, replace(self._recorded(meeting, outcome), unsettled=True))
            raise
        plan = decide(meeting, want, values, self._rules, again=self._again and not self._taken)
        if plan.writes and not meeting.mirror.attempted:
            meeting, want = await self._take_over(meeting, want, values)
            plan = decide(meeting, want, values, self._rules, again=self._again and not self._taken)
        if plan.hold is None:
            meeting = meeting.look_up(made_of(values, self._rules.mapping), want.invited)
        if not plan.writes:
            return await self._keep(found.stored, meeting.hold(plan.hold), want)
        if plan.must_look(meeting.mirror, want, self._actual):
            await self._look(meeting, plan.reads(want))
            raise LostRace
        return await self._write(found.stored, meeting, want, plan)

    async def _find(self) -> Found:
        meetings = self._ports.meetings
        found = await canonical(self._named, meetings)
        if self._alias is None:
            return found
        return await with_alias(found, self._alias, meetings=meetings, finish=self._finish)

    async def _finish(self, alias: MeetingKey) -> bool:
        """Make the appointment that somebody had begun to make for `alias`; False where that was tried before."""
        if self._finished == alias:
            return False
        self._finished = alias
        # What keeps it from being made now keeps the others from making it too.
        with suppress(Unmappable, Permanent):
            await apply(alias, {}, rules=self._rules, ports=self._ports, at=self._at)
        return True

    async def _leave(self, stored: Stored, meeting: Meeting) -> Outcome:
        """Others have done what this event was about, as far as it was not done itself."""
        kind = OutcomeKind.UPDATED if self._claimed else self._change
        if meeting.comes_again(self._event):
            # Others have written what it came for while it waited.
            kind = OutcomeKind.UPDATED if kind is OutcomeKind.DUPLICATE else kind
            stored = await self._save(stored, self._recorded(meeting, kind))
        return Outcome(kind, stored)

    async def _wanted(self, meeting: Meeting, values: Mapping[str, Any]) -> Desired:
        """The appointment as it is to be, without columns whose people are the same as when they were looked up."""
        mapping, exists, mirror = self._rules.mapping, meeting.mirror.exists, meeting.mirror
        now, leave = made_of(values, mapping), frozenset[str]()
        if exists and not self._anew and not self._refresh:
            leave = frozenset(name for name in now.keys() - mirror.doubt if now[name] == mirror.made_of.get(name))
        wanted = references(values, mapping, leave=leave)
        if not exists:
            wanted |= creators(values, mapping)
        found = await self._ports.directory.resolve(wanted, refresh=self._refresh)
        people = as_invited(found, mirror.invited)
        want = desired(values, mapping=mapping, people=people, policy=self._rules.policy, leave=leave)
        want = spared(without_unset(want), mirror.taken_over) if exists else want.created_by_then(self._at)
        return self._refusals.spare(without_refused(want, mirror, mapping))

    async def _take_over(self, meeting: Meeting, want: Desired, values: Mapping[str, Any]) -> tuple[Meeting, Desired]:
        """`meeting` with the appointment that is there already, where there is one, and what to write into it."""
        wanted = search(values, want.columns, self._rules.mapping)
        if wanted is None:
            return meeting, want
        found = await self._ports.appointments.find(wanted, want.columns.keys() - {STATE} | {FENCE})
        for one in in_order(found, wanted):
            if await self._ports.claims.claim(one.appointment_id, self.key) in {self.key, *meeting.aliases.known}:
                break
        else:
            return meeting, want
        taken = taking(one, want)
        known = {**taken.same, **taken.kept}
        meeting = meeting.take_over(one.appointment_id, one.actual, taken.taken, known=known, filling=taken.filling)
        self._seen = _Seen(one.actual, one.actual.version)
        self._taken = (in_words(one.appointment_id, taken.taken), *([kept_in_words(taken.kept)] if taken.kept else []))
        return meeting, spared(want, taken.taken)

    @property
    def _actual(self) -> Actual | None:
        return self._seen.actual if self._seen is not None else None

    @property
    def _is_gone(self) -> bool:
        return self._seen is not None and self._seen.actual is None

    def _as_seen(self, meeting: Meeting) -> Meeting:
        """`meeting` after the last look at Dynamics, as far as that still counts."""
        if self._seen is not None and self._seen.fence != meeting.mirror.version:
            self._seen = None  # somebody has looked or written since, and knows better
        if self._seen is not None and self._seen.actual is not None:
            return meeting.leave_to_people(not_filled(meeting.mirror, self._seen.actual))
        if self._seen is None:
            return meeting
        return meeting.lose_appointment(stays_deleted=self._rules.mapping.deleted_in_dynamics == "leave")

    def _record_change(self, merged: Merged) -> None:
        if merged.taken:
            self._change = OutcomeKind.MERGED
        elif merged.older and self._change is OutcomeKind.DUPLICATE:
            self._change = OutcomeKind.SUPERSEDED

    async def _keep(self, stored: Stored, meeting: Meeting, want: Desired) -> Outcome:
        """Nothing goes to Dynamics: save what was merged, if it is anything."""
        kind, waited = self._change, meeting.comes_again(self._event)
        if meeting.mirror.deleted:
            kind = OutcomeKind.LEFT
        elif meeting.held is not None:
            kind = OutcomeKind.PARKED
        elif self._claimed or self._taken:
            kind = OutcomeKind.UPDATED
        elif kind is OutcomeKind.DUPLICATE and waited:
            kind = OutcomeKind.MERGED
        if meeting != stored.meeting or waited:
            stored = await self._save(stored, self._recorded(meeting, kind))
        return Outcome(kind, stored, notes=want.notes, unresolved=want.unresolved)

    async def _write(self, stored: Stored, meeting: Meeting, want: Desired, plan: Plan) -> Outcome:
        actual, parties = self._actual, want.columns.get(PARTIES) or ()
        creating = not meeting.mirror.exists and actual is None
        columns = {} if creating else columns_to_write(meeting.mirror, want, plan, actual)
        reopen = (self._reopen and bool(columns)) or meeting.mirror.give_back is not None
        claim = meeting.claim(plan.columns, parties=parties, actual=actual, reopen=reopen)
        if actual is not None and not columns and is_proof(meeting.mirror, actual):
            now = Written(actual.version, state=actual.state)
            kind = OutcomeKind.UPDATED if self._claimed or self._taken else self._change
            return await self._settle(stored, claim, want, plan, kind, now, columns)
        claim = self._recorded(claim, OutcomeKind.WRITING)
        stored = await self._save(stored, claim)
        self._claimed = True
        try:
            if creating:
                written, columns = await self._create(claim, want)
            elif columns or claim.mirror.give_back is not None or actual is None:
                written = await self._update(claim, want, columns)
            else:
                written = await self._raise_version(claim, actual)
        except FenceRefused:
            await self._look(claim, plan.reads(want))
        except TargetMissing as error:
            await self._target_missing(error, claim, want, plan.reads(want))
        except AppointmentClosed:
            await self._closed(claim, plan.reads(want))
        except Refused as error:
            self._refusals.learn(error, want, exists=claim.mirror.exists)
            self._refusal = error
        else:
            self._seen, self._refusal = None, None
            self._refusals.succeed()
            kind = OutcomeKind.CREATED if creating else OutcomeKind.UPDATED
            return await self._settle(stored, claim, want, plan, kind, written, columns)
        raise LostRace

    async def _settle(
        self,
        stored: Stored,
        claim: Meeting,
        want: Desired,
        plan: Plan,
        kind: OutcomeKind,
        now: Written,
        columns: Mapping[str, Any],
    ) -> Outcome:
        """Dynamics has what is wanted and was not refused; `columns`: those that were written for it."""
        want, claim = self._refusals.spare(want), claim.refuse(self._refusals.columns)
        parties = claim.mirror.parties
        if PARTIES in plan.columns:
            parties = still_ours(parties, want.columns[PARTIES], columns.get(PARTIES))
        fingerprints = {name: fingerprint(value) for name, value in want.columns.items()}
        settled = claim.settle(now.version, fingerprints, state=now.state, parties=parties)
        taken = want.columns.keys() | ({ORGANIZER} if want.organizer is not None else set())
        stored = await self._save(stored, self._recorded(settled.take(taken), kind))
        notes = (*want.notes, *now.notes)
        return Outcome(kind, stored, tuple(sorted(columns)), notes, now.request_id, want.unresolved)

    async def _create(self, claim: Meeting, want: Desired) -> tuple[Written, dict[str, Any]]:
        """Make the appointment, closed where it is to be; also the columns that it got."""
        appointments, appointment_id = self._ports.appointments, claim.mirror.appointment_id
        content = {name: value for name, value in want.new.items() if name != STATE and value is not None}
        self._may_create()
        self._creates += 1
        written = await appointments.create(
            appointment_id, content, created_on=want.created_on, created_by=want.created_by
        )
        columns = content
        if want.created_on and CreatedOnRow.only not in written.without:
            columns[CreatedOnRow.only] = want.created_on
        state = STATES[want.columns.get(STATE, "open")]
        if state != OPEN and (closed := await self._set_state(appointment_id, state, written, want)) is not None:
            written = replace(closed, notes=(*written.notes, *closed.notes))
            columns[STATE] = state
        return written, columns

    async def _set_state(self, appointment_id: str, state: State, written: Written, want: Desired) -> Written | None:
        """The last step of a write that has gone well so far; None where Dynamics refuses the state, and only that."""
        try:
            return await self._ports.appointments.set_state(appointment_id, state, version=written.version)
        except Refused as error:
            if error.guesses != (frozenset({STATE}),):
                raise
            if STATE in want.columns:
                self._refusals.learn(error, want, exists=True)
            else:
                self._refusals.keep_open(error)
            return None

    async def _update(self, claim: Meeting, want: Desired, columns: Mapping[str, Any]) -> Written:
        """`columns`, then the state where it is to change or was taken away for the change."""
        appointments, mirror = self._ports.appointments, claim.mirror
        content = {name: value for name, value in columns.items() if name != STATE}
        written = Written(mirror.version or "")
        target = state_to_end_in(mirror, want)
        self._fenced_by = written.version
        if mirror.give_back is not None:
            written = await appointments.set_state(mirror.appointment_id, OPEN, version=written.version)
            self._fenced_by = written.version
        if content:
            written = await appointments.update(mirror.appointment_id, content, version=written.version)
        if target is None or (STATE not in columns and mirror.give_back is None):
            return written
        if not (content or mirror.give_back):
            # A refusal of the state alone has written nothing.
            return await appointments.set_state(mirror.appointment_id, target, version=written.version)
        ended = await self._set_state(mirror.appointment_id, target, written, want)
        if ended is None and mirror.give_back not in {None, target}:
            ended = await self._set_state(mirror.appointment_id, mirror.give_back, written, want)
        return ended or written

    async def _raise_version(self, claim: Meeting, actual: Actual) -> Written:
        """Write something as it stands, so that slower writes are refused: what nobody sees.

        Or the state, where that is all that a closed appointment takes.
        """
        appointments, appointment_id = self._ports.appointments, claim.mirror.appointment_id
        self._fenced_by = actual.version
        if self._reopen and actual.is_closed:
            return await appointments.set_state(appointment_id, actual.state, version=actual.version)
        as_it_is = {FENCE: actual.columns.get(FENCE)}
        return await appointments.update(appointment_id, as_it_is, version=actual.version)

    async def _save(self, stored: Stored, meeting: Meeting) -> Stored:
        saved = await self._ports.meetings.save(stored, meeting)
        self.merged = True
        return saved

    async def _look(self, meeting: Meeting, columns: AbstractSet[str]) -> None:
        actual = await self._ports.appointments.read(meeting.mirror.appointment_id, columns)
        self._seen = _Seen(actual, meeting.mirror.version)

    def _may_create(self) -> None:
        """Raise where this attempt was refused the appointment often enough: the next one knows more, or nobody does.

        What was refused so far is in the claim. Where it was made, and only the row was not told, there is no need.
        """
        error = self._refusal
        if error is None or self._creates < MAX_CREATES:
            return
        if not self._refusals.columns:
            raise error
        raise Transient(
            "Dynamics refuses one column of the new appointment after the other; those are remembered, and the rest is "
            "sent in a while.",
            service="dataverse",
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        )

    async def _target_missing(
        self, error: TargetMissing, claim: Meeting, want: Desired, columns: AbstractSet[str]
    ) -> None:
        """A 404: the appointment was deleted, or somebody it points at was deleted, merged or qualified."""
        if claim.mirror.exists:
            await self._look(claim, columns)
            if self._is_gone:
                return
        if self._refresh:
            if self._refusals.learn_missing(error, want, exists=claim.mirror.exists):
                return
            raise Permanent(
                "Dynamics says that a record which the appointment points at does not exist, and asking again found "
                "no other. Look for a deleted or merged contact, lead, opportunity or user.",
                service="dataverse",
                status=404,
                code="0x80040217",
            )
        self._refresh = True

    async def _closed(self, claim: Meeting, columns: AbstractSet[str]) -> None:
        """The row is completed or canceled and refuses changes: next time it is opened first."""
        await self._look(claim, columns)
        actual = self._actual
        opened = claim.mirror.give_back is not None or (actual is not None and not actual.is_closed)
        if actual is not None and actual.version == self._fenced_by and opened:
            raise Permanent(
                "Dynamics refuses to change this completed or canceled appointment, even after opening it.",
                service="dataverse",
            )
        self._reopen = True

    def _recorded(self, meeting: Meeting, outcome: OutcomeKind) -> Meeting:
        """`meeting` with this event in its time line."""
        return meeting if self._event is None else meeting.record(replace(self._event, outcome=outcome))

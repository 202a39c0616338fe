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
3. Doubt ends only by a write of our own that Dynamics confirmed, with the row unchanged since the claim. Where all
   doubtful columns turn out to be right already, one is written all the same: that raises the version and so shuts out
   every slower write still on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import Permanent, RowConflict, SyncError, Transient, Unmappable
from shared.meeting.aliases import link
from shared.meeting.appointment import Desired, Policy, collapse, creators, desired, fingerprint, references
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import Condition, MappingFile
from shared.meeting.meeting import Actual, MeetingState, Recent, Written
from shared.meeting.merge import Fields, Merged, merge
from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import Party, Role
from shared.meeting.ports import (
    AppointmentClosed,
    Appointments,
    Directory,
    FenceRefused,
    Meetings,
    TargetMissing,
)
from shared.meeting.transforms import OWNER, PARTIES, REGARDING, STATE

MAX_ROUNDS = 12
OPEN, COMPLETED, CANCELED = (0, 1), (1, 3), (2, 4)
STATES = {"open": OPEN, "completed": COMPLETED, "canceled": CANCELED}
STATE_NAMES = {1: "completed", 2: "canceled"}

# An appointment has both, or Dynamics refuses it (0x80040275).
_REQUIRED = ("scheduledstart", "scheduledend")
_SPARE = "it was made for a calendar event before that said which meeting it is of"


@dataclass(frozen=True, slots=True)
class Rules:
    """How to decide: the mapping, the plugin settings, and the name of the Outreach organisation for new ids."""

    mapping: MappingFile
    policy: Policy
    new_appointment_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event, and all that is decided on after it.

    `reason`: what a parked meeting waits for. `unresolved`: Outreach records that are nobody in Dynamics. `state` and
    `version` are the meeting's row as the event left or found it.
    """

    kind: OutcomeKind
    appointment_id: str
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    request_id: str = ""
    reason: str = ""
    unresolved: frozenset[Reference] = frozenset()
    rounds: int = 1
    meeting: str = ""
    state: MeetingState | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next. `park` is a sentence; `doubt` the columns to write; both empty: nothing to do.

    `only_fence`: what is in doubt is wanted no longer. `doubt` then holds the one column to write as it stands, for the
    sake of the version.
    """

    doubt: AbstractSet[str] = frozenset()
    park: str = ""
    only_fence: bool = False


async def apply(
    key: MeetingKey,
    patch: Fields,
    *,
    rules: Rules,
    meetings: Meetings,
    appointments: Appointments,
    directory: Directory,
    copy_of: MeetingKey | None = None,
    event: Recent | None = None,
) -> Outcome:
    """Merge `patch` into the meeting and bring its appointment up to date.

    An empty `patch` reconciles: what is merged but not yet in Dynamics goes out. `copy_of` is the calendar event that
    the patch came from, where that is not the meeting itself. Raises `Unmappable`, `Permanent`, `Transient`; whatever
    it raises, calling again with the same arguments continues where it stopped.
    """
    work = _Work(
        key,
        rules=rules,
        meetings=meetings,
        appointments=appointments,
        directory=directory,
        copy_of=copy_of,
        event=event,
    )
    for round_ in range(1, MAX_ROUNDS + 1):
        try:
            outcome = await work.round(patch)
            if outcome is not None:
                outcome = await work.withdraw(outcome)
        except SyncError as error:
            error.merged, error.meeting = work.merged, str(work.key)
            raise
        if outcome is not None:
            notes = (*outcome.notes, *work.notes)
            return replace(outcome, notes=notes, rounds=round_, meeting=str(work.key))
    raise Transient("Many events of this meeting at once; this one tries again.", service="storage")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look at Dynamics showed (None: no such appointment), and the fence that stood in the row then."""

    actual: Actual | None
    fence: str | None


class _Work:
    """The rounds of one `apply`: what one round learnt and the next one needs."""

    def __init__(
        self,
        key: MeetingKey,
        *,
        rules: Rules,
        meetings: Meetings,
        appointments: Appointments,
        directory: Directory,
        copy_of: MeetingKey | None,
        event: Recent | None,
    ) -> None:
        self._key = key
        self._rules = rules
        self._meetings = meetings
        self._appointments = appointments
        self._directory = directory
        self._copies = () if copy_of is None else (copy_of,)
        self._event = event
        self._linked: frozenset[MeetingKey] = frozenset()
        self._seen: _Seen | None = None
        self._fenced_by: str | None = None
        self._distrust = False
        self._reopen = False
        self._news = OutcomeKind.DUPLICATE
        self._claimed = False
        self.merged = False
        self.notes: tuple[str, ...] = ()

    async def round(self, patch: Fields) -> Outcome | None:
        """One round; `None` means that something moved under us and the next round must look again."""
        self._fenced_by = None
        before, row_version = await self._meetings.load(self._key)
        state = await self._linked_up(before or MeetingState({}, self._rules.new_appointment_id))
        if state is None:
            return None
        merged = merge(state.fields, patch)
        self._note_news(merged)
        self.merged = not merged.taken
        if patch and before is not None and not merged.taken and _is_settled(state):
            # Nothing new, and nothing left to do: not even a look at who the people are.
            return await self._leave(state, row_version)
        if self._seen is not None and self._seen.fence != state.crm_version:
            self._seen = None  # somebody has looked or written since, and knows better
        state = self._seen_gone(replace(state, fields=merged.fields))
        values = collapse(state.fields, self._rules.mapping)
        try:
            want = await self._wanted(state, values)
        except (Unmappable, Permanent, Transient) as error:
            # What the event said is remembered all the same: somebody may ask for the meeting meanwhile. When the event
            # comes again there is nothing new in it, and yet something to do.
            outcome = OutcomeKind.RETRYING if isinstance(error, Transient) else OutcomeKind.FAILED
            failed = replace(self._noted(state, outcome), unsettled=True)
            if not self.merged and await self._save(failed, row_version) is None:
                return None
            raise
        plan = decide(state, want, values, self._rules)
        if not plan.doubt:
            return await self._keep(before, replace(state, parked=plan.park), want, row_version)
        if self._must_look(state, plan):
            await self._look(state, plan.doubt)
            return None
        return await self._write(state, want, plan, row_version)

    async def withdraw(self, outcome: Outcome) -> Outcome | None:
        """Cancel appointments that the meeting does not need: two in the calendar would be one too many.

        That comes last. What the event said is remembered and written by then, whatever Dynamics says to this.

        They are not deleted, because somebody may have written into them. Whoever still writes to one is refused.
        `None` means the same as in `round`.
        """
        state, version = outcome.state, outcome.version
        if state is None or not (self._rules.policy.pushing and self._rules.policy.update):
            return outcome
        for spare in sorted(state.spare):
            actual = await self._appointments.read(spare, ())
            there = actual if actual is not None and actual.state[0] not in STATE_NAMES else None
            left = replace(state, spare=state.spare - {spare})
            if there is not None and state.gone:
                # Whoever deleted one of two wanted one.
                own = replace(left, appointment_id=spare, crm_version=there.version, applied={}, gone=False)
                await self._save(replace(own, unsettled=True), version)
                return None
            if there is not None:
                try:
                    await self._appointments.set_state(spare, CANCELED, version=there.version)
                except (FenceRefused, TargetMissing):
                    return None
            state, version = left, await self._save(left, version)
            if version is None:
                return None
            if there is not None:
                self.notes = (*self.notes, f"Canceled a second appointment of this meeting, {spare}: {_SPARE}.")
        return replace(outcome, state=state, version=version)

    async def _linked_up(self, state: MeetingState) -> MeetingState | None:
        """`state` where it is the row of a meeting that stands for all its calendar events; None: it was made so."""
        if state.moved_to:
            # A task may name a calendar event that belongs to a meeting: then both belong to it.
            meeting = MeetingKey.parse(state.moved_to)
            self._copies = tuple(copy for copy in (*self._copies, self._key) if copy != meeting)
            self._key, self._linked = meeting, frozenset()
            return None
        for copy in self._copies:
            if str(copy) not in state.copies and copy not in self._linked:
                await self._link(copy)
                return None
        return replace(state, copies=state.copies.union(map(str, self._copies)))

    async def _leave(self, state: MeetingState, version: str | None) -> Outcome | None:
        """Others have done what this event was about, as far as it was not done itself."""
        kind = OutcomeKind.UPDATED if self._claimed else self._news
        if self._comes_again(state):
            # Others have written what it came for while it waited.
            kind = OutcomeKind.UPDATED if kind is OutcomeKind.DUPLICATE else kind
            state = self._noted(state, kind)
            version = await self._save(state, version)
            if version is None:
                return None
        return Outcome(kind, state.appointment_id, state=state, version=version)

    def _comes_again(self, state: MeetingState) -> bool:
        """Whether the time line says that this event is under way."""
        return any(recent.is_same_event(self._event) and recent.outcome.comes_again for recent in state.recent)

    async def _link(self, copy: MeetingKey) -> None:
        """Fold what is known of the calendar event into the meeting."""
        await link(
            copy,
            self._key,
            meetings=self._meetings,
            new_appointment_id=self._rules.new_appointment_id,
            finish=self._make_appointment,
        )
        self._linked |= {copy}

    async def _make_appointment(self, copy: MeetingKey) -> None:
        # What keeps it from being made now keeps the others from making it too.
        with suppress(Unmappable, Permanent):
            await apply(
                copy,
                {},
                rules=self._rules,
                meetings=self._meetings,
                appointments=self._appointments,
                directory=self._directory,
            )

    async def _wanted(self, state: MeetingState, values: Mapping[str, Any]) -> Desired:
        mapping = self._rules.mapping
        people = references(values, mapping)
        if state.crm_version is None:
            people |= creators(values, mapping)
        found = await self._directory.resolve(people, distrust=self._distrust)
        want = desired(values, mapping=mapping, people=found, policy=self._rules.policy)
        return want if state.crm_version is None else _without_unset(want)

    @property
    def key(self) -> MeetingKey:
        """The meeting that it turned out to be."""
        return self._key

    @property
    def _actual(self) -> Actual | None:
        return self._seen.actual if self._seen is not None else None

    @property
    def _gone(self) -> bool:
        return self._seen is not None and self._seen.actual is None

    def _note_news(self, merged: Merged) -> None:
        if merged.taken:
            self._news = OutcomeKind.MERGED
        elif merged.older and self._news is OutcomeKind.DUPLICATE:
            self._news = OutcomeKind.SUPERSEDED

    def _must_look(self, state: MeetingState, plan: Plan) -> bool:
        """Whether the write needs to know what is there.

        People may have added attendees; the whole list is replaced, so theirs must be in it. And a column that is
        written for the version alone keeps what it holds, which may be theirs too.
        """
        needed = plan.doubt if plan.only_fence else plan.doubt & {PARTIES}
        if self._actual is not None:
            return not needed <= self._actual.columns.keys()
        return state.crm_version is not None and bool(needed)

    def _seen_gone(self, state: MeetingState) -> MeetingState:
        if not self._gone:
            return state
        if self._rules.mapping.deleted_in_dynamics == "leave":
            return replace(state, gone=True, doubt=frozenset(), crm_version=None)
        return replace(state, crm_version=None, applied={}, closed_as=None)

    async def _keep(
        self, before: MeetingState | None, state: MeetingState, want: Desired, version: str | None
    ) -> Outcome | None:
        """Nothing goes to Dynamics: save what was merged, if it is anything."""
        kind = self._news
        if state.gone:
            kind = OutcomeKind.LEFT
        elif state.parked:
            kind = OutcomeKind.PARKED
        elif self._claimed:
            kind = OutcomeKind.UPDATED
        elif kind is OutcomeKind.DUPLICATE and self._comes_again(state):
            kind = OutcomeKind.MERGED
        if state != before or self._comes_again(state):
            state = self._noted(state, kind)
            version = await self._save(state, version)
            if version is None:
                return None
        return Outcome(
            kind,
            state.appointment_id,
            notes=want.notes,
            reason=state.parked,
            unresolved=want.unresolved,
            state=state,
            version=version,
        )

    async def _write(self, state: MeetingState, want: Desired, plan: Plan, version: str | None) -> Outcome | None:
        actual, doubt = self._actual, frozenset(plan.doubt)
        closed = actual is not None and actual.state[0] in STATE_NAMES
        reopen = self._reopen or state.closed_as is not None
        claim = replace(
            state,
            doubt=state.doubt if plan.only_fence else state.doubt | doubt,
            parked="",
            gone=False,
            crm_version=actual.version if actual else state.crm_version,
            closed_as=actual.state if actual and closed and reopen else state.closed_as,
            parties=state.parties | frozenset(want.columns.get(PARTIES) or ()),
        )
        claim = self._noted(claim, OutcomeKind.WRITING)
        version = await self._save(claim, version)
        if version is None:
            return None
        self._claimed = True
        creating = claim.crm_version is None
        try:
            if creating:
                written, columns = await self._create(claim, want)
            else:
                written, columns = await self._update(claim, want, self._to_write(claim, want, plan))
        except FenceRefused:
            await self._look(claim, doubt)
            return None
        except TargetMissing:
            await self._target_missing(claim, doubt)
            return None
        except AppointmentClosed:
            await self._closed(claim, doubt)
            return None
        # What was in doubt and is wanted no longer stays as it is there, and nobody knows how that is.
        known = {name: value for name, value in claim.applied.items() if name not in claim.doubt}
        settled = replace(
            claim,
            applied={**known, **{column: fingerprint(value) for column, value in want.columns.items()}},
            doubt=frozenset(),
            closed_as=None,
            crm_version=written.version,
        )
        kind = OutcomeKind.CREATED if creating else OutcomeKind.UPDATED
        settled = self._noted(settled, kind)
        self._seen = None
        version = await self._save(settled, version)
        if version is None:
            return None
        return Outcome(
            kind,
            settled.appointment_id,
            columns,
            (*want.notes, *written.notes),
            written.request_id,
            unresolved=want.unresolved,
            state=settled,
            version=version,
        )

    async def _create(self, claim: MeetingState, want: Desired) -> tuple[Written, tuple[str, ...]]:
        content = {name: value for name, value in want.columns.items() if name != STATE and value is not None}
        written = await self._appointments.create(
            claim.appointment_id, content, created_on=want.created_on, created_by=want.created_by
        )
        columns = [*content, *(["overriddencreatedon"] if want.created_on else [])]
        state = want.columns.get(STATE, "open")
        if state != "open":
            closed = await self._appointments.set_state(claim.appointment_id, STATES[state], version=written.version)
            written = replace(closed, notes=(*written.notes, *closed.notes))
            columns.append(STATE)
        return written, tuple(sorted(columns))

    async def _update(
        self, claim: MeetingState, want: Desired, columns: Mapping[str, Any]
    ) -> tuple[Written, tuple[str, ...]]:
        """`columns`, then the state where it is to change or was taken away for the change."""
        content = {name: value for name, value in columns.items() if name != STATE}
        notes: tuple[str, ...] = ()
        written = Written(claim.crm_version or "")
        target = _target_state(claim, want)
        self._fenced_by = written.version
        if claim.closed_as is not None:
            written = await self._appointments.set_state(claim.appointment_id, OPEN, version=written.version)
            self._fenced_by = written.version
        if content:
            written = await self._appointments.update(claim.appointment_id, content, version=written.version)
            notes = written.notes
        if target is not None and (STATE in columns or claim.closed_as is not None):
            written = await self._appointments.set_state(claim.appointment_id, target, version=written.version)
        return replace(written, notes=(*notes, *written.notes)), tuple(sorted(columns))

    def _to_write(self, claim: MeetingState, want: Desired, plan: Plan) -> dict[str, Any]:
        """The columns of `plan` that differ from what is there, as far as that is known."""
        actual = self._actual
        columns = {name: want.columns[name] for name in sorted(plan.doubt)}
        if actual is None:
            return columns
        if PARTIES in columns:
            columns[PARTIES] = _with_theirs(columns[PARTIES], actual.columns.get(PARTIES) or (), claim.parties)
        now = {**actual.columns, STATE: STATE_NAMES.get(actual.state[0], "open")}
        differing = {name: value for name, value in columns.items() if name not in now or now[name] != value}
        if differing and not plan.only_fence:
            return differing
        # Rule 3: at least one write of our own, or a slower one could still land after we called it settled.
        return {name: now[name] for name in _fence(columns)}

    async def _save(self, state: MeetingState, version: str | None) -> str | None:
        """The row's new version, or None where somebody else was quicker."""
        try:
            saved = await self._meetings.save(self._key, state, version=version)
        except RowConflict:
            return None
        self.merged = True
        return saved

    async def _look(self, state: MeetingState, doubt: AbstractSet[str]) -> None:
        actual = await self._appointments.read(state.appointment_id, doubt - {STATE})
        self._seen = _Seen(actual, state.crm_version)

    async def _target_missing(self, claim: MeetingState, doubt: frozenset[str]) -> None:
        """A 404: the appointment was deleted, or somebody it points at was deleted, merged or qualified."""
        if claim.crm_version is not None:
            await self._look(claim, doubt)
            if self._gone:
                return
        if self._distrust:
            raise Permanent(
                "Dynamics says that a record which the appointment points at does not exist, and asking again found "
                "no other. Look for a deleted or merged contact, lead, opportunity or user.",
                service="dataverse",
                status=404,
                code="0x80040217",
            )
        self._distrust = True

    async def _closed(self, claim: MeetingState, doubt: frozenset[str]) -> None:
        """The row is completed or canceled and refuses changes: next time it is opened first."""
        await self._look(claim, doubt)
        actual = self._actual
        opened = claim.closed_as is not None or (actual is not None and actual.state[0] not in STATE_NAMES)
        if actual is not None and actual.version == self._fenced_by and opened:
            raise Permanent(
                "Dynamics refuses to change this completed or canceled appointment, even after opening it.",
                service="dataverse",
            )
        self._reopen = True

    def _noted(self, state: MeetingState, outcome: OutcomeKind) -> MeetingState:
        """`state` with this event in its time line."""
        return state if self._event is None else state.noting(replace(self._event, outcome=outcome))


def decide(state: MeetingState, want: Desired, values: Mapping[str, Any], rules: Rules) -> Plan:
    """What to do: nothing, park with a reason, or write these columns."""
    if state.gone and rules.mapping.deleted_in_dynamics == "leave":
        return Plan(park="The appointment was deleted in Dynamics and is left so.")
    exists = state.crm_version is not None
    differing = {
        name for name, value in want.columns.items() if state.applied.get(name, _unset(name)) != fingerprint(value)
    }
    nothing = exists and not differing and not state.doubt
    if nothing and not state.spare:
        return Plan()
    if not rules.policy.pushing:
        return Plan(park="Pushing is off (SYNC_PUSHING).")
    if exists:
        if not rules.policy.update:
            return Plan(park="Outbound Update is off (SYNC_OUTBOUND_UPDATE).")
        if nothing:
            return Plan()
        doubt = differing | (state.doubt & want.columns.keys())
        return Plan(doubt) if doubt else Plan(_fence(want.columns), only_fence=True)
    if not rules.policy.create:
        return Plan(park="Outbound Create is off (SYNC_OUTBOUND_CREATE).")
    unmet = next((c for c in rules.mapping.create_conditions if not holds(c, values)), None)
    if unmet is not None and not state.attempted:
        return Plan(park=unmet.otherwise)
    missing = [name for name in _REQUIRED if want.columns.get(name) is None]
    if missing:
        return Plan(park=f"No event has told {' and '.join(missing)} yet.")
    return Plan(frozenset(want.columns))


def _without_unset(want: Desired) -> Desired:
    """`want` for an appointment that is there: where Outreach says when it begins or when it ends no more, both stay.

    A start alone could come to lie behind the end that stays, and Dynamics would refuse the whole event.
    """
    unset = [name for name in _REQUIRED if name in want.columns and want.columns[name] is None]
    if not unset:
        return want
    note = (
        f"Outreach says no {' and '.join(unset)} any more, and an appointment needs both: its times stay as they are."
    )
    columns = {name: value for name, value in want.columns.items() if name not in _REQUIRED}
    return replace(want, columns=columns, notes=(*want.notes, note))


def holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    """Whether `values` meet `condition`."""
    value = values.get(condition.field)
    match condition.is_:
        case "set" | "not_set":
            return (value not in (None, "", [])) == (condition.is_ == "set")
        case "true" | "not_true":
            return (value is True) == (condition.is_ == "true")
        case "false" | "not_false":
            return (value is False) == (condition.is_ == "false")
        case "equal" | "not_equal":
            return (value == condition.value) == (condition.is_ == "equal")


def _is_settled(state: MeetingState) -> bool:
    """Whether Dynamics is known to have everything, and nothing waits or was done behind our back."""
    something = state.doubt or state.closed_as or state.parked or state.gone or state.unsettled or state.spare
    return state.crm_version is not None and not something


def _unset(column: str) -> str | None:
    # An appointment is open until somebody says otherwise, so `open` needs no write.
    return fingerprint("open") if column == STATE else None


def _fence(columns: Collection[str]) -> frozenset[str]:
    """The one column to write where a write is needed for its version alone: the cheapest there is.

    A plain one, where there is one: what a person put into a lookup may be of a kind that we have no name for.
    """
    return frozenset(sorted(columns, key=lambda name: (name in {PARTIES, STATE}, name in {OWNER, REGARDING}, name))[:1])


def _target_state(claim: MeetingState, want: Desired) -> tuple[int, int] | None:
    """The state to end in: Outreach's where that changed, else the one that was taken away for the change."""
    wanted = want.columns.get(STATE)
    if wanted is not None and (STATE in claim.doubt or claim.closed_as is None):
        return STATES[wanted]
    return claim.closed_as


def _with_theirs(ours: Collection[Party], actual: Collection[Party], ever_sent: frozenset[Party]) -> list[Party]:
    """Our parties and those that somebody added in Dynamics: present there, never sent by us."""
    # An appointment has one organizer: where we name one, whoever stood there before gives way.
    taken = {Role.ORGANIZER} & {party.role for party in ours}
    theirs = {party for party in actual if party not in ever_sent and party.role not in taken}
    return sorted({*ours, *theirs}, key=str)

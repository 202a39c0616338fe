"""A meeting: what is known of it, how far Dynamics has it, and the moves that change either. All is pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.merge import Facts, Merged, merge
from shared.meeting.mirror import UNKNOWN_VERSION, Actual, Mirror, Refusal, State, TakenOver, is_open
from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import CrmRecord, Party
from shared.meeting.status import Status

RECENT_EVENTS = 25
_LET_GO = frozenset({OutcomeKind.DISMISSED, OutcomeKind.EXPIRED})


@dataclass(frozen=True, slots=True)
class Recent:
    """One event in a meeting's time line."""

    correlation_id: str
    event: str
    received_at: str
    outcome: OutcomeKind

    def is_same_event(self, other: Recent | None) -> bool:
        """Whether both tell of one event; several may share a trace."""
        return other is not None and (self.correlation_id, self.event, self.received_at) == (
            other.correlation_id,
            other.event,
            other.received_at,
        )


@dataclass(frozen=True, slots=True)
class Aliases:
    """The records that turned out to be one meeting.

    meeting  the meeting that this record turned out to be; then nothing else in its row counts any more
    known    the records that turned out to be this meeting, and all that they brought is in it
    """

    meeting: MeetingKey | None = None
    known: frozenset[MeetingKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing goes out although something waits; a sentence for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Meeting:
    """One row of the table `meetings`.

    facts      the merge of all events so far
    mirror     what Dynamics is known to have
    aliases    the records that turned out to be this meeting
    held       why nothing goes out; None: nothing waits
    unsettled  the next event must look, though nothing in it be new: what was merged may not be in Dynamics, or there
               may be open dead letters
    recent     the last events, oldest first
    """

    facts: Facts = field(default_factory=dict)
    mirror: Mirror = field(default_factory=Mirror)
    aliases: Aliases = field(default_factory=Aliases)
    held: Hold | None = None
    unsettled: bool = False
    recent: tuple[Recent, ...] = ()

    @property
    def status(self) -> Status:
        """How it stands. Who shows it looks for dead letters first: the row says only that there may be some."""
        if self.mirror.deleted:
            return Status.DELETED_IN_DYNAMICS
        if self.unsettled:
            return Status.DEAD_LETTER
        if self.held is not None:
            return Status.PARKED
        if self.mirror.doubt and not self.is_left_in_doubt:
            return Status.BEING_WRITTEN
        return Status.IN_DYNAMICS if self.mirror.exists else Status.REMEMBERED

    @property
    def is_settled(self) -> bool:
        """Whether Dynamics is known to have everything, and nothing waits or was done behind our back."""
        left = self.mirror.doubt or self.mirror.give_back or self.mirror.surplus
        return self.status is Status.IN_DYNAMICS and not left

    @property
    def is_left_in_doubt(self) -> bool:
        """Whether something is in doubt that nobody is at any more: its event was dismissed, or nobody came for it."""
        if self.unsettled or not self.mirror.doubt or not self.recent:
            return False
        return self.recent[-1].outcome in _LET_GO and not any(event.outcome.comes_again for event in self.recent)

    def comes_again(self, event: Recent | None) -> bool:
        """Whether the time line says that `event` is under way."""
        return any(recent.is_same_event(event) and recent.outcome.comes_again for recent in self.recent)

    def record(self, event: Recent) -> Meeting:
        """`event` is the last one in the time line, once."""
        others = [recent for recent in self.recent if not recent.is_same_event(event)]
        return replace(self, recent=(*others, event)[-RECENT_EVENTS:])

    def learn(self, patch: Facts) -> tuple[Meeting, Merged]:
        """What an event says is merged in."""
        merged = merge(self.facts, patch)
        return replace(self, facts=merged.facts), merged

    def hold(self, hold: Hold | None) -> Meeting:
        """Nothing goes out, for this reason; None: nothing waits."""
        return replace(self, held=hold)

    def look_up(self, made_of: Mapping[str, str], invited: Mapping[Reference, CrmRecord | str] | None) -> Meeting:
        """The people in it are known; `invited`: None: nobody looked who the attendees are."""
        return _mirroring(self, made_of=made_of, invited=self.mirror.invited if invited is None else invited)

    def claim(
        self, columns: AbstractSet[str], *, parties: Collection[Party], actual: Actual | None, reopen: bool
    ) -> Meeting:
        """These columns are about to be written, fenced by the version of `actual` where somebody has looked.

        `parties` are sent along; `reopen`: a closed appointment is opened first, and gets its state back.
        """
        give_back, version, open_as = self.mirror.give_back, self.mirror.version, self.mirror.open_as
        if actual is not None:
            version = actual.version
            if not actual.is_closed and give_back is None:  # else we have opened it ourselves
                open_as = actual.state
            give_back = actual.state if actual.is_closed and reopen else give_back
        claimed = _mirroring(
            self,
            doubt=self.mirror.doubt | columns,
            version=version,
            give_back=give_back,
            open_as=open_as,
            parties=self.mirror.parties.union(parties),
            deleted=False,
        )
        return claimed.hold(None)

    def refuse(self, refused: Mapping[str, Refusal]) -> Meeting:
        """Dynamics did not take these columns."""
        return _mirroring(self, refused={**self.mirror.refused, **refused}) if refused else self

    def take(self, columns: Collection[str]) -> Meeting:
        """Dynamics took these columns, if it refused them before."""
        left = {name: one for name, one in self.mirror.refused.items() if name not in columns}
        return _mirroring(self, refused=left)

    def forget_refusals(self) -> Meeting:
        """Every column is tried again."""
        return _mirroring(self, refused={})

    def settle(
        self,
        version: str,
        written: Mapping[str, str],
        *,
        state: State | None = None,
        parties: frozenset[Party] | None = None,
    ) -> Meeting:
        """Dynamics is known to have the columns in `written` (fingerprints), this version, and this state.

        `parties`: those of ours that may stand there; None: as before.
        """
        # What was in doubt and is wanted no longer stays as it is there, and nobody knows how that is.
        known = {name: value for name, value in self.mirror.applied.items() if name not in self.mirror.doubt}
        return _mirroring(
            self,
            applied=known | dict(written),
            doubt=frozenset(),
            give_back=None,
            open_as=state if state is not None and is_open(state) else self.mirror.open_as,
            version=version,
            parties=self.mirror.parties if parties is None else parties,
            filling={},
        )

    def lose_appointment(self, *, stays_deleted: bool) -> Meeting:
        """The appointment was deleted in Dynamics: it stays so, or it is made again."""
        if stays_deleted:
            return _mirroring(self, deleted=True, doubt=frozenset(), version=None)
        # What was in doubt was a change to what is gone. Only where a create was begun something may still come to be.
        doubt = frozenset[str]() if self.mirror.exists else self.mirror.doubt
        lost = _mirroring(self, version=None, applied={}, give_back=None, open_as=None, doubt=doubt)
        # One that was taken over does not come back: what is made in its place is ours, and has an id of ours.
        return lost if self.mirror.taken_over is None else _mirroring(lost, appointment_id="", **_OURS)

    def take_over(
        self,
        appointment_id: str,
        actual: Actual,
        taken: TakenOver,
        *,
        known: Mapping[str, str],
        filling: Mapping[str, str],
    ) -> Meeting:
        """An appointment that is there already is this meeting's from now on.

        `known`: columns that stay as they are, by the fingerprint of what Outreach has; `filling`: those to be filled.
        """
        return _mirroring(
            self,
            appointment_id=appointment_id,
            version=actual.version,
            applied=known,
            open_as=actual.state,
            taken_over=taken,
            filling=filling,
            deleted=False,
        )

    def leave_to_people(self, filled: Mapping[str, str]) -> Meeting:
        """People have filled these columns before we did; `filled`: the fingerprints of what we would have written."""
        if not filled:
            return self
        own = self.mirror
        filling = {name: value for name, value in own.filling.items() if name not in filled}
        return _mirroring(self, applied={**own.applied, **filled}, doubt=own.doubt - filled.keys(), filling=filling)

    def choose_appointment(self, appointment_id: str) -> Meeting:
        """A new appointment gets this id, unless one was chosen before."""
        return self if self.mirror.appointment_id else _mirroring(self, appointment_id=appointment_id)

    def keep_surplus(self, appointment_id: str, version: str) -> Meeting:
        """The appointment that it had for a calendar event is its own from now on, and may lack anything."""
        kept = _mirroring(
            self.drop_surplus(appointment_id),
            appointment_id=appointment_id,
            version=version,
            applied={},
            deleted=False,
            **_OURS,
        )
        return replace(kept, unsettled=True)

    def drop_surplus(self, appointment_id: str) -> Meeting:
        """This second appointment is no more."""
        return _mirroring(self, surplus=self.mirror.surplus - {appointment_id})

    def forget(self) -> Meeting:
        """All that stays: which records it is, and its appointment, so that a late event finds it."""
        own = self.mirror
        version = UNKNOWN_VERSION if own.exists else None
        taken = own.taken_over and TakenOver(tracked=own.taken_over.tracked)
        mirror = Mirror(own.appointment_id, version, deleted=own.deleted, taken_over=taken)
        return Meeting(mirror=mirror, aliases=self.aliases)

    def become(self, meeting: MeetingKey) -> Meeting:
        """This record turned out to be `meeting`: its row takes nothing more."""
        return replace(self, aliases=replace(self.aliases, meeting=meeting), held=None)

    def know(self, *aliases: MeetingKey) -> Meeting:
        """These records are this meeting."""
        return replace(self, aliases=replace(self.aliases, known=self.aliases.known.union(aliases)))

    def absorb(self, key: MeetingKey, alias: Meeting) -> Meeting:
        """What the row of an alias holds, once: its facts, and its appointment unless the meeting has one of its own.

        Either way the appointment may lack something, and the event that brought the link may bring nothing else.
        """
        if key in self.aliases.known:
            return self
        own, theirs = self.mirror, alias.mirror
        surplus = own.surplus | theirs.surplus
        both = replace(
            self.know(key, *alias.aliases.known),
            facts=merge(self.facts, alias.facts).facts,
            unsettled=self.unsettled or alias.unsettled or bool(alias.facts) or theirs.attempted,
        )
        if theirs.attempted and (not own.attempted or _gives_way(own, to=theirs)):
            surplus |= {own.appointment_id} if own.attempted else set()
            both = replace(both, mirror=replace(theirs, deleted=False), recent=(*alias.recent, *self.recent))
        elif theirs.attempted:
            # One that was there before is not ours to cancel.
            surplus |= {theirs.appointment_id} if theirs.taken_over is None else set()
        else:
            # Who deleted the only appointment there was meant the meeting.
            both = _mirroring(both, deleted=own.deleted or (theirs.deleted and not own.attempted))
        return _mirroring(both, surplus=surplus - {both.mirror.appointment_id})


# Of an appointment that we made.
_OURS: Mapping[str, Any] = {"taken_over": None, "filling": {}}


def _gives_way(own: Mirror, *, to: Mirror) -> bool:
    """Whether an appointment that we made is given up for one that was there before.

    Not while it may or may not come to be: then it could not be called off.
    """
    return to.taken_over is not None and own.taken_over is None and own.exists


def _mirroring(meeting: Meeting, **changes: Any) -> Meeting:
    return replace(meeting, mirror=replace(meeting.mirror, **changes))

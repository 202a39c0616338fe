"""What to do about a meeting: nothing, wait, or write these columns, and what each of them gets. All of it is pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from shared.meeting.appointment import Desired, Policy, fingerprint
from shared.meeting.gates import Situation, hold
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Hold, Meeting
from shared.meeting.mirror import STATES, Actual, Mirror, Refusal, State
from shared.meeting.parties import all_parties
from shared.meeting.transforms import FENCE, ORGANIZER, OWNER, PARTIES, STATE, TIMES


@dataclass(frozen=True, slots=True)
class Rules:
    """How to decide: the mapping, the plugin settings, and which id the appointment of a meeting gets."""

    mapping: MappingFile
    policy: Policy
    new_appointment_id: Callable[[MeetingKey], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next. `hold`: why nothing; `columns`: those to write; neither: nothing to do.

    `only_fence`: what is in doubt is wanted no longer, and a write is for the sake of the version alone. `compare`:
    only what differs from what is there.
    """

    columns: AbstractSet[str] = frozenset()
    hold: Hold | None = None
    only_fence: bool = False
    compare: bool = False

    @property
    def writes(self) -> bool:
        """Whether anything is to be done in Dynamics."""
        return bool(self.columns) or self.only_fence

    def reads(self, want: Desired) -> frozenset[str]:
        """The columns to look at before or after the write."""
        return frozenset(self.columns - {STATE}) | {FENCE, *([PARTIES] if self.lists_parties(want) else [])}

    def must_look(self, mirror: Mirror, want: Desired, actual: Actual | None) -> bool:
        """Whether the write needs to know what is there, and `actual` does not say.

        People may have added attendees; the whole list is replaced, so theirs must be in it. A column that is written
        for the version alone keeps what it holds. And whoever closes an appointment must be able to open it as it was.
        """
        if actual is not None:
            return self.lists_parties(want) and PARTIES not in actual.columns
        closes = STATE in self.columns and want.columns[STATE] != "open" and mirror.open_as is None
        return mirror.exists and (self.only_fence or self.compare or self.lists_parties(want) or closes)

    def lists_parties(self, want: Desired) -> bool:
        """Whether the list of parties is written: for the attendees in it, or for the organizer."""
        return PARTIES in self.columns or (OWNER in self.columns and want.organizer is not None)


def decide(meeting: Meeting, want: Desired, values: Mapping[str, Any], rules: Rules, *, again: bool = False) -> Plan:
    """What to do: nothing, wait for a reason, or write these columns. `values` are those behind `want`.

    `again`: whatever differs from what is there is written again, whoever changed it.
    """
    mirror = meeting.mirror
    differing = {name for name in want.columns if again or not is_applied(name, want, mirror)}
    nothing = mirror.exists and not differing and not mirror.doubt
    if nothing and not mirror.surplus:
        return Plan()
    held = hold(rules.mapping, rules.policy, Situation(mirror, want.columns, values))
    if held is not None or nothing:
        return Plan(hold=held)
    if not mirror.exists:
        # A new appointment is open by itself; to close it is a step of its own.
        columns = {
            name for name in want.columns if name != STATE or name in mirror.doubt or want.columns[name] != "open"
        }
        return Plan(frozenset(columns))
    columns = differing | (mirror.doubt & want.columns.keys())
    return Plan(columns, only_fence=not columns, compare=again)


def is_applied(column: str, want: Desired, mirror: Mirror) -> bool:
    """Whether Dynamics was last given the value that is wanted, and took it."""
    if column in mirror.refused:
        return False
    value, applied = want.columns[column], mirror.applied.get(column, _unset(column))
    if column == PARTIES and want.organizer is not None:
        # Rows of earlier versions have the organizer among the parties.
        return applied in {fingerprint(value), fingerprint(sorted([*value, want.organizer], key=str))}
    return applied == fingerprint(value)


def without_unset(want: Desired) -> Desired:
    """`want` for an appointment that is there: where Outreach says when it begins or when it ends no more, both stay.

    A start alone could come to lie behind the end that stays, and Dynamics would refuse the whole event.
    """
    unset = [name for name in TIMES if name in want.columns and want.columns[name] is None]
    if not unset:
        return want
    note = (
        f"Outreach says no {' and '.join(unset)} any more, and an appointment needs both: its times stay as they are."
    )
    columns = {name: value for name, value in want.columns.items() if name not in TIMES}
    return replace(want, columns=columns, notes=(*want.notes, note))


def without_refused(want: Desired, mirror: Mirror, mapping: MappingFile) -> Desired:
    """`want` without what Dynamics has refused and would refuse again: the same value, under the same mapping."""
    stands = {
        name
        for name, value in want.columns.items()
        if (refused := mirror.refused.get(name)) is not None and _is(refused, value, mapping)
    }
    times = stands.intersection(TIMES)
    moved = {
        name for name in TIMES if name in want.columns and name not in times and not is_applied(name, want, mirror)
    }
    if moved or not mirror.exists:
        stands -= times  # with the other one they may be right; and there is no appointment without
    organizer = mirror.refused.get(ORGANIZER)
    if organizer is not None and want.organizer is not None and _is(organizer, str(want.organizer), mapping):
        stands.add(ORGANIZER)
    return want.without(stands)


def _is(refused: Refusal, value: object, mapping: MappingFile) -> bool:
    return (refused.value, refused.mapping) == (fingerprint(value), mapping.digest)


def tried_again(mirror: Mirror, mapping: MappingFile) -> bool:
    """Whether a column was refused under another mapping."""
    return any(refused.mapping != mapping.digest for refused in mirror.refused.values())


def columns_to_write(mirror: Mirror, want: Desired, plan: Plan, actual: Actual | None) -> dict[str, Any]:
    """The columns of `plan` that differ from what is there, as far as that is known.

    The organizer is written with the owner, and with nothing else.
    """
    columns = {name: want.columns[name] for name in sorted(plan.columns)}
    if actual is None:
        return columns
    if plan.lists_parties(want):
        columns[PARTIES] = all_parties(
            want.columns[PARTIES] if PARTIES in plan.columns else None,
            want.organizer if OWNER in plan.columns else None,
            there=actual.columns.get(PARTIES) or (),
            sent=mirror.parties,
        )
    now = {**actual.columns, STATE: actual.state_name}
    return {name: value for name, value in columns.items() if name not in now or now[name] != value}


def is_proof(mirror: Mirror, actual: Actual) -> bool:
    """Whether no write that was begun can change any more what `actual` shows.

    A write that nobody heard of is fenced by the version in the row or by an earlier one. So where Dynamics has another
    one by now it will be refused, unless it is of several steps, whose later ones are fenced by what the first ones
    made: a new appointment that is closed, columns and the state, or a change for which it is opened.
    """
    alone = mirror.exists and mirror.doubt == {STATE}
    in_steps = mirror.give_back is not None or (STATE in mirror.doubt and not alone)
    return not mirror.doubt or (actual.version != mirror.version and not in_steps)


def state_to_end_in(mirror: Mirror, want: Desired) -> State | None:
    """Outreach's where that changed, else the one that was taken away for the change.

    Open is what it was before it was closed: a person may have shown the time as busy, or given a reason of their own.
    """
    wanted = want.columns.get(STATE)
    if wanted is None or (STATE not in mirror.doubt and mirror.give_back is not None):
        return mirror.give_back
    return mirror.open_as if wanted == "open" and mirror.open_as is not None else STATES[wanted]


def _unset(column: str) -> str | None:
    # An appointment is open until somebody says otherwise, so `open` needs no write.
    return fingerprint("open") if column == STATE else None

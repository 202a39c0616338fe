"""What to do about a meeting: nothing, wait, or write these columns, and what each of them gets. All of it is pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from shared.meeting.appointment import Desired, Policy, fingerprint
from shared.meeting.gates import REQUIRED, Situation, hold
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Hold, Meeting
from shared.meeting.mirror import STATES, Actual, Mirror, State
from shared.meeting.people import Party, Role
from shared.meeting.transforms import OWNER, PARTIES, REGARDING, STATE


@dataclass(frozen=True, slots=True)
class Rules:
    """How to decide: the mapping, the plugin settings, and which id the appointment of a meeting gets."""

    mapping: MappingFile
    policy: Policy
    new_appointment_id: Callable[[MeetingKey], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next. `hold`: why nothing; `columns`: those to write; neither: nothing to do.

    `only_fence`: what is in doubt is wanted no longer. `columns` then holds the one to write as it stands, for the sake
    of the version.
    """

    columns: AbstractSet[str] = frozenset()
    hold: Hold | None = None
    only_fence: bool = False

    def must_look(self, mirror: Mirror, actual: Actual | None) -> bool:
        """Whether the write needs to know what is there, and `actual` does not tell.

        People may have added attendees; the whole list is replaced, so theirs must be in it. And a column that is
        written for the version alone keeps what it holds, which may be theirs too.
        """
        needed = self.columns if self.only_fence else self.columns & {PARTIES}
        if actual is not None:
            return not needed <= actual.columns.keys()
        return mirror.exists and bool(needed)


def decide(meeting: Meeting, want: Desired, values: Mapping[str, Any], rules: Rules) -> Plan:
    """What to do: nothing, wait for a reason, or write these columns. `values` are those behind `want`."""
    mirror = meeting.mirror
    differing = {
        name for name, value in want.columns.items() if mirror.applied.get(name, _unset(name)) != fingerprint(value)
    }
    nothing = mirror.exists and not differing and not mirror.doubt
    if nothing and not mirror.surplus:
        return Plan()
    held = hold(rules.mapping, rules.policy, Situation(mirror, want.columns, values))
    if held is not None or nothing:
        return Plan(hold=held)
    if not mirror.exists:
        return Plan(frozenset(want.columns))
    columns = differing | (mirror.doubt & want.columns.keys())
    return Plan(columns) if columns else Plan(_fence(want.columns), only_fence=True)


def without_unset(want: Desired) -> Desired:
    """`want` for an appointment that is there: where Outreach says when it begins or when it ends no more, both stay.

    A start alone could come to lie behind the end that stays, and Dynamics would refuse the whole event.
    """
    unset = [name for name in REQUIRED if name in want.columns and want.columns[name] is None]
    if not unset:
        return want
    note = (
        f"Outreach says no {' and '.join(unset)} any more, and an appointment needs both: its times stay as they are."
    )
    columns = {name: value for name, value in want.columns.items() if name not in REQUIRED}
    return replace(want, columns=columns, notes=(*want.notes, note))


def columns_to_write(mirror: Mirror, want: Desired, plan: Plan, actual: Actual | None) -> dict[str, Any]:
    """The columns of `plan` that differ from what is there, as far as that is known."""
    columns = {name: want.columns[name] for name in sorted(plan.columns)}
    if actual is None:
        return columns
    if PARTIES in columns:
        columns[PARTIES] = _with_theirs(columns[PARTIES], actual.columns.get(PARTIES) or (), mirror.parties)
    now = {**actual.columns, STATE: actual.state_name}
    differing = {name: value for name, value in columns.items() if name not in now or now[name] != value}
    if differing and not plan.only_fence:
        return differing
    # Rule 3: at least one write of our own, or a slower one could still land after we called it settled.
    return {name: now[name] for name in _fence(columns)}


def state_to_end_in(mirror: Mirror, want: Desired) -> State | None:
    """Outreach's where that changed, else the one that was taken away for the change."""
    wanted = want.columns.get(STATE)
    if wanted is not None and (STATE in mirror.doubt or mirror.give_back is None):
        return STATES[wanted]
    return mirror.give_back


def _unset(column: str) -> str | None:
    # An appointment is open until somebody says otherwise, so `open` needs no write.
    return fingerprint("open") if column == STATE else None


def _fence(columns: Collection[str]) -> frozenset[str]:
    """The one column to write where a write is needed for its version alone: the cheapest there is.

    A plain one, where there is one: what a person put into a lookup may be of a kind that we have no name for.
    """
    return frozenset(sorted(columns, key=lambda name: (name in {PARTIES, STATE}, name in {OWNER, REGARDING}, name))[:1])


def _with_theirs(ours: Collection[Party], actual: Collection[Party], ever_sent: frozenset[Party]) -> list[Party]:
    """Our parties and those that somebody added in Dynamics: present there, never sent by us."""
    # An appointment has one organizer: where we name one, whoever stood there before gives way.
    taken = {Role.ORGANIZER} & {party.role for party in ours}
    theirs = {party for party in actual if party not in ever_sent and party.role not in taken}
    return sorted({*ours, *theirs}, key=str)

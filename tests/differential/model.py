"""What must be in Dynamics at the end of a history, by what the pages promise and by nothing else.

It imports nothing of the product, and a test holds it to that. It does one step after the other, keeps no versions and
knows no failures, so it can be short. Whose value counts: a person's, until Outreach changes that column.

Where two values are right, it names both: what Outreach wanted only for a while, when nothing could be written, may
have gone out or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.differential.steps import Allow, Delete, Edit, History, Outage, Refuse, Restart, Say, Step, Wait
from tests.differential.told import CONTACTS, USERS, Told, read_time

REQUIRED = 5
# statecode and statuscode
State = tuple[int, int]
STATES: Mapping[str, State] = {"open": (0, 1), "completed": (1, 3), "canceled": (2, 4)}
ANY = "anything"
# What a column is where nobody has written it.
EMPTY: Mapping[str, Any] = {
    "subject": None,
    "description": None,
    "location": None,
    "is_all_day": False,
    "regarding": None,
    "owner": ANY,
    "organizer": None,
    "state": STATES["open"],
}
Parties = Mapping[str, int]


@dataclass
class Appointment:
    """An appointment.

    columns  by name, the values that are right
    parties  the lists of attendees that are right: who, by record or address, in which role
    open_as  the state that it had when it was last open
    """

    columns: dict[str, set[Any]] = field(default_factory=lambda: {name: {value} for name, value in EMPTY.items()})
    parties: list[Parties] = field(default_factory=lambda: [{}])
    open_as: State = STATES["open"]

    @property
    def is_closed(self) -> bool:
        """Whether it is completed or canceled."""
        return any(state[0] in {1, 2} for state in self.columns["state"])


@dataclass
class Meeting:
    """One meeting.

    given    by column, what Outreach wanted when it last went out
    taken    the same, as far as Dynamics took it
    invited  whom the app wrote into the list of attendees
    waiting  columns that Outreach has changed since, each with all that it wanted meanwhile
    wishes   Created On and Created By, as they were each time when the appointment could have been made
    deleted  a person deleted the appointment, and nothing has gone out since
    unsure   nothing promises how it ends: it depends on what went out when
    """

    told: Told = field(default_factory=Told)
    appointment: Appointment | None = None
    given: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, Any] = field(default_factory=dict)
    invited: frozenset[str] = frozenset()
    waiting: dict[str, set[Any]] = field(default_factory=dict)
    wishes: set[tuple[Any, Any]] = field(default_factory=set)
    deleted: bool = False
    unsure: bool = False


class Model:
    """Carries out a history by what is right."""

    def __init__(self, history: History) -> None:
        self.meetings: dict[int, Meeting] = {}
        self._cancels = history.on_cancel == "cancel"
        self._strict = history.strict
        self._refused: set[tuple[str, int]] = set()
        self._pushing = True
        for step in history.steps:
            self._do(step)

    def _do(self, step: Step) -> None:
        match step:
            case Say():
                self._hear(step)
                self._send(self.meetings[step.meeting])
            case Outage(_, says):
                self._after_outage(says)
            case Edit(meeting) | Delete(meeting) if meeting in self.meetings:
                self._person(self.meetings[meeting], step)
            case Refuse(what, user):
                self._refused.add((what, user))
            case Allow():
                self._refused.clear()
            case Restart(pushing):
                self._pushing = pushing
            case Wait():
                self._timer()

    def _after_outage(self, says: tuple[Say, ...]) -> None:
        for say in says:
            self._hear(say)
        for number in {say.meeting: None for say in says}:
            self._send(self.meetings[number])

    def _timer(self) -> None:
        """What waited while nothing was to be sent goes out."""
        for meeting in self.meetings.values():
            if meeting.waiting:
                self._send(meeting)

    def _hear(self, say: Say) -> None:
        meeting = self.meetings.setdefault(say.meeting, Meeting())
        before = self._wanted(meeting)
        meeting.told.hear(say)
        for column, value in self._wanted(meeting).items():
            if value != before.get(column, _untold(column)):
                meeting.waiting.setdefault(column, set()).add(value)
        if meeting.appointment is None and meeting.told.may_be_made:
            meeting.wishes.add(meeting.told.created)

    def _wanted(self, meeting: Meeting) -> dict[str, Any]:
        return meeting.told.wanted(cancels=self._cancels)

    # What goes out.

    def _send(self, meeting: Meeting) -> None:
        if not self._pushing:
            return
        if meeting.appointment is not None:
            self._change(meeting, meeting.appointment)
        elif not meeting.deleted or meeting.waiting:  # that a person deleted it is noticed with the next change
            meeting.deleted = False
            if meeting.told.may_be_made:
                self._create(meeting)
            elif meeting.wishes:
                meeting.unsure = True

    def _create(self, meeting: Meeting) -> None:
        created = meeting.wishes | {meeting.told.created}
        made = meeting.appointment = Appointment()
        made.columns["created_on"] = {on or ANY for on, _ in created}
        made.columns["created_by"] = {ANY if by is None or self._is_refused("owner", by) else by for _, by in created}
        refused = {name for name, value in meeting.given.items() if meeting.taken.get(name, _untold(name)) != value}
        meeting.given, meeting.taken, meeting.invited = {}, {}, frozenset()
        for column, value in self._wanted(meeting).items():
            if column in refused:  # of the appointment before; a new one may be asked again or not
                self._perhaps(meeting, made, column, value)
                meeting.given[column] = value
            else:
                self._write(meeting, made, column, value)
        meeting.wishes.clear()
        meeting.waiting.clear()

    def _change(self, meeting: Meeting, there: Appointment) -> None:
        wanted = self._wanted(meeting)
        for column, value in wanted.items():
            if meeting.given.get(column, _untold(column)) != value:
                self._write(meeting, there, column, value)
            elif column in meeting.waiting:
                self._perhaps(meeting, there, column, value)
        for column in meeting.waiting.keys() - wanted.keys():
            for value in meeting.waiting[column]:
                self._perhaps(meeting, there, column, value)
        meeting.waiting.clear()

    def _write(self, meeting: Meeting, there: Appointment, column: str, value: Any) -> None:
        refused_before = meeting.given.get(column) != meeting.taken.get(column)
        meeting.given[column] = value
        if refused_before and meeting.taken.get(column, _untold(column)) == value:
            self._perhaps(meeting, there, column, value)  # Dynamics has it, unless a person changed it since
        elif not self._is_refused(column, value):
            meeting.taken[column] = value
            self._put(meeting, there, column, value)
            if column == "attendees":
                # Whether a list without required attendees takes away those who were there is not documented.
                replaced = any(REQUIRED in one.values() for one in there.parties)
                meeting.invited = value if replaced else value | meeting.invited

    def _perhaps(self, meeting: Meeting, there: Appointment, column: str, value: Any) -> None:
        """It may have gone out or not."""
        if self._is_refused(column, value):
            return
        columns, parties = {name: set(values) for name, values in there.columns.items()}, list(there.parties)
        self._put(meeting, there, column, value)
        there.columns = {name: there.columns[name] | columns[name] for name in there.columns}
        there.parties += [one for one in parties if one not in there.parties]

    def _is_refused(self, column: str, value: Any) -> bool:
        if column == "owner":
            return any(what == "owner" and USERS[user] == value for what, user in self._refused)
        return (column, 0) in self._refused

    def _put(self, meeting: Meeting, there: Appointment, column: str, value: Any) -> None:
        match column:
            case "attendees":
                there.parties = [_invited(value, one, by_us=meeting.invited) for one in there.parties]
            case "owner":
                there.columns["owner"] = there.columns["organizer"] = {value}
            case "state":
                _set_state(there, value)
            case "start" | "end" if _contradicts(there, column, value):
                # A person moved both, and Outreach one of them to the wrong side: nothing promises what becomes of it.
                meeting.unsure = True
            case _:
                there.columns[column] = {value}

    # What people do in Dynamics.

    def _person(self, meeting: Meeting, step: Edit | Delete) -> None:
        there = meeting.appointment
        if there is None:
            return
        if isinstance(step, Delete):
            meeting.appointment, meeting.deleted = None, True
            return
        if step.state is not None:
            there.columns["state"] = {step.state}
            there.open_as = step.state if not there.is_closed else there.open_as
        may_own = not step.owner or not self._is_refused("owner", USERS[step.owner])
        if may_own and not (self._strict and there.is_closed):
            _edit(there, step)


def _edit(there: Appointment, step: Edit) -> None:
    for name, value in step.columns.items():
        there.columns[name] = {read_time(value) if name in {"start", "end"} else value}
    if step.owner:
        there.columns["owner"] = there.columns["organizer"] = {USERS[step.owner]}
    there.parties = [_with_roles(one, step) for one in there.parties]


def _with_roles(parties: Parties, step: Edit) -> Parties:
    given = {CONTACTS[number]: role for number, role in step.roles.items()}
    changed = {who: given.get(who, role) for who, role in parties.items()}
    kept = {who: role for who, role in changed.items() if role is not None}
    return {CONTACTS[step.guest]: REQUIRED, **kept} if step.guest else kept


def _invited(ours: frozenset[str], there: Parties, *, by_us: frozenset[str]) -> Parties:
    """Ours in the roles that they have there, and whoever was not invited by us."""
    theirs = {who: role for who, role in there.items() if who not in by_us | ours}
    return {**theirs, **{who: there.get(who, REQUIRED) for who in ours}}


def _set_state(there: Appointment, value: str) -> None:
    """Closed by Outreach, or open as it was before."""
    opened = {state for state in there.columns["state"] if state[0] not in {1, 2}}
    if value != "open":
        there.open_as = min(opened, default=there.open_as)
        there.columns["state"] = {STATES[value]}
    elif there.is_closed:
        there.columns["state"] = opened | {there.open_as}


def _contradicts(there: Appointment, column: str, value: Any) -> bool:
    others = there.columns.get("end" if column == "start" else "start", set())
    return any(value > other if column == "start" else other > value for other in others)


def _untold(column: str) -> Any:
    """What Outreach wants of a column of which it has not spoken: an appointment is open. Else it is no value."""
    return "open" if column == "state" else ANY


def differences(model: Model, actual: Mapping[int, Mapping[str, Any] | None]) -> Iterator[str]:
    """One sentence for everything in `actual`, which is by meeting, that is not as it must be."""
    for number, meeting in model.meetings.items():
        there, right = actual.get(number), meeting.appointment
        if meeting.unsure or (there is None and right is None):
            continue
        if there is None or right is None:
            yield f"meeting {number}: there is {'no' if there is None else 'an'} appointment"
            continue
        parties = {tuple(sorted(one.items())) for one in right.parties}
        for name, allowed in {**right.columns, "parties": parties}.items():
            if ANY not in allowed and there[name] not in allowed:
                yield f"meeting {number}: {name} is {there[name]!r}, must be {' or '.join(map(repr, allowed))}"

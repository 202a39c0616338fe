"""What a person does in Dynamics, and whether Outreach then has any reason to touch it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from shared.meeting.appointment import collapse, desired, fingerprint, references
from shared.meeting.decide import Rules
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.merge import Facts, Stamped, merge
from shared.meeting.mirror import OPEN
from shared.meeting.people import Party, Role
from shared.meeting.transforms import OWNER, PARTIES, STATE
from tests.simulation.interned import Version
from tests.simulation.scenario import MEETING, Connections, Edit, Event
from tests.simulation.stores import Crm, Table, Theirs, with_appointment, without


def wanted(fields: Facts, rules: Rules, *, missing: frozenset[str] = frozenset()) -> Mapping[str, Any]:
    """The columns that the merge so far asks for."""
    values = collapse(fields, rules.mapping)
    connections = Connections(missing)
    people = {
        reference: connections.person(reference, refresh=bool(missing))
        for reference in references(values, rules.mapping)
    }
    return desired(values, mapping=rules.mapping, people=people, policy=rules.policy).columns


def merged(events: Iterable[Event]) -> Facts:
    """The merge of events."""
    return reduce(lambda fields, one: merge(fields, one.fields).facts, events, dict[str, Stamped]())


def do_edit(
    edit: Edit,
    crm: Crm,
    table: Table,
    *,
    fresh: Version,
    pending: Iterable[Event],
    events: Iterable[Event],
    rules: Rules,
    missing: frozenset[str],
    there: Collection[str] = (),
) -> Crm:
    """Dynamics after `edit` of the one appointment there is. `pending`: events that are not through; `events`: all.

    `there`: appointments that the plugin made.
    """
    (appointment_id, now), *_ = crm.appointments.items()
    if edit.deletes:
        in_the_end = wanted(merged(events), rules, missing=missing)
        complete = all(now.ours.get(name) == value for name, value in in_the_end.items() if name != STATE)
        return without(crm, appointment_id, deleted="complete" if complete else "incomplete")
    touched = changing(table, pending, rules=rules, missing=missing)
    saved = {**edit.columns, **({OWNER: str(edit.owner)} if edit.owner else {})}
    state = now.state
    if edit.state:
        saved[STATE] = state = edit.state
    over = {STATE: _to_be_given_back(table) or now.ours.get(STATE, OPEN)}
    theirs = {name: Theirs(value, over.get(name, now.ours.get(name))) for name, value in saved.items()}
    parties = now.columns.get(PARTIES) or ()
    shown = {name: value for name, value in saved.items() if name != STATE}
    if edit.guest:
        shown[PARTIES] = sorted({*parties, edit.guest}, key=str)
    if edit.owner:
        attendees = {party for party in parties if party.role is not Role.ORGANIZER}
        shown[PARTIES] = sorted({*attendees, Party(Role.ORGANIZER, edit.owner)}, key=str)
    if appointment_id in there:
        # Who fills an empty column before we do has a value of their own in it, as if we had been first.
        due = wanted(merged(events), rules, missing=missing)
        filled = {name: due.get(name) for name in edit.columns if name not in now.ours}
        theirs |= {name: Theirs(saved[name], value) for name, value in filled.items()}
        touched -= filled.keys()
        now = replace(now, ours={**now.ours, **filled})
    changed = replace(
        now,
        version=fresh,
        state=state,
        columns={**now.columns, **shown},
        theirs={**now.theirs, **theirs},
        kept={**now.kept, **{name: value for name, value in saved.items() if name not in touched}},
        guests=now.guests | ({edit.guest} if edit.guest else set()),
    )
    return with_appointment(crm, appointment_id, changed)


def changing(table: Table, pending: Iterable[Event], *, rules: Rules, missing: frozenset[str]) -> frozenset[str]:
    """The columns that somebody in Outreach has changed and Dynamics has not been confirmed to have yet.

    A column counts where the row says so (in doubt, or wanted otherwise than applied), and where any event that is not
    yet through could still change it, alone or with the others.
    """
    meeting = _speaks_for_the_meeting(table)
    if meeting is None:
        return frozenset(_every_column(rules))
    mirror = meeting.mirror
    now = wanted(meeting.facts, rules, missing=missing)
    unset = {STATE: fingerprint("open")}
    found = set(mirror.doubt)
    if mirror.give_back is not None:
        found.add(STATE)
    found |= {name for name, value in now.items() if mirror.applied.get(name, unset.get(name)) != fingerprint(value)}
    together = meeting.facts
    for event in pending:
        together = merge(together, event.fields).facts
        for facts in (merge(meeting.facts, event.fields).facts, together):
            then = wanted(facts, rules, missing=missing)
            found |= {name for name in now.keys() | then.keys() if now.get(name) != then.get(name)}
            found |= then.keys() - now.keys()
    return frozenset(found)


def _to_be_given_back(table: Table) -> tuple[int, int] | None:
    meeting = _speaks_for_the_meeting(table)
    return meeting.mirror.give_back if meeting else None


def _speaks_for_the_meeting(table: Table) -> Meeting | None:
    """The one row that knows everything; None while a calendar event and the meeting each know something."""
    row = table.rows.get(MEETING)
    taken_in = row.meeting.aliases.known if row else frozenset[MeetingKey]()
    speaking = [row.meeting for key, row in table.rows.items() if key not in taken_in]
    return speaking[0] if len(speaking) == 1 else None


def _every_column(rules: Rules) -> set[str]:
    return {row.column for row in rules.mapping.rows} | {STATE, PARTIES}

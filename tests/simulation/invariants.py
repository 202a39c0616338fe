"""The promises, checked when all is quiet: every event was delivered until its worker ended well, nothing is on its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.meeting.apply import CANCELED, STATES, Rules
from shared.meeting.appointment import fingerprint
from shared.meeting.meeting import MeetingState
from shared.meeting.transforms import PARTIES, STATE
from tests.simulation.people import merged, wanted
from tests.simulation.scenario import MEETING, Scenario
from tests.simulation.stores import Appointment, Crm, Table
from tests.simulation.world import Simulation, Violation, World


def check(simulation: Simulation, world: World) -> None:
    """Raise `Violation` with every promise that does not hold.

    Always: there is at most one appointment, and the row of a meeting knows of its dead letters (while a calendar event
    is being linked, one of the two rows does). The rest: when quiet.
    """
    stores = simulation.stores(world)
    problems = []
    if len(stores.crm.appointments) > 1 and not simulation.scenario.apart:
        problems.append(f"{len(stores.crm.appointments)} appointments of one meeting")
    problems += _unknown_letters(stores.table, simulation.dead(world))
    if simulation.is_quiet(world):
        problems += _problems(simulation.scenario, simulation.rules[world.rules], stores.table, stores.crm)
    if problems:
        raise Violation("; ".join(problems))


def _problems(scenario: Scenario, rules: Rules, table: Table, crm: Crm) -> Iterator[str]:
    accepted = merged(scenario.told)
    row = table.rows.get(str(MEETING))
    if row is None:
        yield "the meeting has no row"
        return
    if row.state.fields != accepted:
        yield f"the row holds {dict(row.state.fields)}, accepted was {dict(accepted)}"
    if row.state.doubt:
        yield f"in doubt: {sorted(row.state.doubt)}"
    if row.state.closed_as:
        yield "a state is still to be given back"
    for name, one in crm.appointments.items():
        if name != row.state.appointment_id and one.state != CANCELED:
            yield f"{name} is one too many"
    leave = rules.mapping.deleted_in_dynamics == "leave"
    appointment = crm.appointments.get(row.state.appointment_id)
    if appointment is None:
        if not crm.deleted or (crm.deleted == "incomplete" and not leave):
            yield "there is no appointment"
        return
    if crm.deleted and leave and not scenario.apart:
        yield "a deleted appointment is there again"
    yield from _columns(appointment, wanted(accepted, rules, missing=scenario.organisation.missing))
    yield from _applied(row.state, appointment)


def _unknown_letters(table: Table, dead: frozenset[str]) -> Iterator[str]:
    for name, letter in table.letters.items():
        own = table.rows.get(letter.meeting)
        meeting = table.rows.get(own.state.moved_to) if own is not None else None
        rows = [row for row in (own, meeting) if row is not None]
        if meeting is not None and letter.meeting in meeting.state.copies:
            rows = [meeting]
        if name in dead and not any(row.state.unsettled for row in rows):
            yield f"the row does not know of {name}"


def _columns(now: Appointment, want: Mapping[str, Any]) -> Iterator[str]:
    """Every column is as the merge says, or as a person left it after Outreach's last word on it."""
    for name, value in want.items():
        if name == PARTIES:
            yield from _parties(now, set(value))
            continue
        due = STATES[value] if name == STATE else value
        actual = now.state if name == STATE else now.columns.get(name)
        theirs = now.theirs.get(name)
        by_person = theirs is not None and theirs.value == actual and theirs.over == due
        if actual != due and not by_person:
            yield f"{name} is {actual!r}, the merge says {due!r}"
    for name, value in now.kept.items():
        actual = now.state if name == STATE else now.columns.get(name)
        if actual != value:
            yield f"{name} is {actual!r}, but a person wrote {value!r} and nobody in Outreach changed it"


def _parties(now: Appointment, ours: set[str]) -> Iterator[str]:
    actual = set(now.columns.get(PARTIES) or ())
    if missing := ours - actual:
        yield f"parties {sorted(map(str, missing))} are missing"
    if lost := now.guests - actual:
        yield f"parties {sorted(map(str, lost))}, added by a person, are lost"
    if extra := actual - ours - now.guests:
        yield f"parties {sorted(map(str, extra))} should have gone"


def _applied(state: MeetingState, now: Appointment) -> Iterator[str]:
    """The row says of no column that Dynamics has a value which Outreach's side did not write last, or which is not there."""
    for name, remembered in state.applied.items():
        if name == STATE:
            known: set[Any] = {
                code for code, pair in STATES.items() if pair in {now.state, now.ours.get(STATE, (0, 1))}
            }
            known |= {code for code in STATES if STATE in now.theirs}
        elif name == PARTIES:
            known_parties = sorted(set(now.ours.get(PARTIES) or ()) - now.guests, key=str)
            if fingerprint(known_parties) != remembered:
                yield f"{name}: the row remembers {remembered}, Dynamics was last given {known_parties}"
            continue
        else:
            known = {now.ours.get(name), now.columns.get(name)}
        if remembered not in {fingerprint(value) for value in known}:
            yield f"{name}: the row remembers {remembered}, Dynamics has {now.columns.get(name)!r}"

"""The promises, checked when all is quiet: every event was delivered until its worker ended well, nothing is on its way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.meeting.appointment import fingerprint
from shared.meeting.decide import Rules
from shared.meeting.identity import MeetingKey
from shared.meeting.merge import Facts
from shared.meeting.mirror import CANCELED, STATES, Mirror
from shared.meeting.people import Party, Role
from shared.meeting.transforms import OWNER, PARTIES, STATE
from tests.simulation.people import merged, wanted
from tests.simulation.scenario import MEETING, Event, Scenario
from tests.simulation.stores import Appointment, Crm, Table
from tests.simulation.world import Simulation, Violation, World


def check(simulation: Simulation, world: World) -> None:
    """Raise `Violation` with every promise that does not hold.

    Always: there is at most one appointment, and the row of a meeting knows of its dead letters (while a calendar event
    is being linked, one of the two rows does). The rest: when quiet.
    """
    stores = simulation.stores(world)
    problems = []
    scenario = simulation.scenario
    if len(stores.crm.appointments) > (len({one.key for one in scenario.sent}) if scenario.strangers else 1) and (
        not scenario.apart
    ):
        problems.append(f"{len(stores.crm.appointments)} appointments of one meeting")
    problems += _unknown_dead_letters(stores.table, simulation.dead(world))
    if simulation.is_quiet(world):
        problems += _problems(scenario, simulation.rules[world.rules], stores.table, stores.crm)
    if problems:
        raise Violation("; ".join(problems))


def _problems(scenario: Scenario, rules: Rules, table: Table, crm: Crm) -> Iterator[str]:
    if not scenario.strangers:
        yield from _problems_of(_chain(MEETING, table)[-1], scenario.sent, scenario, rules, table, crm)
        return
    keys = sorted({one.key for one in scenario.sent})
    for key in keys:
        alone = replace(table, rows={key: table.rows[key]} if key in table.rows else {})
        sent = [one for one in scenario.sent if one.key == key]
        found = table.rows.get(key)
        own = found.meeting.mirror.appointment_id if found else ""
        its = replace(crm, appointments={name: one for name, one in crm.appointments.items() if name == own})
        yield from (f"{key}: {problem}" for problem in _problems_of(key, sent, scenario, rules, alone, its))
    taken = [row.meeting.mirror.appointment_id for row in table.rows.values()]
    yield from (
        f"{name} is that of several meetings" for name in sorted({one for one in taken if taken.count(one) > 1})
    )
    yield from (f"{name} is nobody's" for name in sorted(crm.appointments.keys() - set(taken)))


def _problems_of(
    key: MeetingKey, sent: Collection[Event], scenario: Scenario, rules: Rules, table: Table, crm: Crm
) -> Iterator[str]:
    accepted = merged(sent)
    row = table.rows.get(key)
    if row is None:
        yield "the meeting has no row"
        return
    mirror = row.meeting.mirror
    if row.meeting.facts != accepted:
        yield f"the row holds {dict(row.meeting.facts)}, accepted was {dict(accepted)}"
    if mirror.doubt:
        yield f"in doubt: {sorted(mirror.doubt)}"
    if mirror.give_back:
        yield "a state is still to be given back"
    yield from (
        f"{key} does not know of {other}" for other in table.rows.keys() - {key} if not _knows(key, other, table)
    )
    yield from _appointment(mirror, accepted, scenario, rules, crm)


def _appointment(mirror: Mirror, accepted: Facts, scenario: Scenario, rules: Rules, crm: Crm) -> Iterator[str]:
    for name, one in crm.appointments.items():
        # One that was there before may be claimed for a record that turns out to be this meeting just when that is
        # getting its own: it is left alone.
        if name not in {mirror.appointment_id, *scenario.there} and one.state != CANCELED:
            yield f"{name} is one too many"
    leave = rules.mapping.deleted_in_dynamics == "leave"
    appointment = crm.appointments.get(mirror.appointment_id)
    if appointment is None:
        if not crm.deleted or (crm.deleted == "incomplete" and not leave):
            yield "there is no appointment"
        return
    if crm.deleted and leave and not scenario.apart:
        yield "a deleted appointment is there again"
    yield from _said_to_be_refused(mirror, scenario)
    yield from _columns(appointment, mirror, wanted(accepted, rules, missing=scenario.organisation.missing))
    yield from _applied(mirror, appointment)


def _unknown_dead_letters(table: Table, dead: frozenset[str]) -> Iterator[str]:
    for name, dead_letter in table.dead_letters.items():
        chain = _chain(MeetingKey.parse(dead_letter.meeting), table)
        rows = [table.rows[key].meeting for key in chain if key in table.rows]
        if rows and set(chain[:-1]) <= rows[-1].aliases.known:
            rows = rows[-1:]
        if name in dead and not any(meeting.unsettled for meeting in rows):
            yield f"the row does not know of {name}"


def _knows(key: MeetingKey, alias: MeetingKey, table: Table) -> bool:
    return _chain(alias, table)[-1] == key and alias in table.rows[key].meeting.aliases.known


def _chain(key: MeetingKey, table: Table) -> list[MeetingKey]:
    """`key`, what it turned out to be, what that turned out to be, and so on; of a ring, the meeting counts."""
    chain = [key]
    while (row := table.rows.get(chain[-1])) and (following := row.meeting.aliases.meeting):
        if following in chain:
            return [*(one for one in chain if one != MEETING), MEETING]
        chain.append(following)
    return chain


def _said_to_be_refused(mirror: Mirror, scenario: Scenario) -> Iterator[str]:
    for name in mirror.refused.keys() - scenario.organisation.refuses:
        yield f"{name} is said to be refused, and was not"


def _columns(now: Appointment, mirror: Mirror, want: Mapping[str, Any]) -> Iterator[str]:
    """Every column is as the merge says, or as a person left it since, or the row says that this value was refused."""
    for name, value in want.items():
        if name == PARTIES:
            yield from _parties(now, set(value))
            continue
        due = STATES[value] if name == STATE else value
        actual = now.state if name == STATE else now.columns.get(name)
        theirs = now.theirs.get(name)
        by_person = theirs is not None and theirs.value == actual and theirs.over == due
        refused = mirror.refused.get(name)
        if refused is not None and refused.value == fingerprint(value):
            continue
        if actual != due and not by_person:
            yield f"{name} is {actual!r}, the merge says {due!r}"
    yield from _organizer(now)
    for name, value in now.kept.items():
        actual = now.state if name == STATE else now.columns.get(name)
        if actual != value:
            yield f"{name} is {actual!r}, but a person wrote {value!r} and nobody in Outreach changed it"


def _organizer(now: Appointment) -> Iterator[str]:
    """Whoever moved the owner moved the organizer too; so do we, and only then."""
    organizers = [str(party.who) for party in now.columns.get(PARTIES) or () if party.role is Role.ORGANIZER]
    if organizers != [owner for owner in [now.columns.get(OWNER)] if owner]:
        yield f"organized by {organizers}, owned by {now.columns.get(OWNER)}"


def _parties(now: Appointment, ours: set[Party]) -> Iterator[str]:
    actual = {party for party in now.columns.get(PARTIES) or () if party.role is not Role.ORGANIZER}
    if missing := ours - actual:
        yield f"parties {sorted(map(str, missing))} are missing"
    if lost := now.guests - actual:
        yield f"parties {sorted(map(str, lost))}, added by a person, are lost"
    if extra := actual - ours - now.guests:
        yield f"parties {sorted(map(str, extra))} should have gone"


def _applied(mirror: Mirror, now: Appointment) -> Iterator[str]:
    """The row says of no column that Dynamics has a value which Outreach's side did not write last, or which is not there."""
    for name, remembered in mirror.applied.items():
        if name == STATE:
            known: set[Any] = {
                code for code, pair in STATES.items() if pair in {now.state, now.ours.get(STATE, (0, 1))}
            }
            known |= {code for code in STATES if STATE in now.theirs}
        elif name == PARTIES:
            ours = {party for party in now.ours.get(PARTIES) or () if party.role is not Role.ORGANIZER}
            known_parties = sorted(ours - now.guests, key=str)
            if fingerprint(known_parties) != remembered:
                yield f"{name}: the row remembers {remembered}, Dynamics was last given {known_parties}"
            continue
        else:
            known = {now.ours.get(name), now.columns.get(name)}
        if remembered not in {fingerprint(value) for value in known}:
            yield f"{name}: the row remembers {remembered}, Dynamics has {now.columns.get(name)!r}"

"""Who takes part in an appointment: one person once, however they are named, in the role that a person gave them.

One person may be known by a contact, a lead, a user and an address; the parties in Dynamics are ours, or those that
people there have added or changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from shared.meeting.people import CrmRecord, Party, Role


def is_same_person(one: Party, other: Party) -> bool:
    """Whether both name one person: by a record, or else by an address.

    People share addresses. Where both have a record in one table, and not the same one, they are two.
    """
    common = one.names & other.names
    if any(isinstance(name, CrmRecord) for name in common):
        return True
    return bool(common) and not _tables(one) & _tables(other)


def each_once(parties: Iterable[Party]) -> list[Party]:
    """`parties` without those who are in the list already: the first one counts, and is known by the others' names."""
    once: list[Party] = []
    for party in parties:
        place = next((place for place, known in enumerate(once) if is_same_person(known, party)), None)
        if place is None:
            once.append(party)
        else:
            once[place] = _also(once[place], party)
    return once


def all_parties(
    attendees: Collection[Party] | None,
    organizer: Party | None,
    *,
    there: Collection[Party] = (),
    sent: AbstractSet[Party] = frozenset(),
) -> list[Party]:
    """The whole list to write, sorted, for an appointment that has the parties `there`.

    `attendees`: ours as they should be; None: those that are there stay. `organizer`: None: whoever is there stays.
    `sent`: attendees that we sent before. Who is there and not among them was added by a person, and stays; a role that
    a person changed stays too, as long as we want somebody there at all.
    """
    organizers = [party for party in there if party.role is Role.ORGANIZER] if organizer is None else [organizer]
    present = [party for party in there if party.role is not Role.ORGANIZER]
    if organizer is not None:
        present = [party for party in present if not is_same_person(party, organizer)]
    if attendees is None:
        return sorted({*organizers, *present}, key=str)
    brought = {party.who for party in sent if party.role is not Role.ORGANIZER}
    wanted = []
    for attendee in each_once(attendees):
        if any(is_same_person(attendee, party) for party in organizers):
            continue
        same = [party for party in present if is_same_person(attendee, party)]
        present = [party for party in present if party not in same]
        wanted.append(_as_people_have_it(attendee, [party for party in same if party not in sent], brought))
    theirs = [party for party in present if party.who not in brought]
    return sorted({*organizers, *wanted, *theirs}, key=str)


def still_ours(
    sent: AbstractSet[Party], ours: Collection[Party], written: Collection[Party] | None
) -> frozenset[Party]:
    """Which of `sent` may stand there after `written` was: whoever does not, and is added later, is a person's.

    `written`: None: the list was right as it was. Whether an update replaces the roles that it does not list is not
    documented.
    """
    if written is None:
        return frozenset(ours)
    replaced = {party.role for party in written}
    return frozenset(ours).union(party for party in sent if party.role not in replaced)


def _as_people_have_it(ours: Party, theirs: Collection[Party], brought: AbstractSet[CrmRecord | str]) -> Party:
    """Our attendee in the role that a person gave, and by the record that a person chose."""
    if not theirs:
        return ours
    given = min(theirs, key=lambda party: (isinstance(party.who, str), str(party)))
    chosen = not isinstance(given.who, str) and given.who not in brought
    return replace(ours, role=given.role, who=given.who if chosen else ours.who)


def _also(party: Party, other: Party) -> Party:
    return replace(party, known_as=party.known_as | other.names)


def _tables(party: Party) -> set[str]:
    return {name.table for name in party.names if isinstance(name, CrmRecord)}

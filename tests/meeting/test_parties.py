from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.parties import all_parties, each_once, is_same_person, still_ours
from shared.meeting.people import CrmRecord, Party, Role
from tests.samples import law

ANN, ANNS_LEAD, ANN_AS_USER = CrmRecord("contact", "ann"), CrmRecord("lead", "ann"), CrmRecord("systemuser", "ann")
BEN, ANNS_ADDRESS = CrmRecord("contact", "ben"), "ann@example.com"
REP, OTHER_REP = CrmRecord("systemuser", "rep"), CrmRecord("systemuser", "other")

# Six people, each with every kind of name: a person of these tests is a number.
PEOPLE = range(6)


def names(person: int) -> list[CrmRecord | str]:
    """All that a person may be named by."""
    return [*(CrmRecord(table, str(person)) for table in ("contact", "lead", "systemuser")), f"p{person}@example.com"]


def who_is(party: Party) -> int:
    """The person behind a party."""
    return next(person for person in PEOPLE if party.who in names(person))


def party(role: Role, who: CrmRecord | str, *also: CrmRecord | str) -> Party:
    """A party, and what else the person is known by."""
    return Party(role, who, frozenset(also))


@st.composite
def parties(draw: st.DrawFn, roles: Collection[Role], *, known: bool = True) -> Party:
    """Somebody, by any of their names; all the others are known."""
    person = draw(st.sampled_from(PEOPLE))
    of = names(person)
    return Party(
        draw(st.sampled_from(sorted(roles))), draw(st.sampled_from(of)), frozenset(of) if known else frozenset()
    )


ATTENDEES = st.lists(parties([Role.REQUIRED]), max_size=5).map(each_once)
THERE = st.lists(parties([Role.REQUIRED, Role.OPTIONAL]), max_size=5)
ORGANIZERS = st.none() | st.sampled_from(PEOPLE).map(
    lambda person: Party(Role.ORGANIZER, CrmRecord("systemuser", str(person)), frozenset(names(person)))
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (party(Role.REQUIRED, ANN), party(Role.OPTIONAL, ANN), True),
        (party(Role.REQUIRED, ANN, ANNS_ADDRESS), party(Role.OPTIONAL, ANNS_ADDRESS), True),
        (party(Role.REQUIRED, ANN, ANNS_ADDRESS), party(Role.REQUIRED, ANNS_LEAD, ANNS_ADDRESS), True),
        (party(Role.REQUIRED, ANN, ANNS_ADDRESS), party(Role.ORGANIZER, ANN_AS_USER, ANNS_ADDRESS), True),
        (party(Role.REQUIRED, ANN, ANNS_LEAD), party(Role.REQUIRED, ANNS_LEAD), True),
        (party(Role.REQUIRED, ANN), party(Role.REQUIRED, BEN), False),
        (party(Role.REQUIRED, ANN), party(Role.REQUIRED, ANNS_LEAD), False),
        (party(Role.REQUIRED, ANN, ANNS_ADDRESS), party(Role.REQUIRED, BEN, ANNS_ADDRESS), False),
    ],
)
def test_who_is_one_person(one: Party, other: Party, same: object) -> None:
    """By record, else by address; two contacts who share an address are two people."""
    assert is_same_person(one, other) is is_same_person(other, one) is same


def test_the_first_name_counts() -> None:
    """Somebody who is named twice is there by the first name, and known by the others."""
    lead, contact = party(Role.REQUIRED, ANNS_LEAD, ANNS_ADDRESS), party(Role.REQUIRED, ANN, ANNS_ADDRESS)
    (found,) = each_once([contact, lead])
    assert found == contact
    assert found.names == frozenset({ANN, ANNS_LEAD, ANNS_ADDRESS})


@pytest.mark.parametrize(
    ("there", "sent", "expected"),
    [
        ([Party(Role.OPTIONAL, ANN)], [Party(Role.REQUIRED, ANN)], [Party(Role.OPTIONAL, ANN)]),
        (
            [Party(Role.REQUIRED, ANN), Party(Role.OPTIONAL, ANN)],
            [Party(Role.REQUIRED, ANN)],
            [Party(Role.OPTIONAL, ANN)],
        ),
        ([party(Role.OPTIONAL, ANNS_LEAD, ANNS_ADDRESS)], [], [Party(Role.OPTIONAL, ANNS_LEAD)]),
        (
            [party(Role.OPTIONAL, ANNS_LEAD, ANNS_ADDRESS)],
            [Party(Role.REQUIRED, ANNS_LEAD)],
            [Party(Role.OPTIONAL, ANN)],
        ),
        ([Party(Role.OPTIONAL, ANNS_ADDRESS)], [], [Party(Role.OPTIONAL, ANN)]),
        ([Party(Role.ORGANIZER, ANN_AS_USER)], [], [Party(Role.REQUIRED, ANN), Party(Role.ORGANIZER, ANN_AS_USER)]),
        ([party(Role.ORGANIZER, ANN_AS_USER, ANNS_ADDRESS)], [], [Party(Role.ORGANIZER, ANN_AS_USER)]),
    ],
    ids=["by role", "twice", "by another record", "by a record of ours", "by address", "unknown", "as the organizer"],
)
def test_a_role_that_a_person_gave_stays(there: list[Party], sent: list[Party], expected: list[Party]) -> None:
    """Whoever is there already, by whichever name, keeps the role; a bare address of theirs becomes the record."""
    ours = [party(Role.REQUIRED, ANN, ANNS_ADDRESS)]
    assert all_parties(ours, None, there=there, sent=frozenset(sent)) == expected


@pytest.mark.parametrize("role", [Role.REQUIRED, Role.OPTIONAL])
def test_whom_outreach_takes_out_goes_in_whatever_role(role: Role) -> None:
    """A person may have changed the role; who was added by a person stays."""
    there, sent = [Party(role, ANN), Party(Role.OPTIONAL, BEN)], frozenset({Party(Role.REQUIRED, ANN)})
    assert all_parties([], None, there=there, sent=sent) == [Party(Role.OPTIONAL, BEN)]


def test_a_new_organizer_takes_the_place_of_the_one_before() -> None:
    """Attendees stay as they are, but for the organizer, who is there once."""
    there = [Party(Role.REQUIRED, ANN), Party(Role.OPTIONAL, OTHER_REP), Party(Role.ORGANIZER, REP)]
    new = Party(Role.ORGANIZER, OTHER_REP)
    assert all_parties(None, new, there=there, sent=frozenset()) == [Party(Role.REQUIRED, ANN), new]


@law
@given(ATTENDEES, ORGANIZERS, THERE)
def test_everybody_is_there_once(attendees: list[Party], organizer: Party | None, there: list[Party]) -> None:
    """Everybody whom we want is in the list once; whoever a person added stays; and who has a role keeps it."""
    found = all_parties(attendees, organizer, there=there)
    people = [who_is(one) for one in found]
    wanted = {who_is(one) for one in attendees} | ({who_is(organizer)} if organizer else set())
    assert wanted | {who_is(one) for one in there} == set(people)
    for person in wanted:
        (one,) = (one for one in found if who_is(one) == person)
        given_roles = {known.role for known in there if who_is(known) == person} or {Role.REQUIRED}
        assert one.role in given_roles or (organizer is not None and who_is(organizer) == person)


@law
@given(ATTENDEES, ORGANIZERS, THERE, st.frozensets(parties([Role.REQUIRED], known=False), max_size=3))
def test_a_list_that_was_written_is_right(
    attendees: list[Party], organizer: Party | None, there: list[Party], sent: frozenset[Party]
) -> None:
    """To work it out again from what was written changes nothing, so that nothing is written twice."""
    written = all_parties(attendees, organizer, there=there, sent=sent)
    shown = [Party(one.role, one.who, frozenset(names(who_is(one)))) for one in written]
    sent = still_ours(sent.union(attendees), attendees, written)
    assert all_parties(attendees, organizer, there=shown, sent=sent) == written
    assert all_parties(attendees, None, there=shown, sent=sent) == written


def test_whom_a_person_invites_again_is_theirs() -> None:
    """After a list without somebody was written, who adds them again is a person; unless it had nobody in that role."""
    sent = frozenset({Party(Role.REQUIRED, ANN), Party(Role.OPTIONAL, BEN)})
    assert still_ours(sent, [], [Party(Role.REQUIRED, REP)]) == {Party(Role.OPTIONAL, BEN)}
    assert still_ours(sent, [], None) == frozenset()

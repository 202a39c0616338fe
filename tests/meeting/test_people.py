from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.delivery import Reference
from shared.meeting.people import CrmRecord, Party, Person, Role, as_invited
from tests.samples import law

_records = st.builds(CrmRecord, st.sampled_from(["contact", "lead", "systemuser"]), st.uuids().map(str))


@law
@given(st.sampled_from(Role), _records | st.emails())
def test_a_party_is_read_from_its_text(role: Role, who: CrmRecord | str) -> None:
    """What is stored of a party is its text, whatever colons its address has."""
    assert Party.parse(str(Party(role, who))) == Party(role, who)


@pytest.mark.parametrize(
    ("party", "text", "words"),
    [
        (Party(Role.REQUIRED, CrmRecord("contact", "a")), "5:contact:a", "required attendee"),
        (Party(Role.OPTIONAL, "one@example.com"), "6:address:one@example.com", "optional attendee"),
        (Party(Role.ORGANIZER, CrmRecord("systemuser", "b")), "7:systemuser:b", "organizer"),
    ],
)
def test_texts_of_parties(party: Party, text: str, words: str) -> None:
    """The text is the one in rows of earlier versions; the role has a word for people."""
    assert (str(party), party.role.words) == (text, words)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("odd", "unpack"), ("9:contact:a", "9 is not a valid Role"), ("5:contact", "unpack"), ("contact:5:a", "int")],
)
def test_what_is_no_party(text: str, problem: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match=problem):
        Party.parse(text)


@pytest.mark.parametrize(
    ("person", "was", "now"),
    [
        (Person(gone=True), CrmRecord("contact", "a"), Person((CrmRecord("contact", "a"),), gone=True)),
        (Person(gone=True), "one@example.com", Person(email="one@example.com", gone=True)),
        (Person(gone=True), None, Person(gone=True)),
        (Person(email="new@example.com"), "one@example.com", Person(email="new@example.com")),
        (Person((CrmRecord("lead", "b"),), gone=True), "one@example.com", Person((CrmRecord("lead", "b"),), gone=True)),
    ],
)
def test_whom_outreach_deleted_is_who_was_invited(person: Person, was: CrmRecord | str | None, now: Person) -> None:
    """Unless somebody knows better; whoever is still there is who they are now."""
    one = Reference("prospect", "1")
    assert as_invited({one: person}, {one: was} if was is not None else {}) == {one: now}

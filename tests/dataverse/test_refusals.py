"""What a code and the names in a message say of a request."""

from __future__ import annotations

from typing import Any

import pytest

from shared.dataverse.refusals import CREATED_BY, CREATED_ON, Asked, guesses, guesses_of_state, refused_for_all
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.transforms import OWNER, PARTIES, REGARDING, STATE
from tests.samples import DEFAULT, guid

BOOKER, REP, CONTACT = guid(1), guid(2), guid(3)
COLUMNS: dict[str, Any] = {
    "subject": "Intro",
    "scheduledstart": "2026-03-05T10:00:00Z",
    "scheduledend": "2026-03-05T11:00:00Z",
    OWNER: f"systemuser:{REP}",
    REGARDING: f"contact:{CONTACT}",
    PARTIES: [Party(Role.REQUIRED, CrmRecord("contact", guid(4)))],
}
BY, OWN = frozenset({CREATED_BY}), frozenset({OWNER})


def asked(*, by: str | None = BOOKER, **columns: Any) -> Asked:
    """A create for a booker, or an update of `columns`."""
    on = "2026-01-01T00:00:00Z" if by else None
    return Asked(columns or COLUMNS, DEFAULT.wires, on, by)


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        ("0x8004a110", "", (BY,)),
        ("0x80042f09", "", (BY, OWN)),
        ("0x80042f09", f"The user with id {REP.upper()} has no roles.", (OWN,)),
        ("0x80040220", f"Principal user (Id={BOOKER}) is missing prvCreateActivity", (BY,)),
        ("0x80040220", "is missing prvOverrideCreatedOnCreatedBy privilege", (frozenset({CREATED_ON}),)),
        ("0x8004022b", "", (OWN,)),
        ("0x80043506", "", (frozenset({PARTIES}),)),
        ("0x80043507", "", (frozenset({REGARDING}),)),
        ("0x80040265", "subject", (frozenset({"subject"}),)),
        ("0x80040265", "In Spalte SUBJECT steht Unsinn.", (frozenset({"subject"}),)),
        ("0x80040265", "The subject of column 'ownerid' is wrong.", (OWN,)),
        ("0x80040265", "regardingobjectid_contact_appointment", (frozenset({REGARDING}),)),
        ("0x80040265", "scheduledstart and scheduledend", (frozenset({"scheduledstart", "scheduledend"}),)),
        ("0x80040265", "subject and ownerid", ()),
        ("0x80040265", "new_subject, subjects, location", ()),
        ("0x80040265", "", ()),
        ("0x80040203", "'overriddencreatedon' cannot be set to a date in the future.", (frozenset({CREATED_ON}),)),
        ("0x80040203", "The end of the appointment.", (frozenset({"scheduledstart", "scheduledend"}), frozenset())),
        ("0x80040217", f"contact With Id = {CONTACT} Does Not Exist", (frozenset({REGARDING}),)),
        ("0x80040239", "DateTime is less than minimum value", ()),
        ("", "", ()),
    ],
)
def test_what_a_refusal_may_be_about(code: str, said: str, expected: tuple[frozenset[str], ...]) -> None:
    """By the code where it can be about one thing only, else by a name of ours, else nothing."""
    assert guesses(code, said, asked()) == expected


def test_who_books_for_themselves_may_fail_as_either() -> None:
    """Who cannot be acted for may own all the same, but not the other way round."""
    assert guesses("0x80042f09", f"{REP} has no roles", asked(by=REP)) == (BY, BY | OWN)


def test_the_only_date_is_the_one_that_is_out_of_range() -> None:
    """An update with one date."""
    one = asked(by=None, subject="x", scheduledend="1700-01-01T00:00:00Z")
    assert guesses("0x80040239", "", one) == (frozenset({"scheduledend"}),)


@pytest.mark.parametrize(
    ("code", "said", "wish"),
    [
        ("0x8004a110", "", CREATED_BY),
        ("0x80040220", "prvActOnBehalfOfAnotherUser", CREATED_BY),
        ("0x80040220", "prvOverrideCreatedOnCreatedBy", CREATED_ON),
        ("0x80040220", f"Principal user (Id={BOOKER}) is missing prvAppendToContact", ""),
        ("0x80040265", "overriddencreatedon", ""),
        ("0x80040239", "", ""),
    ],
)
def test_only_a_missing_privilege_of_the_app_is_about_everybody(code: str, said: str, wish: str) -> None:
    """Everything else says something about one booker, one record, one value."""
    assert refused_for_all(code, said) == wish


def test_a_refused_state_is_about_the_state() -> None:
    """But not where somebody lacks a right."""
    assert guesses_of_state("0x80040265") == (frozenset({STATE}),)
    assert guesses_of_state("0x80040220") == ()

"""How values go over the wire, and come back the same."""

from __future__ import annotations

from typing import Any

import pytest

from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.wire import LOOKUP_TABLE, Lookup, Moment, Parties, Plain
from tests.samples import guid

COLUMN = "appointment_activity_parties"
CONTACT = CrmRecord("contact", guid(1))


def row(**members: Any) -> dict[str, Any]:
    """A party as Dataverse sends it."""
    return {"participationtypemask": 5, "addressused": None, "ispartydeleted": False, **members}


def person(record: str, table: str = "contact") -> dict[str, Any]:
    """The members that say which record a party is."""
    return {"_partyid_value": record, f"_partyid_value@{LOOKUP_TABLE}": table}


def test_a_plain_value_goes_as_it_is() -> None:
    """And comes back so."""
    assert Plain().body("subject", "Intro") == {"subject": "Intro"}
    assert Plain().query("subject") == ("$select", "subject")
    assert Plain().read("subject", {"subject": "Intro"}) == "Intro"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-03-05T10:00:00Z", "2026-03-05T10:00:00Z"),
        ("2026-03-05T11:00:00.75+01:00", "2026-03-05T10:00:00Z"),
        (None, None),
    ],
)
def test_a_time_reads_as_we_write_it(sent: str | None, read: str | None) -> None:
    """Whichever form Dataverse sends it in."""
    assert Moment().read("scheduledstart", {"scheduledstart": sent}) == read


def test_a_lookup_binds_the_record_or_nothing() -> None:
    """The table is part of the property where it may be one of several; a null is bound too."""
    regarding = Lookup("regardingobjectid_{table}", clears="contact")
    assert regarding.body("regardingobjectid", f"lead:{guid(2)}") == {
        "regardingobjectid_lead@odata.bind": f"/leads({guid(2)})"
    }
    assert regarding.body("regardingobjectid", None) == {"regardingobjectid_contact@odata.bind": None}
    assert regarding.query("regardingobjectid") == ("$select", "_regardingobjectid_value")


def test_a_lookup_reads_with_its_table() -> None:
    """In small letters; nothing where there is none."""
    found = {"_ownerid_value": guid(3).upper(), f"_ownerid_value@{LOOKUP_TABLE}": "systemuser"}
    assert Lookup("ownerid").read("ownerid", found) == f"systemuser:{guid(3)}"
    assert Lookup("ownerid").read("ownerid", {"_ownerid_value": None}) is None


def test_parties_go_as_records_or_addresses() -> None:
    """The whole list at once; none is an empty list."""
    parties = [Party(Role.REQUIRED, CONTACT), Party(Role.OPTIONAL, "guest@example.com")]
    assert Parties().body(COLUMN, parties) == {
        COLUMN: [
            {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({guid(1)})"},
            {"participationtypemask": 6, "addressused": "guest@example.com"},
        ]
    }
    assert Parties().body(COLUMN, None) == {COLUMN: []}


@pytest.mark.parametrize(
    ("members", "party"),
    [
        (person(guid(1).upper()), Party(Role.REQUIRED, CONTACT)),
        ({"addressused": "Guest@Example.com"}, Party(Role.REQUIRED, "guest@example.com")),
        ({"addressused": "x@example.com", **person(guid(1))}, Party(Role.REQUIRED, CONTACT)),
        # Owner and regarding, which Dataverse adds; somebody deleted; a record of a table that cannot be bound; nobody.
        ({"participationtypemask": 9, **person(guid(1))}, None),
        ({"ispartydeleted": True, "addressused": "x@example.com"}, None),
        ({"addressused": "x@example.com", **person(guid(1), "new_robot")}, None),
        ({}, None),
    ],
)
def test_parties_read_as_what_is_ours(members: dict[str, Any], party: Party | None) -> None:
    """Attendees and organizer, by record or else by address."""
    assert Parties().read(COLUMN, {COLUMN: [row(**members)]}) == ([] if party is None else [party])


def test_parties_are_asked_for_with_what_says_who_they_are() -> None:
    """An expand, and the parties in a fixed order."""
    option, what = Parties().query(COLUMN)
    assert (option, what.startswith(f"{COLUMN}($select=")) == ("$expand", True)
    found = Parties().read(COLUMN, {COLUMN: [row(addressused="b@example.com"), row(addressused="a@example.com")]})
    assert [party.who for party in found] == ["a@example.com", "b@example.com"]

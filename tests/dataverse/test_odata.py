"""Columns on the wire: what is written, read back as Dataverse answers it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.odata import filter_for, from_row, quoted, selection, to_body
from shared.meeting.adopt import Search
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.transforms import OWNER, PARTIES, REGARDING
from shared.meeting.wire import ENTITY_SETS, LOOKUP_TABLE
from tests.samples import DEFAULT, guid, law

_TABLES = {entity_set: table for table, entity_set in ENTITY_SETS.items()}
_PATH = re.compile(r"/(\w+)\(([0-9a-f-]{36})\)")

guids = st.uuids().map(str)
party_texts = st.one_of(
    st.builds("{}:{}:{}".format, st.sampled_from([5, 6]), st.sampled_from(["contact", "lead", "account"]), guids),
    st.builds("7:systemuser:{}".format, guids),
    st.builds("5:address:{}@example.com".format, st.from_regex(r"[a-z:.]{1,9}", fullmatch=True)),
)


def _parties(texts: list[str]) -> list[Party]:
    return [Party.parse(text) for text in texts]


appointments = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.none() | st.text(),
        "isalldayevent": st.none() | st.booleans(),
        "scheduledstart": st.none() | st.just("2026-03-05T10:00:00Z"),
        OWNER: st.builds("systemuser:{}".format, guids),
        REGARDING: st.none() | st.builds("{}:{}".format, st.sampled_from(["opportunity", "contact", "lead"]), guids),
        PARTIES: st.lists(party_texts, max_size=4, unique=True).map(
            lambda texts: list(map(Party.parse, sorted(texts)))
        ),
    },
)


def path_of(bind: str) -> tuple[str, str]:
    """The table and the id that a bind points at."""
    found = _PATH.fullmatch(bind)
    assert found is not None
    return _TABLES[found[1]], found[2].upper()


def answered(body: dict[str, Any]) -> dict[str, Any]:
    """The row that Dataverse has after `body`: lookups by value and annotation, ids in whichever case."""
    row: dict[str, Any] = {}
    for name, value in body.items():
        if not name.endswith("@odata.bind"):
            row[name] = value
        elif value is not None:
            column = REGARDING if name.startswith(REGARDING) else OWNER
            table, record = path_of(value)
            row |= {f"_{column}_value": record, f"_{column}_value@{LOOKUP_TABLE}": table}
    if PARTIES in row:
        row[PARTIES] = [_party_row(party) for party in row[PARTIES]]
    return row


def _party_row(party: dict[str, Any]) -> dict[str, Any]:
    row = {"participationtypemask": party["participationtypemask"], "addressused": party.get("addressused")}
    for name, value in party.items():
        if name.endswith("@odata.bind"):
            table, record = path_of(value)
            assert name == f"partyid_{table}@odata.bind"
            row |= {"_partyid_value": record, f"_partyid_value@{LOOKUP_TABLE}": table, "addressused": "x@example.com"}
    return row


@law
@given(appointments)
def test_round_trip(columns: dict[str, Any]) -> None:
    """What is written is what is read back, column by column."""
    assert from_row(answered(to_body(columns, DEFAULT.wires)), columns, DEFAULT.wires) == columns


@law
@given(appointments)
def test_selection_asks_for_everything(columns: dict[str, Any]) -> None:
    """The query names each column that is wanted, lookups by their value, parties by an expand, and the state."""
    query = selection(columns, DEFAULT.wires)
    asked = query["$select"].split(",")
    assert {"statecode", "statuscode", "activityid"} <= set(asked)
    assert len(asked) == len(set(asked))
    for name in columns:
        if name == PARTIES:
            assert query["$expand"].startswith(f"{PARTIES}(")
        else:
            assert (f"_{name}_value" if name in {OWNER, REGARDING} else name) in asked
    assert ("$expand" in query) == (PARTIES in columns)


def test_names_on_the_wire() -> None:
    """Binds are spelled as Dataverse's reference has them."""
    body = to_body(
        {
            "subject": "Intro",
            OWNER: f"systemuser:{guid(1)}",
            REGARDING: f"opportunity:{guid(2)}",
            PARTIES: [
                Party(Role.REQUIRED, CrmRecord("contact", guid(3))),
                Party(Role.REQUIRED, "one@example.com"),
                Party(Role.ORGANIZER, CrmRecord("systemuser", guid(1))),
            ],
        },
        DEFAULT.wires,
    )
    assert body == {
        "subject": "Intro",
        "ownerid@odata.bind": f"/systemusers({guid(1)})",
        "regardingobjectid_opportunity_appointment@odata.bind": f"/opportunities({guid(2)})",
        "appointment_activity_parties": [
            {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({guid(3)})"},
            {"participationtypemask": 5, "addressused": "one@example.com"},
            {"participationtypemask": 7, "partyid_systemuser@odata.bind": f"/systemusers({guid(1)})"},
        ],
    }


def test_cleared_regarding() -> None:
    """A lookup is cleared by a null bind."""
    assert to_body({REGARDING: None}, DEFAULT.wires) == {"regardingobjectid_opportunity_appointment@odata.bind": None}


@pytest.mark.parametrize(
    "party",
    [
        {"participationtypemask": 8, "_partyid_value": guid(1), f"_partyid_value@{LOOKUP_TABLE}": "contact"},
        {"participationtypemask": 9, "_partyid_value": guid(1), f"_partyid_value@{LOOKUP_TABLE}": "systemuser"},
        {"participationtypemask": 5, "addressused": "a@example.com", "ispartydeleted": True},
        {"participationtypemask": 5, "_partyid_value": guid(1), f"_partyid_value@{LOOKUP_TABLE}": "custom_guest"},
        {"participationtypemask": 5},
        {},
    ],
)
def test_parties_that_are_none_of_ours(party: dict[str, Any]) -> None:
    """Owner and regarding parties, deleted people and unknown tables are not read as attendees."""
    assert from_row({PARTIES: [party]}, [PARTIES], DEFAULT.wires) == {PARTIES: []}


def test_addresses_in_lower_case() -> None:
    """An address that Dataverse kept in capitals is the one that was sent."""
    row = {PARTIES: [{"participationtypemask": 5, "addressused": "One@Example.com", "_partyid_value": None}]}
    assert from_row(row, [PARTIES], DEFAULT.wires) == {PARTIES: [Party(Role.REQUIRED, "one@example.com")]}


@pytest.mark.parametrize("text", ["2026-03-05T10:00:00Z", "2026-03-05T11:00:00+01:00", "2026-03-05T10:00:00.0000000Z"])
def test_instants(text: str) -> None:
    """However an instant is written, it reads as UTC to the second."""
    assert from_row({"scheduledstart": text}, ["scheduledstart"], DEFAULT.wires) == {
        "scheduledstart": "2026-03-05T10:00:00Z"
    }


def test_column_that_is_not_there() -> None:
    """A column that the answer does not have is empty."""
    assert from_row({}, ["subject", "scheduledstart", OWNER, REGARDING, PARTIES], DEFAULT.wires) == {
        "subject": None,
        "scheduledstart": None,
        OWNER: None,
        REGARDING: None,
        PARTIES: [],
    }


@law
@given(st.text(alphabet="'a é%&=") | st.text())
def test_quoted(text: str) -> None:
    """A quoted text is one literal that holds exactly the text: every quote inside is a pair."""
    literal = quoted(text)
    assert literal.startswith("'")
    assert literal.endswith("'")
    inside = literal[1:-1]
    assert "'" not in inside.replace("''", "")
    assert inside.replace("''", "'") == text


def test_the_filter_for_what_is_there_already() -> None:
    """Any form of the id, or all of the values; open and scheduled only; text cannot end its literal."""
    same = {
        OWNER: "systemuser:10000000-0000-4000-8000-000000000001",
        "subject": "Ann's call",
        "scheduledstart": "2026-03-02T15:00:00Z",
    }
    values = (
        "_ownerid_value eq 10000000-0000-4000-8000-000000000001 and subject eq 'Ann''s call' and "
        "scheduledstart eq 2026-03-02T15:00:00Z"
    )
    is_open = "(statecode eq 0 or statecode eq 3) and "
    assert filter_for(Search((), same), DEFAULT.wires) == f"{is_open}(({values}))"
    assert filter_for(Search(("A'B", "C")), DEFAULT.wires) == (
        f"{is_open}((globalobjectid eq 'A''B') or (globalobjectid eq 'C'))"
    )

"""Which Dynamics records an Outreach record is connected to: every form that was seen, and anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.identity import guid
from shared.meeting.people import CrmRecord
from shared.outreach.connections import addresses, custom_id, data_connections
from tests.samples import guid as made
from tests.samples import json_values, law

ID = "AbCdEf01-2345-4678-9ABC-def012345678"
CONTACT, LEAD = CrmRecord("contact", ID.lower()), CrmRecord("lead", made(2))
ITEM = {"connection": "dynamics", "type": "Contact", "id": ID, "url": None}


def read(value: object) -> tuple[CrmRecord, ...]:
    """The records in `meta.dataConnections`."""
    return data_connections({"dataConnections": value})


@pytest.mark.parametrize(
    "value",
    [
        [ITEM],
        ITEM,
        json.dumps([ITEM]),
        f" {json.dumps(ITEM)}",
        [json.dumps(ITEM)],
        ITEM | {"id": f"{{{ID}}}"},
        ITEM | {"id": f" {ID.upper()} "},
        ITEM | {"type": "contacts"},
        ITEM | {"type": " CONTACT "},
        ITEM | {"type": None, "url": f"https://contoso.crm.dynamics.com/main.aspx?etn=contact&id={ID}"},
        {"id": ID, "url": f"https://contoso.crm.dynamics.com/api/data/v9.2/contacts({ID})"},
        {"contact": ID},
        {"Contacts": {"id": f"{{{ID}}}"}},
        f"Contact:{ID}",
        f"contacts({ID})",
        f"https://contoso.crm.dynamics.com/main.aspx?etn=contact&id=%7B{ID}%7D",
        [f"Contact:{{{ID}}}", ITEM, {"contact": ID}],
    ],
)
def test_every_form(value: object) -> None:
    """A list, one object, an object by kind, JSON in a text, a bare text or a link: all name the one contact."""
    assert read(value) == (CONTACT,)


def test_lead_and_contact() -> None:
    """A prospect may be both; each record comes once, in order."""
    assert read([ITEM | {"type": "Lead", "id": made(2)}, ITEM, ITEM]) == (LEAD, CONTACT)
    assert read(f"Lead:{made(2)}, Contact:{ID}") == (LEAD, CONTACT)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("Lead", "lead"),
        ("Opportunity", "opportunity"),
        ("Account", "account"),
        ("User", "systemuser"),
        ("systemuser", "systemuser"),
    ],
)
def test_kinds(kind: str, table: str) -> None:
    """Every kind has its table; Outreach's users are Dynamics' systemusers."""
    assert read([ITEM | {"type": kind}]) == (CrmRecord(table, ID.lower()),)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "",
        "Contact",
        ID,
        {"id": ID},
        ITEM | {"id": "0038d00000ABCDE"},
        ITEM | {"id": 5},
        ITEM | {"type": "Task"},
        "[" * 100_000,
        "[broken",
    ],
    ids=lambda value: str(value)[:20],
)
def test_no_record(value: object) -> None:
    """An id of another CRM, a kind that no appointment can have, and text that breaks off name nothing."""
    assert read(value) == ()


@pytest.mark.parametrize("meta", [None, [], "text", {}])
def test_no_meta(meta: object) -> None:
    """An answer without connections has none."""
    assert data_connections(meta) == ()


@law
@given(
    json_values
    | st.lists(
        st.fixed_dictionaries(
            {}, optional={"id": json_values | st.just(ID), "type": json_values | st.just("Lead"), "url": json_values}
        )
    )
)
def test_anything(value: object) -> None:
    """Whatever stands there, the records found are real tables and lower-case GUIDs."""
    for record in read(value):
        assert record.table in {"contact", "lead", "opportunity", "account", "systemuser"}
        assert guid(record.id) == record.id


@pytest.mark.parametrize("text", [ID, ID.upper(), f"{{{ID}}}", f"  {ID} "])
def test_guid(text: str) -> None:
    """Braces, case and white space do not matter."""
    assert guid(text) == ID.lower()


@pytest.mark.parametrize("text", [None, 5, "", ID[:-1], ID + "0", ID.replace("-", ""), f"x{ID}"])
def test_no_guid(text: object) -> None:
    """What is longer, shorter or something else is none."""
    assert guid(text) is None


@pytest.mark.parametrize(
    ("resource", "attributes", "expected"),
    [
        ("prospect", {"externalId": ID}, ID.lower()),
        ("prospect", {"externalId": "12", "customId": ID}, ID.lower()),
        ("user", {"scimExternalId": made(1), "externalId": ID}, made(1)),
        ("opportunity", {"customId": made(1), "externalId": ID}, made(1)),
        ("opportunity", {"customId": "12"}, None),
        ("account", {"customId": ID}, None),
        ("prospect", {}, None),
    ],
)
def test_custom_id(resource: str, attributes: dict[str, Any], expected: str | None) -> None:
    """A custom id counts where it is a GUID, in the order of each resource."""
    assert custom_id(resource, attributes) == expected


@pytest.mark.parametrize(
    ("resource", "attributes", "expected"),
    [
        ("user", {"email": " Rep@Example.com ", "emails": ["other@example.com"]}, ("rep@example.com",)),
        ("user", {}, ()),
        (
            "prospect",
            {"emails": ["B@example.com", "a@example.com", "b@example.com"]},
            ("b@example.com", "a@example.com"),
        ),
        ("prospect", {"emails": [{"email": "a@example.com"}, {"other": 1}, None, 5, " "]}, ("a@example.com",)),
        ("prospect", {"emails": "a@example.com"}, ("a@example.com",)),
        ("prospect", {"emails": [], "email": "a@example.com"}, ("a@example.com",)),
        ("prospect", {"emails": None}, ()),
    ],
)
def test_addresses(resource: str, attributes: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Addresses come in lower case, the main one first, each once, from whichever form."""
    assert addresses(resource, attributes) == expected


def test_a_long_text_of_many_links() -> None:
    """A text with very many links is read once from left to right, and a kind counts for the ids after it."""
    links = " ".join(f"contact {made(number)}" for number in range(20_000))
    assert len(read(links)) == 20_000
    assert read(f"contact {made(1)}, {made(2)}; lead {made(3)}") == (
        CrmRecord("contact", made(1)),
        CrmRecord("contact", made(2)),
        CrmRecord("lead", made(3)),
    )

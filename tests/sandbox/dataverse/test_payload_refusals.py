from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.dataverse.errors import ODataError
from sandbox.dataverse.payload import Change, parse_json_object, read_change
from sandbox.dataverse.schema import APPOINTMENT, TABLES
from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from tests.sandbox.dataverse.org import ID, REGARDING_OPPORTUNITY, Org, appointment, error_code

ABSENT = "99999999-9999-4999-8999-999999999999"
REGARDING_CONTACT = "regardingobjectid_contact_appointment@odata.bind"


@pytest.mark.parametrize(
    "column",
    ["Subject", "title", "requiredattendees", "optionalattendees", "organizer", "ownerid", "regardingobjectid"],
)
async def test_an_unknown_column_is_refused(org: Org, column: str) -> None:
    """A property that the type does not have, attendee columns included, is refused and nothing is written."""
    response = await org.create(ID, appointment(**{column: "x"}))
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")
    assert org.store.appointments == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("subject", 5),
        ("subject", True),
        ("subject", ["x"]),
        ("subject", {"x": 1}),
        ("isalldayevent", "true"),
        ("isalldayevent", 1),
        ("prioritycode", "1"),
        ("prioritycode", 1.5),
        ("prioritycode", True),
        ("importsequencenumber", 2**31),
        ("scheduledstart", 1767607200),
        ("scheduledstart", "2026-01-05"),
        ("scheduledstart", "2026-01-05T10:00:00"),
        ("scheduledstart", "2026-02-30T10:00:00Z"),
        ("scheduledstart", "05/01/2026 10:00"),
        ("activityid", "not-a-guid"),
        ("activityid", "{99999999-0000-4000-8000-000000000001}"),
        ("createdon", "yesterday"),
    ],
)
async def test_a_wrong_type_is_refused(org: Org, column: str, value: Any) -> None:
    """A value that is not of the column's type is refused, even where the column is read-only."""
    response = await org.create(ID, appointment(**{column: value}))
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")


@pytest.mark.parametrize(
    ("column", "longest"), [("subject", 200), ("location", 200), ("category", 250), ("description", 1_048_576)]
)
async def test_a_text_may_be_as_long_as_its_column(org: Org, column: str, longest: int) -> None:
    """A text of the column's length is accepted, one character more is refused."""
    assert (await org.create(ID, appointment(**{column: "x" * longest}))).status_code == 204
    response = await org.update({column: "x" * (longest + 1)})
    assert (response.status_code, error_code(response)) == (400, "0x80044331")


async def test_an_emoji_counts_twice(org: Org) -> None:
    """Lengths are counted as .NET does: a character outside the basic plane takes two places."""
    assert (await org.create(ID, appointment(subject="😀" * 100))).status_code == 204
    assert error_code(await org.update({"subject": "😀" * 100 + "x"})) == "0x80044331"


@pytest.mark.parametrize("text", ["a\x00b", "a\x0bb", "a\x1fb", "a\uffffb"])
async def test_a_control_character_is_refused(org: Org, text: str) -> None:
    """Characters that XML cannot carry are refused; tab and line breaks are not."""
    response = await org.create(ID, appointment(subject=text))
    assert (response.status_code, error_code(response)) == (400, "0x80040278")
    assert (await org.create(ID, appointment(description="a\tb\r\nc"))).status_code == 204


async def test_half_a_character_is_refused(org: Org) -> None:
    """A lone surrogate, which JSON can escape and UTF-8 cannot carry, is refused."""
    response = await org.api.patch(
        f"/appointments({ID})", content=rb'{"subject": "\ud83d"}', headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, error_code(response)) == (400, "0x80040278")


@pytest.mark.parametrize(("column", "value"), [("prioritycode", 3), ("statuscode", 99), ("attachmenterrors", -1)])
async def test_a_value_outside_the_options_is_refused(org: Org, column: str, value: int) -> None:
    """A choice column takes its options only."""
    response = await org.create(ID, appointment(**{column: value}))
    assert (response.status_code, error_code(response)) == (400, "0x8004431a")


async def test_a_date_before_the_first_year_is_refused(org: Org) -> None:
    """Dates before 1753 are refused."""
    response = await org.create(ID, appointment(scheduledstart="1752-12-31T23:59:59Z"))
    assert (response.status_code, error_code(response)) == (400, "0x80040239")


@pytest.mark.parametrize(
    "name",
    [
        "regardingobjectid_Opportunity_appointment",
        "regardingobjectid_opportunity",
        "regardingobjectid",
        "OwnerId",
        "new_thing_Appointment",
    ],
)
async def test_a_navigation_property_has_one_spelling(org: Org, name: str) -> None:
    """A bind to a navigation property that does not exist in this spelling is refused."""
    response = await org.create(ID, appointment(**{f"{name}@odata.bind": f"/opportunities({OPPORTUNITY_IDS[0]})"}))
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")


@pytest.mark.parametrize(
    "address",
    [
        5,
        "",
        OPPORTUNITY_IDS[0],
        "/opportunities",
        "/opportunities(5)",
        f"/opportunitys({OPPORTUNITY_IDS[0]})",
        f"/opportunities('{OPPORTUNITY_IDS[0]}')",
        f"/opportunities({{{OPPORTUNITY_IDS[0]}}})",
        f"/opportunities({OPPORTUNITY_IDS[0]})/name",
        f"/contacts({CONTACT_IDS[0]})",
    ],
)
async def test_a_bind_must_name_a_row_of_the_right_table(org: Org, address: object) -> None:
    """A bind that is no address, or one of another table, is refused as a bad body."""
    response = await org.create(ID, appointment(**{REGARDING_OPPORTUNITY: address}))
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")


@pytest.mark.parametrize("form", ["/opportunities({})", "opportunities({})", "{base}opportunities({})"])
async def test_a_bind_may_be_relative_or_absolute(org: Org, form: str) -> None:
    """The three forms of an address that the documentation shows are accepted."""
    address = form.format(OPPORTUNITY_IDS[0].upper(), base=org.api.base_url)
    row = await org.created(appointment(**{REGARDING_OPPORTUNITY: address}))
    assert row["_regardingobjectid_value"] == OPPORTUNITY_IDS[0]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (REGARDING_OPPORTUNITY, f"/opportunities({ABSENT})"),
        (REGARDING_CONTACT, f"/contacts({LEAD_IDS[0]})"),
        ("ownerid@odata.bind", f"/systemusers({ABSENT})"),
    ],
)
async def test_a_bind_to_a_missing_row_is_a_404(org: Org, name: str, address: str) -> None:
    """A lookup whose target is gone answers 404 with the code of a missing row, and nothing is written."""
    response = await org.create(ID, appointment(**{name: address}))
    assert (response.status_code, error_code(response)) == (404, "0x80040217")
    assert org.store.appointments == {}


async def test_a_lookup_value_cannot_be_written_directly(org: Org) -> None:
    """`_ownerid_value` is for reading; writing needs a bind."""
    response = await org.create(ID, appointment(_ownerid_value=USER_IDS[0]))
    assert (response.status_code, error_code(response)) == (400, "0x80060888")


async def test_one_lookup_cannot_have_two_targets(org: Org) -> None:
    """Binding the regarding row twice is refused."""
    body = appointment(
        **{
            REGARDING_OPPORTUNITY: f"/opportunities({OPPORTUNITY_IDS[0]})",
            REGARDING_CONTACT: f"/contacts({CONTACT_IDS[0]})",
        }
    )
    assert (await org.create(ID, body)).status_code == 400


async def test_a_required_column_cannot_be_cleared(org: Org) -> None:
    """The owner and other system required columns take no null."""
    await org.create()
    assert (await org.update({"ownerid@odata.bind": None})).status_code == 400
    assert (await org.update({"isdraft": None})).status_code == 400


async def test_rows_are_not_assigned_to_the_disabled(org: Org) -> None:
    """A user who left the company cannot become the owner."""
    await org.lever("seed", systemusers=[{"systemuserid": ABSENT, "isdisabled": True}])
    response = await org.create(ID, appointment(**{"ownerid@odata.bind": f"/systemusers({ABSENT})"}))
    assert (response.status_code, error_code(response)) == (400, "0x80040225")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
async def test_a_body_must_be_a_json_object(org: Org, raw: bytes) -> None:
    """Anything but a JSON object is refused."""
    response = await org.api.patch(f"/appointments({ID})", content=raw, headers={"Content-Type": "application/json"})
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")


async def test_a_body_must_say_that_it_is_json(org: Org) -> None:
    """Without Content-Type: application/json a body is refused."""
    response = await org.api.patch(f"/appointments({ID})", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


async def test_annotations_in_a_body_are_checked(org: Org) -> None:
    """A right @odata.type and annotations before their property are accepted; all others are not."""
    named = {"@odata.type": "Microsoft.Dynamics.CRM.appointment", "subject@Some.Annotation": "x"}
    assert (await org.create(ID, named | appointment())).status_code == 204
    assert (await org.update({"subject": "Later", "subject@Some.Annotation": "x"})).status_code == 400
    assert (await org.update({"@odata.type": "#Microsoft.Dynamics.CRM.task"})).status_code == 400
    assert (await org.update({"@logicalName": "appointment"})).status_code == 400


def kind(work: Callable[[], object]) -> type | int:
    """Return the type of the result, or the status of the refusal."""
    try:
        return type(work())
    except ODataError as error:
        return error.status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.text(max_size=10) | st.sampled_from(
    [*APPOINTMENT.columns, *(f"{name}@odata.bind" for name in APPOINTMENT.navigations), "appointment_activity_parties"]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, JSON | st.sampled_from(["/contacts(x)", f"/contacts({CONTACT_IDS[0]})"]), max_size=4))
def test_any_object_is_read_or_refused(body: dict[str, Any]) -> None:
    """Whatever object is sent, it is either understood or refused with 400."""
    tables = {table.entity_set: table for table in TABLES}
    assert kind(lambda: read_change(body, table=APPOINTMENT, tables=tables)) in (Change, 400)


@given(st.binary(max_size=50))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Whatever bytes are sent, they are either a JSON object or refused with 400."""
    assert kind(lambda: parse_json_object(raw)) in (dict, 400)


TYPED = [
    {"name": "new_whole", "type": "Integer", "least": 0, "most": 100},
    {"name": "new_price", "type": "Money", "least": 0, "most": 1000, "precision": 2},
    {"name": "new_day", "type": "DateOnly"},
    {"name": "new_kind", "type": "Picklist", "options": [1, 2]},
    {"name": "new_kinds", "type": "MultiSelectPicklist", "options": [1, 2]},
]


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("new_whole", 101, "0x80044330"),
        ("new_whole", 1.5, "0x80048d19"),
        ("new_whole", "1", "0x80048d19"),
        ("new_price", -0.5, "0x80044330"),
        ("new_price", "1.5", "0x80048d19"),
        ("new_day", "2026-02-30", "0x80048d19"),
        ("new_day", "2026-02-03T00:00:00Z", "0x80048d19"),
        ("new_day", "1752-12-31", "0x80040239"),
        ("new_kind", 3, "0x8004431a"),
        ("new_kind", "Demo", "0x80048d19"),
        ("new_kinds", "1,3", "0x8004431a"),
        ("new_kinds", "1, 2", "0x80048d19"),
        ("new_kinds", [1, 2], "0x80048d19"),
    ],
)
async def test_a_custom_column_refuses_what_it_does_not_hold(org: Org, column: str, value: Any, code: str) -> None:
    """Each type in its own form, within its own limits and options."""
    await org.lever("columns", columns=TYPED)
    assert error_code(await org.create(ID, appointment(**{column: value}))) == code


async def test_a_custom_column_stores_what_it_holds(org: Org) -> None:
    """Digits beyond the precision are rounded away; the rest comes back as it was sent."""
    await org.lever("columns", columns=TYPED)
    sent = {"new_whole": 100, "new_price": 1.239, "new_day": "2026-02-03", "new_kind": 2, "new_kinds": "2,1"}
    assert (await org.create(ID, appointment(**sent))).status_code == 204
    stored = org.store.appointments[ID].values
    assert {name: stored[name] for name in sent} == sent | {"new_price": 1.24}

from __future__ import annotations

from typing import Any

import pytest

from sandbox.dataverse.schema import TABLES
from sandbox.dataverse.seed import (
    CONTACT_EMAILS,
    CONTACT_IDS,
    LEAD_IDS,
    OPPORTUNITY_IDS,
    USER_EMAILS,
    USER_IDS,
)
from tests.sandbox.dataverse.org import ID, OTHER_ID, Org, appointment, error_code, full_appointment

ALL = {"Prefer": 'odata.include-annotations="*"'}


async def found(org: Org, entity_set: str, **params: str) -> list[dict[str, Any]]:
    response = await org.api.get(f"/{entity_set}", params=params)
    assert response.status_code == 200, response.text
    return list(response.json()["value"])


@pytest.mark.parametrize("entity_set", [table.entity_set for table in TABLES])
async def test_every_set_can_be_listed(org: Org, entity_set: str) -> None:
    """All rows of a set come with their key, and with all columns where none is selected."""
    await org.create(ID, full_appointment())
    rows = await found(org, entity_set)
    table = org.store.tables[entity_set]
    assert {row[table.key] for row in rows} == {row.id for row in org.store.all_rows(table)}
    assert all(set(row) == {*table.props, "@odata.etag"} for row in rows)
    assert rows


async def test_a_selection_brings_key_and_version_along(org: Org) -> None:
    """$select answers the named columns, the key and the etag."""
    await org.create()
    row = await org.read(**{"$select": "subject"})
    assert set(row) == {"@odata.context", "@odata.etag", "subject", "activityid"}


@pytest.mark.parametrize("column", ["nonsense", "ownerid_value", "requiredattendees", "createdby", ""])
async def test_an_unknown_selection_is_refused(org: Org, column: str) -> None:
    """$select of a column that is not shown is refused."""
    await org.create()
    response = await org.api.get(f"/appointments({ID})", params={"$select": f"subject,{column}"})
    assert (response.status_code, error_code(response)) == (400, "0x80060888")


async def test_a_missing_row_is_a_404(org: Org) -> None:
    """GET of an id that nobody has answers 404 with the code of a missing row."""
    response = await org.api.get(f"/appointments({ID})")
    assert (response.status_code, error_code(response)) == (404, "0x80040217")


@pytest.mark.parametrize("key", ["5", f"'{ID}'", f"{{{ID}}}", "", "emailaddress1='x'"])
async def test_a_key_must_be_a_guid(org: Org, key: str) -> None:
    """A key that is not a plain GUID is refused."""
    response = await org.api.get(f"/appointments({key})")
    assert (response.status_code, error_code(response)) == (400, "0x80060888")


async def test_a_key_may_be_in_capitals(org: Org) -> None:
    """GUIDs are compared without regard to case."""
    await org.create("ABCDEF00-0000-4000-8000-000000000001")
    assert (await org.read("abcdef00-0000-4000-8000-000000000001"))["subject"] == "Demo"


async def test_annotations_tell_names_and_tables(org: Org) -> None:
    """Lookups come with the name, the table and the navigation property, choices and booleans with their label."""
    await org.create(ID, full_appointment())
    row = (
        await org.api.get(
            f"/appointments({ID})?$select=_ownerid_value,_regardingobjectid_value,statecode,statuscode,isalldayevent",
            headers=ALL,
        )
    ).json()
    formatted, table = "OData.Community.Display.V1.FormattedValue", "Microsoft.Dynamics.CRM.lookuplogicalname"
    navigation = "Microsoft.Dynamics.CRM.associatednavigationproperty"
    expected = {
        f"_ownerid_value@{formatted}": "Sales Rep One",
        f"_ownerid_value@{table}": "systemuser",
        f"_ownerid_value@{navigation}": "ownerid",
        f"_regardingobjectid_value@{formatted}": "Opportunity One",
        f"_regardingobjectid_value@{table}": "opportunity",
        f"_regardingobjectid_value@{navigation}": "regardingobjectid_opportunity_appointment",
        f"statecode@{formatted}": "Open",
        f"statuscode@{formatted}": "Free",
        f"isalldayevent@{formatted}": "No",
    }
    assert {name: row.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "prefer",
    [
        'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"',
        "odata.include-annotations=Microsoft.Dynamics.CRM.lookuplogicalname",
        'return=minimal, odata.include-annotations="Microsoft.Dynamics.CRM.look*"',
        'odata.include-annotations="Some.Other,Microsoft.Dynamics.CRM.lookuplogicalname";odata.maxpagesize=5',
    ],
)
async def test_only_the_annotations_asked_for_are_sent(org: Org, prefer: str) -> None:
    """Annotations are chosen by name or prefix."""
    await org.create()
    row = (await org.api.get(f"/appointments({ID})?$select=_ownerid_value", headers={"Prefer": prefer})).json()
    annotated = {name for name in row if "@" in name and not name.startswith("@")}
    assert annotated == {"_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"}


async def test_without_the_preference_there_are_no_annotations(org: Org) -> None:
    """A plain read has no annotation but context and etag."""
    await org.create()
    assert {name for name in await org.read() if "@" in name} == {"@odata.context", "@odata.etag"}


async def test_lookups_can_be_expanded(org: Org) -> None:
    """$expand of a lookup brings the selected columns of the row it points at, null where it points elsewhere."""
    await org.create(ID, full_appointment())
    row = await org.read(
        **{
            "$select": "subject",
            "$expand": "regardingobjectid_opportunity_appointment($select=name),"
            "regardingobjectid_contact_appointment($select=fullname),createdby_appointment",
        }
    )
    assert row["regardingobjectid_opportunity_appointment"]["name"] == "Opportunity One"
    assert row["regardingobjectid_contact_appointment"] is None
    assert row["createdby_appointment"]["fullname"] == "# Outreach Sync"


@pytest.mark.parametrize(
    "expand",
    [
        "nonsense",
        "appointment_activity_parties(",
        "appointment_activity_parties($select=nonsense)",
        "appointment_activity_parties($filter=participationtypemask eq 5)",
        "appointment_activity_parties createdby_appointment",
        "Appointment_activity_parties",
    ],
)
async def test_a_bad_expansion_is_refused(org: Org, expand: str) -> None:
    """$expand takes navigation properties of this spelling, with $select inside."""
    await org.create()
    response = await org.api.get(f"/appointments({ID})", params={"$expand": expand})
    assert (response.status_code, error_code(response)) == (400, "0x80060888")


async def test_people_are_found_by_address(org: Org) -> None:
    """Contacts, leads and users are found by e-mail, whatever the case."""
    contact = await found(org, "contacts", **{"$filter": f"emailaddress1 eq '{CONTACT_EMAILS[5].lower()}'"})
    lead = await found(org, "leads", **{"$filter": "emailaddress1 eq 'LEAD.ONE@EXAMPLE.COM'"})
    user = await found(org, "systemusers", **{"$filter": f"internalemailaddress eq '{USER_EMAILS[0]}'"})
    assert [contact[0]["contactid"], lead[0]["leadid"], user[0]["systemuserid"]] == [
        CONTACT_IDS[5],
        LEAD_IDS[0],
        USER_IDS[0],
    ]


async def test_a_list_can_be_ordered_cut_and_counted(org: Org) -> None:
    """$orderby, $top and $count work together; the count is that of all rows the filter keeps."""
    response = await org.api.get(
        "/contacts",
        params={
            "$select": "lastname",
            "$filter": "not (lastname eq 'One')",
            "$orderby": "statecode asc,lastname desc",
            "$top": "2",
            "$count": "true",
        },
    )
    assert [row["lastname"] for row in response.json()["value"]] == ["Two", "Three"]
    assert response.json()["@odata.count"] == 5


async def test_a_long_list_comes_in_pages(org: Org) -> None:
    """With odata.maxpagesize the next link leads through all rows, once each."""
    url, seen = f"{org.api.base_url}contacts?$select=contactid&$filter=statecode eq 0", []
    pages = 0
    while url:
        body = (await org.api.get(url, headers={"Prefer": "odata.maxpagesize=4"})).json()
        seen += [row["contactid"] for row in body["value"]]
        url, pages = body.get("@odata.nextLink", ""), pages + 1
    assert (sorted(seen), pages) == (sorted(CONTACT_IDS), 2)


@pytest.mark.parametrize(
    "params",
    [
        {"$top": "-1"},
        {"$top": "x"},
        {"$count": "yes"},
        {"$orderby": "nonsense"},
        {"$orderby": "lastname sideways"},
        {"$skip": "5"},
        {"$apply": "aggregate"},
        {"$filter": ""},
    ],
)
async def test_a_bad_option_is_refused(org: Org, params: dict[str, str]) -> None:
    """Query options that Dataverse does not take, or not with this value, are refused."""
    response = await org.api.get("/contacts", params=params)
    assert (response.status_code, error_code(response)) == (400, "0x80060888")


async def test_appointments_of_an_opportunity_can_be_found(org: Org) -> None:
    """Appointments are filtered by lookup, state and text."""
    await org.create(ID, full_appointment())
    await org.create(OTHER_ID, appointment(subject="Other"))
    rows = await found(
        org,
        "appointments",
        **{
            "$filter": f"_regardingobjectid_value eq {OPPORTUNITY_IDS[0]} and statecode eq 0"
            " and contains(subject,'dem')",
            "$select": "activityid",
        },
    )
    assert [row["activityid"] for row in rows] == [ID]

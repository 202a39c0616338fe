from __future__ import annotations

import pytest

from sandbox.dataverse.seed import APP_USER_ID, BUSINESS_UNIT_ID, OPPORTUNITY_IDS, TEAM_ID, USER_IDS
from tests.sandbox.dataverse.org import (
    END,
    ID,
    NOW,
    OTHER_ID,
    RETURN,
    START,
    Org,
    appointment,
    error_code,
    full_appointment,
)


async def test_a_patch_on_a_free_id_creates(org: Org) -> None:
    """Create-only PATCH makes the row under the id that the caller chose."""
    response = await org.create()
    assert (response.status_code, response.content) == (204, b"")
    assert (await org.read())["subject"] == "Demo"


async def test_the_answer_without_representation_names_the_row_only(org: Org) -> None:
    """A 204 carries OData-EntityId and no version."""
    response = await org.create()
    assert response.headers["OData-EntityId"] == f"{org.api.base_url}appointments({ID})"
    assert "ETag" not in response.headers


async def test_a_representation_brings_the_version(org: Org) -> None:
    """With return=representation a create answers 201 with the etag and the selected columns."""
    response = await org.api.patch(
        f"/appointments({ID})?$select=activityid,createdon,_createdby_value",
        json=appointment(),
        headers={"If-None-Match": "*", **RETURN},
    )
    assert response.status_code == 201
    assert response.headers["Preference-Applied"] == "return=representation"
    body = response.json()
    assert body.pop("@odata.context").endswith("/$metadata#appointments/$entity")
    assert body.pop("@odata.etag").startswith('W/"')
    assert body == {"activityid": ID, "createdon": NOW, "_createdby_value": APP_USER_ID}


async def test_a_bad_select_creates_nothing(org: Org) -> None:
    """A query option that is refused is refused before the row is made."""
    response = await org.api.post("/appointments?$select=nonsense", json=appointment(activityid=ID), headers=RETURN)
    assert response.status_code == 400
    assert org.store.appointments == {}


async def test_create_only_refuses_a_taken_id(org: Org) -> None:
    """If-None-Match: * answers 412 with the code of an existing primary key and leaves the row alone."""
    await org.create()
    response = await org.create(ID, appointment(subject="Other"))
    assert (response.status_code, error_code(response)) == (412, "0x80040237")
    assert (await org.read())["subject"] == "Demo"


async def test_duplicates_are_counted(org: Org) -> None:
    """Each attempt to create a row that is there is counted."""
    await org.create()
    await org.create()
    await org.api.post("/appointments", json=appointment(activityid=ID))
    assert (await org.view("counters"))["duplicates_attempted"] == 2


async def test_a_post_may_choose_the_id(org: Org) -> None:
    """POST creates under the activityid of the body, once."""
    first = await org.api.post("/appointments", json=appointment(activityid=ID))
    second = await org.api.post("/appointments", json=appointment(activityid=ID))
    assert (first.status_code, second.status_code, error_code(second)) == (204, 412, "0x80040237")
    assert first.headers["OData-EntityId"].endswith(f"appointments({ID})")


async def test_a_post_without_an_id_gets_one(org: Org) -> None:
    """POST without activityid makes up a GUID."""
    response = await org.api.post("/appointments", json=appointment(), headers=RETURN)
    assert response.status_code == 201
    assert list(org.store.appointments) == [response.json()["activityid"]]


async def test_the_body_must_agree_with_the_address(org: Org) -> None:
    """An activityid in the body that is not the one of the address is refused."""
    assert (await org.create(ID, appointment(activityid=OTHER_ID))).status_code == 400
    assert (await org.create(ID, appointment(activityid=ID.upper()))).status_code == 204


async def test_a_new_row_has_the_defaults_of_the_table(org: Org) -> None:
    """What is not sent takes the table's defaults, the duration follows from start and end."""
    row = await org.created()
    expected = {
        "statecode": 0,
        "statuscode": 1,
        "isalldayevent": False,
        "prioritycode": 1,
        "scheduleddurationminutes": 30,
        "activitytypecode": "appointment",
        "scheduledstart": START,
        "scheduledend": END,
        "location": None,
        "_ownerid_value": APP_USER_ID,
        "_owninguser_value": APP_USER_ID,
        "_owningbusinessunit_value": BUSINESS_UNIT_ID,
        "createdon": NOW,
        "modifiedon": NOW,
        "overriddencreatedon": None,
    }
    assert {name: row[name] for name in expected} == expected


async def test_lookups_are_bound(org: Org) -> None:
    """Owner and regarding row are stored as lookups."""
    row = await org.created(full_appointment())
    assert row["_ownerid_value"] == row["_owninguser_value"] == USER_IDS[0]
    assert row["_regardingobjectid_value"] == OPPORTUNITY_IDS[0]


async def test_a_team_may_own(org: Org) -> None:
    """An appointment owned by a team has an owning team and no owning user."""
    row = await org.created(appointment(**{"ownerid@odata.bind": f"/teams({TEAM_ID})"}))
    assert (row["_owningteam_value"], row["_owninguser_value"]) == (TEAM_ID, None)


async def test_the_created_on_may_be_given(org: Org) -> None:
    """An overriddencreatedon becomes createdon, and itself tells when the row was really made."""
    row = await org.created(appointment(overriddencreatedon="2025-12-01T08:00:00Z"))
    assert (row["createdon"], row["overriddencreatedon"]) == ("2025-12-01T08:00:00Z", NOW)
    assert row["modifiedon"] == NOW


async def test_without_the_privilege_the_created_on_may_be_ignored(org: Org) -> None:
    """Some organisations drop overriddencreatedon without a word."""
    await org.lever("switches", override_created_on="ignore")
    row = await org.created(appointment(overriddencreatedon="2025-12-01T08:00:00Z"))
    assert (row["createdon"], row["overriddencreatedon"]) == (NOW, None)


async def test_without_the_privilege_the_created_on_may_be_refused(org: Org) -> None:
    """Other organisations refuse overriddencreatedon with 403; without it the row is taken."""
    await org.lever("switches", override_created_on="refuse")
    response = await org.create(ID, appointment(overriddencreatedon="2025-12-01T08:00:00Z"))
    assert (response.status_code, error_code(response)) == (403, "0x80040220")
    assert (await org.create()).status_code == 204


@pytest.mark.parametrize("column", ["createdon", "modifiedon", "activitytypecode", "attachmentcount", "versionnumber"])
async def test_read_only_columns_are_ignored(org: Org, column: str) -> None:
    """A read-only column of the right type is accepted and has no effect."""
    sent = {"activitytypecode": "email", "attachmentcount": 9, "versionnumber": 7}.get(column, "2001-01-01T00:00:00Z")
    row = await org.created(appointment(**{column: sent}))
    assert row[column] != sent


async def test_the_state_is_ignored_on_create(org: Org) -> None:
    """The statecode is not valid for create: a new row is open whatever is sent."""
    assert (await org.created(appointment(statecode=1)))["statecode"] == 0


async def test_a_status_reason_must_fit_the_open_state(org: Org) -> None:
    """On create only status reasons of the open state are accepted, because the state sent is ignored."""
    assert (await org.create(ID, appointment(statuscode=2))).status_code == 204
    response = await org.create(OTHER_ID, appointment(statecode=1, statuscode=3))
    assert (response.status_code, error_code(response)) == (400, "0x80048408")


async def test_an_empty_text_is_no_text(org: Org) -> None:
    """The empty string is stored as null."""
    assert (await org.created(appointment(location="")))["location"] is None


async def test_instants_are_stored_as_utc_seconds(org: Org) -> None:
    """An offset is resolved and fractions of a second are dropped."""
    row = await org.created(appointment(scheduledstart="2026-01-05T11:00:00.999+01:00"))
    assert row["scheduledstart"] == START

from __future__ import annotations

import pytest

from sandbox.dataverse.schema import APPOINTMENT
from sandbox.dataverse.seed import APP_USER_ID, BUSINESS_UNIT_ID, ORGANIZATION_ID
from tests.sandbox.dataverse.org import Org, error_code

DEFINITION = "/EntityDefinitions(LogicalName='appointment')"
PRIVILEGES = f"/systemusers({APP_USER_ID})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"


async def test_who_am_i(org: Org) -> None:
    """WhoAmI names the application user, its business unit and the organisation."""
    body = (await org.api.get("/WhoAmI")).json()
    assert (body["UserId"], body["BusinessUnitId"], body["OrganizationId"]) == (
        APP_USER_ID,
        BUSINESS_UNIT_ID,
        ORGANIZATION_ID,
    )


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_definition_tells_of_optimistic_concurrency(org: Org, *, enabled: bool) -> None:
    """IsOptimisticConcurrencyEnabled follows the switch."""
    await org.lever("switches", optimistic_concurrency=enabled)
    body = (await org.api.get(DEFINITION, params={"$select": "IsOptimisticConcurrencyEnabled"})).json()
    assert body["IsOptimisticConcurrencyEnabled"] is enabled
    assert set(body) == {"@odata.context", "IsOptimisticConcurrencyEnabled", "MetadataId"}


async def test_attributes_are_listed_with_type_and_requirement(org: Org) -> None:
    """All columns come with their type and requirement level; text columns with their length."""
    rows = {row["LogicalName"]: row for row in (await org.api.get(f"{DEFINITION}/Attributes")).json()["value"]}
    assert set(rows) == set(APPOINTMENT.columns)
    assert rows["subject"]["MaxLength"] == 200
    assert rows["subject"]["RequiredLevel"]["Value"] == "ApplicationRequired"
    assert (rows["statecode"]["AttributeType"], rows["statecode"]["IsValidForCreate"]) == ("State", False)
    assert "MaxLength" not in rows["scheduledstart"]


async def test_the_length_needs_a_cast(org: Org) -> None:
    """MaxLength is selected from the string type, not from the base type."""
    plain = await org.api.get(f"{DEFINITION}/Attributes?$select=LogicalName,MaxLength")
    cast = await org.api.get(
        f"{DEFINITION}/Attributes/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=LogicalName,MaxLength"
    )
    assert (plain.status_code, error_code(plain)) == (400, "0x80060888")
    lengths = {row["LogicalName"]: row["MaxLength"] for row in cast.json()["value"]}
    assert (lengths["subject"], lengths["location"]) == (200, 200)
    assert "description" not in lengths


async def test_each_type_tells_what_is_its_own(org: Org) -> None:
    """Limits and behaviour come where nothing is selected, options where a cast is expanded by them."""
    columns = [
        {"name": "new_price", "type": "Money", "least": 0, "most": 10, "precision": 2},
        {"name": "new_day", "type": "DateOnly"},
        {"name": "new_kinds", "type": "MultiSelectPicklist", "options": [1], "labels": ["Demo"]},
    ]
    await org.lever("columns", columns=columns)
    rows = {row["LogicalName"]: row for row in (await org.api.get(f"{DEFINITION}/Attributes")).json()["value"]}
    assert [rows["new_price"][name] for name in ("MinValue", "MaxValue", "Precision")] == [0, 10, 2]
    assert (rows["new_day"]["AttributeType"], rows["new_day"]["DateTimeBehavior"]) == (
        "DateTime",
        {"Value": "DateOnly"},
    )
    kinds = rows["new_kinds"]
    assert (kinds["AttributeType"], kinds["AttributeTypeName"]) == ("Virtual", {"Value": "MultiSelectPicklistType"})
    assert "OptionSet" not in kinds
    casts = f"{DEFINITION}/Attributes/Microsoft.Dynamics.CRM."
    expand = "?$select=LogicalName&$expand=OptionSet($select=Options)"
    (one,) = (await org.api.get(f"{casts}MultiSelectPicklistAttributeMetadata{expand}")).json()["value"]
    assert one["OptionSet"]["Options"][0]["Label"]["UserLocalizedLabel"]["Label"] == "Demo"
    assert error_code(await org.api.get(f"{casts}MoneyAttributeMetadata{expand}")) == "0x80060888"
    assert error_code(await org.api.get(f"{casts}ColourAttributeMetadata")) == "0x80060888"


async def test_one_attribute_can_be_read(org: Org) -> None:
    """A column is found by its logical name, an unknown one is a 404."""
    known = await org.api.get(f"{DEFINITION}/Attributes(LogicalName='subject')?$select=LogicalName,RequiredLevel")
    unknown = await org.api.get(f"{DEFINITION}/Attributes(LogicalName='new_thing')")
    assert known.json()["LogicalName"] == "subject"
    assert (unknown.status_code, error_code(unknown)) == (404, "0x80040217")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/EntityDefinitions", 400),
        ("/EntityDefinitions(LogicalName='nonsense')", 404),
        (f"{DEFINITION}?$select=Nonsense", 400),
        (f"{DEFINITION}?$expand=Attributes", 400),
        (f"{DEFINITION}/Keys", 404),
        (f"{DEFINITION}/Attributes/Microsoft.Dynamics.CRM.NonsenseMetadata", 400),
    ],
)
async def test_other_metadata_is_refused(org: Org, address: str, status: int) -> None:
    """Addresses and options of the metadata that are not served are refused, not half answered."""
    assert (await org.api.get(address)).status_code == status


async def test_privileges_follow_the_switches(org: Org) -> None:
    """RetrieveUserPrivileges lists what the application user may, without what was taken away."""

    async def held() -> set[str]:
        return {entry["PrivilegeName"] for entry in (await org.api.get(PRIVILEGES)).json()["RolePrivileges"]}

    before = await held()
    await org.lever(
        "switches", act_on_behalf="refuse", override_created_on="ignore", missing_privileges=["prvReadLead"]
    )
    assert before - await held() == {"prvActOnBehalfOfAnotherUser", "prvOverrideCreatedOnCreatedBy", "prvReadLead"}
    assert "prvCreateActivity" in before


async def test_a_custom_column_can_be_added(org: Org) -> None:
    """A column and a lookup that an administrator adds are listed, written, read and checked."""
    await org.lever(
        "columns",
        columns=[{"name": "new_outreachid", "type": "String", "max_length": 20, "required": "ApplicationRequired"}],
        lookups=[{"name": "new_Prospect_Appointment", "column": "new_prospect", "targets": ["contact"]}],
    )
    row = await org.created(
        {
            "scheduledstart": "2026-01-05T10:00:00Z",
            "scheduledend": "2026-01-05T10:30:00Z",
            "new_outreachid": "x" * 20,
            "new_Prospect_Appointment@odata.bind": "/contacts(20000000-0000-4000-8000-000000000001)",
        }
    )
    assert (row["new_outreachid"], row["_new_prospect_value"]) == ("x" * 20, "20000000-0000-4000-8000-000000000001")
    assert (await org.update({"new_outreachid": "x" * 21})).status_code == 400
    listed = await org.api.get(f"{DEFINITION}/Attributes(LogicalName='new_outreachid')")
    assert listed.json()["RequiredLevel"]["Value"] == "ApplicationRequired"


async def test_rows_from_before_have_a_new_column_empty(org: Org) -> None:
    """Adding a column gives existing rows a null in it."""
    await org.create()
    await org.lever("columns", columns=[{"name": "new_note", "type": "Memo"}])
    assert (await org.read())["new_note"] is None
    assert (await org.update({"new_note": "x"})).status_code == 204

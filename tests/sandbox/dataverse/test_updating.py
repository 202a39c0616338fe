from __future__ import annotations

from typing import Any

import pytest

from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from tests.sandbox.dataverse.org import ID, REGARDING_OPPORTUNITY, START, Org, appointment, error_code, full_appointment

CLOSED = [(1, 3), (2, 4)]


async def test_columns_not_sent_stay(org: Org) -> None:
    """An update writes what it names and nothing else."""
    await org.create(ID, full_appointment(location="Room"))
    before = await org.read()
    await org.update({"subject": "New"})
    after = await org.read()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"@odata.etag", "versionnumber", "subject"}


async def test_a_column_is_cleared_by_null(org: Org) -> None:
    """Null clears a column."""
    await org.create(ID, appointment(location="Room"))
    await org.update({"location": None})
    assert (await org.read())["location"] is None


@pytest.mark.parametrize("name", ["opportunity", "contact"])
async def test_a_lookup_is_cleared_by_a_null_bind(org: Org, name: str) -> None:
    """A null bind clears the regarding row, under the name of any of its tables."""
    await org.create(ID, full_appointment())
    response = await org.update({f"regardingobjectid_{name}_appointment@odata.bind": None})
    assert response.status_code == 204
    assert (await org.read())["_regardingobjectid_value"] is None


async def test_a_lookup_moves_to_another_table(org: Org) -> None:
    """Binding another table replaces the regarding row, and the null binds beside it do no harm."""
    await org.create(ID, full_appointment())
    await org.update(
        {
            "regardingobjectid_lead_appointment@odata.bind": f"/leads({LEAD_IDS[0]})",
            REGARDING_OPPORTUNITY: None,
        }
    )
    row = await org.api.get(
        f"/appointments({ID})?$select=_regardingobjectid_value",
        headers={"Prefer": 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"'},
    )
    assert row.json()["_regardingobjectid_value"] == LEAD_IDS[0]
    assert row.json()["_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "lead"


async def test_a_lookup_has_an_address_of_its_own(org: Org) -> None:
    """DELETE and PUT of a lookup's $ref clear and set it."""
    await org.create(ID, full_appointment())
    lookup = f"/appointments({ID})/regardingobjectid_contact_appointment/$ref"
    assert (await org.api.delete(lookup)).status_code == 204
    assert (await org.read())["_regardingobjectid_value"] is None
    assert (await org.api.put(lookup, json={"@odata.id": f"/contacts({CONTACT_IDS[0]})"})).status_code == 204
    assert (await org.read())["_regardingobjectid_value"] == CONTACT_IDS[0]
    assert (await org.api.put(lookup, json={})).status_code == 400
    assert (await org.api.delete(f"/appointments({ID})/regardingobjectid/$ref")).status_code == 400


async def test_a_column_has_an_address_of_its_own(org: Org) -> None:
    """PUT and DELETE of a column set and clear it."""
    await org.create()
    column = f"/appointments({ID})/location"
    assert (await org.api.put(column, json={"value": "Room"})).status_code == 204
    assert (await org.read())["location"] == "Room"
    assert (await org.api.delete(column)).status_code == 204
    assert (await org.read())["location"] is None
    assert (await org.api.put(column, json={"location": "Room"})).status_code == 400
    assert (await org.api.put(f"/appointments({ID})/nonsense", json={"value": 1})).status_code == 404


async def test_the_created_on_cannot_be_changed(org: Org) -> None:
    """An overriddencreatedon is ignored on update."""
    before = await org.created(appointment(overriddencreatedon="2025-12-01T08:00:00Z"))
    assert (await org.update({"overriddencreatedon": "2020-01-01T00:00:00Z"})).status_code == 204
    after = await org.read()
    assert (after["createdon"], after["overriddencreatedon"]) == (before["createdon"], before["overriddencreatedon"])


async def test_the_id_cannot_be_changed(org: Org) -> None:
    """An activityid other than that of the address is refused."""
    await org.create()
    assert (await org.update({"activityid": USER_IDS[0]})).status_code == 400


@pytest.mark.parametrize(
    "columns",
    [
        {"scheduledend": "2026-01-05T09:59:00Z"},
        {"scheduledstart": "2026-01-05T10:31:00Z"},
        {"scheduledstart": "2026-01-06T10:00:00Z", "scheduledend": "2026-01-05T10:00:00Z"},
    ],
)
async def test_an_end_before_the_start_is_refused(org: Org, columns: dict[str, Any]) -> None:
    """The schedule is checked as it would become, also where only one end of it is sent."""
    await org.create()
    assert (await org.update(columns)).status_code == 400
    assert (await org.read())["scheduledstart"] == START


@pytest.mark.parametrize("column", ["scheduledstart", "scheduledend"])
async def test_an_appointment_has_start_and_end(org: Org, column: str) -> None:
    """Without start or end an appointment is refused, on create and when one is cleared."""
    response = await org.create(ID, appointment(**{column: None}))
    assert (response.status_code, error_code(response)) == (400, "0x80040275")
    await org.create()
    assert error_code(await org.update({column: None})) == "0x80040275"


async def test_the_duration_follows_the_schedule(org: Org) -> None:
    """Moving the end changes the duration; sending a duration that contradicts the schedule is refused."""
    await org.create()
    await org.update({"scheduledend": "2026-01-05T11:30:00Z"})
    assert (await org.read())["scheduleddurationminutes"] == 90
    assert (await org.update({"scheduleddurationminutes": 90})).status_code == 204
    response = await org.update({"scheduleddurationminutes": 30})
    assert (response.status_code, error_code(response)) == (400, "0x8004350a")


@pytest.mark.parametrize(("state", "status"), [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (3, 6)])
async def test_the_six_pairs_of_state_and_status(org: Org, state: int, status: int) -> None:
    """Each status reason goes with its state."""
    await org.create()
    assert (await org.update({"statecode": state, "statuscode": status})).status_code == 204
    row = await org.read()
    assert (row["statecode"], row["statuscode"]) == (state, status)


@pytest.mark.parametrize(("state", "status"), [(0, 3), (1, 1), (1, 4), (2, 3), (3, 1)])
async def test_other_pairs_are_refused(org: Org, state: int, status: int) -> None:
    """A status reason of another state is refused and nothing is written."""
    await org.create()
    response = await org.update({"statecode": state, "statuscode": status})
    assert (response.status_code, error_code(response)) == (400, "0x80048408")
    assert (await org.read())["statecode"] == 0


@pytest.mark.parametrize(("state", "status"), [(1, 3), (2, 4), (3, 5)])
async def test_a_state_alone_takes_its_default_status(org: Org, state: int, status: int) -> None:
    """A state without a status reason takes the default one; a status reason of another state alone is refused."""
    await org.create()
    assert (await org.update({"statuscode": status})).status_code == 400
    assert (await org.update({"statecode": state})).status_code == 204
    assert (await org.read())["statuscode"] == status


async def test_an_unknown_state_is_refused(org: Org) -> None:
    """A state outside the four, or none, is refused."""
    await org.create()
    assert error_code(await org.update({"statecode": 4, "statuscode": 1})) == "0x8004431a"
    assert (await org.update({"statecode": None})).status_code == 400


@pytest.mark.parametrize(("state", "status"), CLOSED)
@pytest.mark.parametrize(
    "body",
    [{"subject": "New"}, {"statecode": 0, "statuscode": 1, "subject": "New"}, {"appointment_activity_parties": []}],
    ids=["column", "column with reopening", "parties"],
)
async def test_a_closed_row_is_read_only(org: Org, state: int, status: int, body: dict[str, Any]) -> None:
    """Completed and canceled appointments refuse every write but a change of state."""
    await org.create()
    await org.update({"statecode": state, "statuscode": status})
    response = await org.update(body)
    assert (response.status_code, error_code(response)) == (400, "0x8004022e")
    assert (await org.read())["subject"] == "Demo"


@pytest.mark.parametrize(("state", "status"), CLOSED)
async def test_a_closed_row_can_be_reopened(org: Org, state: int, status: int) -> None:
    """Reopen, write, close again works in three steps."""
    await org.create()
    for body in (
        {"statecode": state, "statuscode": status},
        {"statecode": 0, "statuscode": 1},
        {"subject": "New"},
        {"statecode": state, "statuscode": status},
    ):
        assert (await org.update(body)).status_code == 204
    assert (await org.read())["subject"] == "New"


async def test_some_organisations_write_closed_rows(org: Org) -> None:
    """With the switch, a closed row takes writes as any other."""
    await org.lever("switches", closed_rows="lenient")
    await org.create()
    await org.update({"statecode": 1, "statuscode": 3})
    assert (await org.update({"subject": "New"})).status_code == 204


async def test_some_organisations_refuse_closed_rows_by_another_code(org: Org) -> None:
    """With the switch, a write to a closed row is refused as one in the wrong state."""
    await org.lever("switches", closed_rows="strict_state")
    await org.create()
    await org.update({"statecode": 1, "statuscode": 3})
    assert error_code(await org.update({"subject": "New"})) == "0x80040233"


async def test_columns_may_change_while_closing(org: Org) -> None:
    """A write that closes an open row may carry columns."""
    await org.create()
    assert (await org.update({"statecode": 1, "statuscode": 3, "subject": "Held"})).status_code == 204


async def test_the_owner_can_change(org: Org) -> None:
    """A bind to another user assigns the row."""
    await org.create(ID, full_appointment())
    await org.update({"ownerid@odata.bind": f"/systemusers({USER_IDS[1]})"})
    row = await org.read()
    assert row["_ownerid_value"] == row["_owninguser_value"] == USER_IDS[1]
    assert row["_regardingobjectid_value"] == OPPORTUNITY_IDS[0]


@pytest.mark.parametrize(
    ("privilege", "body"),
    [
        ("prvWriteActivity", {"subject": "New"}),
        ("prvAssignActivity", {"ownerid@odata.bind": f"/systemusers({USER_IDS[1]})"}),
        ("prvAppendToLead", {"regardingobjectid_lead_appointment@odata.bind": f"/leads({LEAD_IDS[0]})"}),
    ],
)
async def test_a_write_needs_its_privilege(org: Org, privilege: str, body: dict[str, Any]) -> None:
    """A privilege that was taken away is missed with 403."""
    await org.create()
    await org.lever("switches", missing_privileges=[privilege])
    response = await org.update(body)
    assert (response.status_code, error_code(response)) == (403, "0x80040220")


async def test_creating_reading_and_deleting_need_theirs(org: Org) -> None:
    """Create, read and delete each have a privilege of their own."""
    await org.lever("switches", missing_privileges=["prvCreateActivity"])
    assert (await org.create()).status_code == 403
    await org.lever("switches", missing_privileges=[])
    await org.create()
    await org.lever("switches", missing_privileges=["prvReadActivity", "prvDeleteActivity", "prvReadContact"])
    answers = [
        await org.api.get(f"/appointments({ID})"),
        await org.api.get("/contacts"),
        await org.api.delete(f"/appointments({ID})"),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]

from __future__ import annotations

from typing import Any

import pytest

from sandbox.dataverse import Store
from sandbox.dataverse.seed import (
    CONTACT_IDS,
    LEAD_EMAILS,
    LEAD_IDS,
    OPPORTUNITY_IDS,
    USER_IDS,
    seed,
)
from tests.sandbox.dataverse.org import ID, OTHER_ID, Org, appointment, error_code, full_appointment, required_contact

PARTIES = "appointment_activity_parties"
LEAD_PARTY = {"participationtypemask": 5, "partyid_lead@odata.bind": f"/leads({LEAD_IDS[0]})"}


async def person(org: Org, row_id: str = ID) -> tuple[str | None, bool]:
    response = await org.api.get(f"/appointments({row_id})/{PARTIES}?$filter=participationtypemask eq 5")
    party = response.json()["value"][0]
    return party["_partyid_value"], party["ispartydeleted"]


async def test_the_state_shows_all_rows(org: Org) -> None:
    """GET state lists every set, appointments with their parties."""
    await org.create(ID, full_appointment())
    state = await org.view("state")
    assert {name: len(rows) for name, rows in state.items()} == {
        "appointments": 1,
        "contacts": 6,
        "leads": 4,
        "opportunities": 3,
        "accounts": 1,
        "systemusers": 5,
        "teams": 1,
    }
    shown = state["appointments"][0]
    assert (shown["subject"], len(shown[PARTIES])) == ("Demo", 4)


async def test_one_set_can_be_shown_alone(org: Org) -> None:
    """GET state of one entity set lists that set only."""
    assert list(await org.view("state", entity_set="leads")) == ["leads"]


async def test_a_reset_starts_over(org: Org) -> None:
    """Reset brings back the default people, switches, columns, faults and an empty log; versions go on."""
    first = (await org.created())["@odata.etag"]
    await org.lever("switches", closed_rows="lenient")
    await org.lever("columns", columns=[{"name": "new_note", "type": "Memo"}])
    await org.lever("faults", rate=1, kinds=["500"])
    await org.lever("reset")
    assert org.store.appointments == {}
    assert (await org.view("counters")) == {"total": 0}
    assert org.store.switches.closed_rows == "strict"
    again = await org.created()
    assert again["@odata.etag"] > first
    assert "new_note" not in again


async def test_a_reset_may_leave_the_people_out(org: Org) -> None:
    """Reset without seed leaves an empty organisation."""
    assert set((await org.lever("reset", seed=False))["rows"].values()) == {0}


async def test_rows_can_be_seeded(org: Org) -> None:
    """Seed adds people by their columns and appointments by the body of a create."""
    answer = await org.lever(
        "seed",
        contacts=[{"firstname": "Contact", "lastname": "New", "emailaddress1": "new@example.com"}],
        appointments=[full_appointment(activityid=ID)],
    )
    assert answer == {"added": {"contacts": 1, "appointments": 1}}
    found = (await org.api.get("/contacts?$filter=emailaddress1 eq 'new@example.com'")).json()["value"]
    assert (found[0]["fullname"], found[0]["statecode"]) == ("Contact New", 0)
    assert (await org.read())["subject"] == "Demo"


@pytest.mark.parametrize(
    ("lever", "given"),
    [
        ("seed", {"nonsense": []}),
        ("seed", {"contacts": [{"nonsense": 1}]}),
        ("seed", {"contacts": [{"firstname": 5}]}),
        ("switches", {"nonsense": True}),
        ("switches", {"closed_rows": "perhaps"}),
        ("switches", {"optimistic_concurrency": "no"}),
        ("edit", {"id": "x", "changes": {}}),
        ("edit", {"changes": {}}),
        ("columns", {"columns": [{"nonsense": 1}]}),
    ],
)
async def test_a_lever_refuses_what_makes_no_sense(org: Org, lever: str, given: dict[str, Any]) -> None:
    """A control request that cannot be carried out answers 400 with a reason."""
    response = await org.api.post(f"{org.control}/{lever}", json=given)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


async def test_a_lever_takes_json_objects_only(org: Org) -> None:
    """A control request whose body is no JSON object answers 400; an empty body means no settings."""
    assert (await org.api.post(f"{org.control}/reset", content=b"[]")).status_code == 400
    assert (await org.api.post(f"{org.control}/reset", content=b"{")).status_code == 400
    assert (await org.api.post(f"{org.control}/reset")).status_code == 200


async def test_a_persons_edit_gives_a_new_version(org: Org) -> None:
    """An edit changes the appointment in a person's name and makes older versions stale."""
    await org.create()
    stale = (await org.read())["@odata.etag"]
    answer = await org.lever("edit", id=ID, changes={"location": "Room"}, user=USER_IDS[1])
    row = await org.read()
    assert (row["location"], row["_modifiedby_value"], row["@odata.etag"]) == ("Room", USER_IDS[1], answer["etag"])
    assert error_code(await org.update({"subject": "New"}, **{"If-Match": stale})) == "0x80060882"


async def test_a_person_can_delete_an_appointment(org: Org) -> None:
    """A deleted appointment is gone, and deleting it again is a 404."""
    await org.create()
    await org.lever("delete", id=ID)
    assert (await org.api.get(f"/appointments({ID})")).status_code == 404
    assert (await org.api.post(f"{org.control}/delete", json={"id": ID})).status_code == 404


async def test_an_opportunity_takes_its_appointments_along(org: Org) -> None:
    """Deleting an opportunity deletes the appointments regarding it and no others."""
    await org.create(ID, full_appointment())
    await org.create(OTHER_ID)
    answer = await org.lever("delete", entity_set="opportunities", id=OPPORTUNITY_IDS[0])
    assert answer == {"deleted_appointments": 1}
    assert list(org.store.appointments) == [OTHER_ID]


async def test_a_deleted_person_leaves_a_party_without_one(org: Org) -> None:
    """The party of a deleted contact stays, marked, with its address; binding the contact again is a 404."""
    await org.create(ID, appointment(**{PARTIES: [required_contact(0)]}))
    await org.lever("delete", entity_set="contacts", id=CONTACT_IDS[0])
    assert await person(org) == (None, True)
    assert (await org.update({PARTIES: [required_contact(0)]})).status_code == 404


async def test_merged_contacts_share_their_appointments(org: Org) -> None:
    """After a merge the kept contact attends and is regarded; the other one is inactive and can still be bound."""
    regarding = {"regardingobjectid_contact_appointment@odata.bind": f"/contacts({CONTACT_IDS[0]})"}
    await org.create(ID, appointment(**{PARTIES: [required_contact(0)], **regarding}))
    stale = (await org.read())["@odata.etag"]
    assert await org.lever("merge", **{"from": CONTACT_IDS[0], "into": CONTACT_IDS[1]}) == {"moved": 1}
    row = await org.read()
    assert (await person(org), row["_regardingobjectid_value"]) == ((CONTACT_IDS[1], False), CONTACT_IDS[1])
    assert row["@odata.etag"] != stale
    merged = (await org.api.get(f"/contacts({CONTACT_IDS[0]})")).json()
    assert (merged["statecode"], merged["merged"], merged["_masterid_value"]) == (1, True, CONTACT_IDS[1])
    assert (await org.update({PARTIES: [required_contact(0)]})).status_code == 204


async def test_a_qualified_lead_becomes_a_contact(org: Org) -> None:
    """The contact takes over address and appointments, and the lead is gone."""
    await org.create(ID, appointment(**{PARTIES: [LEAD_PARTY]}))
    answer = await org.lever("qualify", lead=LEAD_IDS[0])
    assert await person(org) == (answer["contact"], False)
    contact = (await org.api.get(f"/contacts({answer['contact']})")).json()
    assert (contact["emailaddress1"], contact["_ownerid_value"]) == (LEAD_EMAILS[0], USER_IDS[0])
    assert error_code(await org.update({PARTIES: [LEAD_PARTY]})) == "0x80040217"


async def test_a_qualified_lead_may_stay(org: Org) -> None:
    """With keep_lead the lead stays as qualified and the contact, under a chosen id, points back at it."""
    await org.lever("qualify", lead=LEAD_IDS[0], keep_lead=True, contact=OTHER_ID)
    lead = (await org.api.get(f"/leads({LEAD_IDS[0]})")).json()
    contact = (await org.api.get(f"/contacts({OTHER_ID})")).json()
    assert (lead["statecode"], lead["statuscode"]) == (1, 3)
    assert contact["_originatingleadid_value"] == LEAD_IDS[0]


async def test_the_log_shows_what_was_sent(org: Org) -> None:
    """The log keeps method, address, the headers of interest, the body and the status, oldest first."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await org.create(ID, None, traceparent=trace, **{"x-ms-correlation-id": OTHER_ID, "Authorization": "Bearer x"})
    await org.api.get("/contacts", params={"$top": "1"})
    log = await org.view("requests")
    first, second = log["requests"]
    assert (log["total"], first["number"], second["number"]) == (2, 1, 2)
    assert (first["method"], first["path"], first["status"]) == ("PATCH", f"/api/data/v9.2/appointments({ID})", 204)
    assert first["headers"]["traceparent"] == trace
    assert first["headers"]["x-ms-correlation-id"] == OTHER_ID
    assert first["headers"]["If-None-Match"] == "*"
    assert "Authorization" not in first["headers"]
    assert '"subject":"Demo"' in first["body"]
    assert second["query"] == "$top=1"
    assert [entry["number"] for entry in (await org.view("requests", limit="1"))["requests"]] == [2]


async def test_the_log_is_bounded() -> None:
    """The log forgets the oldest requests and cuts long bodies; the total goes on counting."""
    store = Store(log_size=3)
    for number in range(5):
        store.log.add(
            method="GET",
            path="/",
            query="",
            entity="x",
            headers={},
            body=b"x" * 100_000,
            status=number,
            fault=None,
            service_request_id="",
        )
    kept = store.log.last(10)
    assert [entry["status"] for entry in kept] == [2, 3, 4]
    assert max(len(entry["body"]) for entry in kept) < 100_000
    assert store.log.total == 5


async def test_counters_tell_methods_sets_and_effects(org: Org) -> None:
    """Counters hold requests by method, set and status, and what was really written."""
    await org.create()
    await org.update({"subject": "New"})
    await org.api.delete(f"/appointments({ID})")
    counters = await org.view("counters")
    expected = {"total": 3, "PATCH appointments 204": 2, "DELETE appointments 204": 1} | {
        "created": 1,
        "updated": 1,
        "deleted": 1,
    }
    assert {name: counters[name] for name in expected} == expected


def test_the_default_people_refer_to_each_other() -> None:
    """Every lookup of the default rows points at a row that is there."""
    store = Store()
    seed(store)
    rows = [row for table in store.tables.values() for row in store.all_rows(table)]
    assert len(rows) == 20
    for row in rows:
        for prop, table in row.targets.items():
            assert str(row.values[prop]) in store.rows[table]

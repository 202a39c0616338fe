from __future__ import annotations

from typing import Any

import pytest

from sandbox.dataverse.seed import (
    ACCOUNT_ID,
    CONTACT_EMAILS,
    CONTACT_IDS,
    LEAD_IDS,
    OPPORTUNITY_IDS,
    TEAM_ID,
    USER_EMAILS,
    USER_IDS,
)
from tests.sandbox.dataverse.org import (
    END,
    ID,
    REGARDING_OPPORTUNITY,
    Org,
    appointment,
    error_code,
    full_appointment,
    organizer,
    required_contact,
)

PARTIES = "appointment_activity_parties"
ABSENT = "99999999-9999-4999-8999-999999999999"
OWN_MASKS = (8, 9)


async def parties(org: Org) -> list[dict[str, Any]]:
    row = await org.read(**{"$expand": f"{PARTIES}($select=participationtypemask,_partyid_value,addressused)"})
    return list(row[PARTIES])


async def attendees(org: Org) -> list[tuple[int, str | None]]:
    return sorted(
        (party["participationtypemask"], party["_partyid_value"])
        for party in await parties(org)
        if party["participationtypemask"] not in OWN_MASKS
    )


async def test_parties_come_with_the_create(org: Org) -> None:
    """A deep insert stores the parties with their kind of person and address."""
    await org.create(ID, full_appointment())
    assert await attendees(org) == [(5, CONTACT_IDS[0]), (7, USER_IDS[0])]
    addresses = {party["participationtypemask"]: party["addressused"] for party in await parties(org)}
    assert (addresses[5], addresses[7]) == (CONTACT_EMAILS[0], USER_EMAILS[0])


async def test_dataverse_adds_owner_and_regarding_as_parties(org: Org) -> None:
    """Two parties that nobody sent are there: mask 8 for the regarding row, mask 9 for the owner."""
    await org.create(ID, full_appointment())
    own = {p["participationtypemask"]: p["_partyid_value"] for p in await parties(org)}
    assert (own[8], own[9]) == (OPPORTUNITY_IDS[0], USER_IDS[0])
    await org.update({REGARDING_OPPORTUNITY: None})
    assert [p["participationtypemask"] for p in await parties(org)] == [5, 7, 9]


async def test_a_patch_with_parties_replaces_them_all(org: Org) -> None:
    """The collection that is sent is the collection that is there afterwards."""
    await org.create(ID, full_appointment())
    assert (await org.update({PARTIES: [required_contact(1)]})).status_code == 204
    assert await attendees(org) == [(5, CONTACT_IDS[1])]


async def test_some_organisations_replace_only_the_masks_sent(org: Org) -> None:
    """With the switch, parties of masks that are not in the collection stay."""
    await org.lever("switches", party_update="replace_sent_masks")
    await org.create(ID, full_appointment())
    await org.update({PARTIES: [required_contact(1)]})
    assert await attendees(org) == [(5, CONTACT_IDS[1]), (7, USER_IDS[0])]


async def test_a_patch_without_parties_leaves_them(org: Org) -> None:
    """Parties keep their ids when other columns change, and follow the schedule."""
    await org.create(ID, full_appointment())
    before = [p["activitypartyid"] for p in await parties(org) if p["participationtypemask"] not in OWN_MASKS]
    await org.update({"scheduledend": "2026-01-05T12:00:00Z"})
    after = [p["activitypartyid"] for p in await parties(org) if p["participationtypemask"] not in OWN_MASKS]
    assert before == after
    rows = (await org.api.get("/activityparties", params={"$select": "scheduledend"})).json()["value"]
    assert {row["scheduledend"] for row in rows} == {"2026-01-05T12:00:00Z"} != {END}


async def test_the_collection_can_be_put(org: Org) -> None:
    """PUT of the collection replaces it, as the documentation shows for e-mails."""
    await org.create(ID, full_appointment())
    response = await org.api.put(f"/appointments({ID})/{PARTIES}", json={"value": [required_contact(2)]})
    assert response.status_code == 204
    assert await attendees(org) == [(5, CONTACT_IDS[2])]


async def test_the_collection_can_be_read(org: Org) -> None:
    """GET of the collection lists the parties of one appointment."""
    await org.create(ID, full_appointment())
    response = await org.api.get(
        f"/appointments({ID})/{PARTIES}", params={"$filter": "participationtypemask eq 7", "$select": "_partyid_value"}
    )
    assert [row["_partyid_value"] for row in response.json()["value"]] == [USER_IDS[0]]


async def test_all_parties_of_a_person_can_be_found(org: Org) -> None:
    """The entity set activityparties is readable and points back at the appointment."""
    await org.create(ID, full_appointment())
    response = await org.api.get("/activityparties", params={"$filter": f"_partyid_value eq {CONTACT_IDS[0]}"})
    assert [row["_activityid_value"] for row in response.json()["value"]] == [ID]


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("contact", f"/contacts({CONTACT_IDS[0]})"),
        ("lead", f"/leads({LEAD_IDS[0]})"),
        ("account", f"/accounts({ACCOUNT_ID})"),
        ("systemuser", f"/systemusers({USER_IDS[0]})"),
    ],
)
async def test_attendees_may_be_of_four_kinds(org: Org, kind: str, address: str) -> None:
    """Contacts, leads, accounts and users can attend; reading tells the kind."""
    party = {"participationtypemask": 6, f"partyid_{kind}@odata.bind": address}
    await org.create(ID, appointment(**{PARTIES: [party]}))
    response = await org.api.get(
        f"/appointments({ID})/{PARTIES}?$select=_partyid_value&$filter=participationtypemask eq 6",
        headers={"Prefer": 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"'},
    )
    assert response.json()["value"][0]["_partyid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == kind


async def test_an_unresolved_person_is_an_address(org: Org) -> None:
    """A party without a row carries the address that was sent."""
    await org.create(ID, appointment(**{PARTIES: [{"participationtypemask": 5, "addressused": "new@example.com"}]}))
    found = [p for p in await parties(org) if p["participationtypemask"] == 5]
    assert [(p["_partyid_value"], p["addressused"]) for p in found] == [(None, "new@example.com")]


async def test_unresolved_people_can_be_forbidden(org: Org) -> None:
    """With the switch, an address without a row is refused."""
    await org.lever("switches", unresolved_parties="refuse")
    party = {"participationtypemask": 5, "addressused": "new@example.com"}
    response = await org.create(ID, appointment(**{PARTIES: [party]}))
    assert (response.status_code, error_code(response)) == (400, "0x80043506")


@pytest.mark.parametrize(
    "listed",
    [
        [{**required_contact(0), "participationtypemask": 1}],
        [{**required_contact(0), "participationtypemask": 8}],
        [{"partyid_contact@odata.bind": f"/contacts({CONTACT_IDS[0]})"}],
        [{**required_contact(0), "participationtypemask": 7}],
        [{"participationtypemask": 7, "addressused": "new@example.com"}],
        [organizer(0), organizer(1)],
        [{"participationtypemask": 5, "partyid_opportunity@odata.bind": f"/opportunities({OPPORTUNITY_IDS[0]})"}],
    ],
    ids=["sender", "regarding", "no mask", "contact organizes", "address organizes", "two organizers", "opportunity"],
)
async def test_a_party_must_fit_its_role(org: Org, listed: list[dict[str, Any]]) -> None:
    """Wrong roles, wrong kinds of person for a role and a second organizer are refused."""
    response = await org.create(ID, appointment(**{PARTIES: listed}))
    assert (response.status_code, error_code(response)) == (400, "0x80043506")
    assert org.store.appointments == {}


@pytest.mark.parametrize(
    "twice",
    [
        [required_contact(0), required_contact(0)],
        [
            {"participationtypemask": 5, "addressused": "a@example.com"},
            {"participationtypemask": 5, "addressused": "A@Example.com"},
        ],
    ],
)
async def test_the_same_person_is_listed_once_per_role(org: Org, twice: list[dict[str, Any]]) -> None:
    """The same person twice under one mask is refused, under two masks it is not."""
    assert (await org.create(ID, appointment(**{PARTIES: twice}))).status_code == 400
    two_roles = [required_contact(0), {**required_contact(0), "participationtypemask": 6}]
    assert (await org.create(ID, appointment(**{PARTIES: two_roles}))).status_code == 204


@pytest.mark.parametrize(
    "listed",
    [
        {"participationtypemask": 5},
        None,
        ["x"],
        [{"participationtypemask": "5"}],
        [{**required_contact(0), "email": "x"}],
        [{"participationtypemask": 5, "partyid@odata.bind": f"/contacts({CONTACT_IDS[0]})"}],
        [{"participationtypemask": 5, "partyid_team@odata.bind": f"/teams({TEAM_ID})"}],
        [{**required_contact(0), "partyid_lead@odata.bind": f"/leads({LEAD_IDS[0]})"}],
    ],
)
async def test_a_malformed_collection_is_refused(org: Org, listed: object) -> None:
    """Parties that are no list of party objects are refused as a bad body."""
    response = await org.create(ID, appointment(**{PARTIES: listed}))
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")


async def test_a_party_must_be_somebody(org: Org) -> None:
    """A party with neither a person nor an address is refused."""
    assert (await org.create(ID, appointment(**{PARTIES: [{"participationtypemask": 5}]}))).status_code == 400


async def test_a_missing_person_refuses_the_whole_write(org: Org) -> None:
    """A party whose row is gone answers 404, and neither parties nor columns change."""
    await org.create(ID, full_appointment())
    gone = {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({ABSENT})"}
    response = await org.update({"subject": "New", PARTIES: [gone]})
    assert (response.status_code, error_code(response)) == (404, "0x80040217")
    assert (await org.read())["subject"] == "Demo"
    assert await attendees(org) == [(5, CONTACT_IDS[0]), (7, USER_IDS[0])]


async def test_read_only_columns_of_a_party_are_ignored(org: Org) -> None:
    """A client cannot mark a party's person as deleted."""
    await org.create(ID, appointment(**{PARTIES: [{**required_contact(0), "ispartydeleted": True}]}))
    rows = (await org.api.get("/activityparties")).json()["value"]
    assert {row["ispartydeleted"] for row in rows} == {False}

from __future__ import annotations

from typing import Any

import pytest

from sandbox.dataverse.seed import USER_IDS
from tests.sandbox.dataverse.org import ID, OTHER_ID, Org, appointment, error_code, full_appointment

OWNER = {"ownerid@odata.bind": f"/systemusers({USER_IDS[1]})"}


@pytest.mark.parametrize(
    ("plugin", "refused"),
    [
        ({}, {"subject": "New"}),
        ({"column": "subject"}, {"subject": "New"}),
        ({"column": "subject", "value": "New"}, {"subject": "New"}),
        ({"column": "ownerid", "value": USER_IDS[1]}, OWNER),
        ({"column": "statecode"}, {"statecode": 1, "statuscode": 3}),
        ({"column": "appointment_activity_parties"}, {"appointment_activity_parties": []}),
        ({"record": ID.upper()}, {"subject": "New"}),
    ],
)
async def test_a_plug_in_refuses_what_it_is_told_to(org: Org, plugin: dict[str, Any], refused: dict[str, Any]) -> None:
    """By column, by value, by record; what it is not about goes through, and its column stands in what it says."""
    await org.create()
    await org.lever("plugins", plugins=[plugin])
    response = await org.update(refused)
    assert (response.status_code, error_code(response)) == (400, "0x80040265")
    assert plugin.get("column", "") in response.json()["error"]["message"]
    if plugin.get("column"):
        assert (await org.update({"location": "Room 1"})).status_code == 204
    if plugin.get("record"):
        assert (await org.create(OTHER_ID)).status_code == 204


async def test_a_plug_in_refuses_creates_too(org: Org) -> None:
    """Nothing is made then."""
    await org.lever("plugins", plugins=[{"column": "subject"}])
    assert error_code(await org.create()) == "0x80040265"
    assert org.store.appointments == {}


async def test_a_plug_in_may_refuse_for_a_while(org: Org) -> None:
    """As often as it is told to."""
    await org.create()
    await org.lever("plugins", plugins=[{"column": "subject", "times": 2}])
    answers = [await org.update({"subject": f"New {number}"}) for number in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 204]


async def test_a_plug_in_may_say_anything(org: Org) -> None:
    """A code, status and message of its own."""
    await org.lever("plugins", plugins=[{"status": 403, "code": "0x80040220", "message": "No."}])
    response = await org.create()
    assert (response.status_code, response.json()["error"]) == (403, {"code": "0x80040220", "message": "No."})


async def test_refusals_come_by_chance(org: Org) -> None:
    """Some for a column, some for the owner; for good, the row refuses the same from then on."""
    await org.lever("plugins", chance={"column": 0.3, "owner": 0.3, "for_good": 1.0, "seed": 5})
    ids = [f"99999999-0000-4000-8000-{number:012}" for number in range(60)]
    codes = {row_id: await org.create(row_id, full_appointment()) for row_id in ids}
    refused = {row_id: error_code(answer) for row_id, answer in codes.items() if answer.status_code == 400}
    owners = {row_id: error_code(answer) for row_id, answer in codes.items() if answer.status_code == 403}
    assert set(refused.values()) == {"0x80040265"}
    assert set(owners.values()) == {"0x80042f09"}
    plugins = (await org.view("plugins"))["plugins"]
    assert len(plugins) == len(refused) + len(owners)
    assert not {plugin["column"] for plugin in plugins} & {"scheduledstart", "scheduledend"}
    await org.lever("plugins", plugins=plugins)
    again = [await org.create(row_id, full_appointment()) for row_id in {**refused, **owners}]
    assert {answer.status_code for answer in again} <= {400, 403}


async def test_plug_ins_and_chance_end_with_an_empty_lever(org: Org) -> None:
    """And with a reset."""
    await org.lever("plugins", plugins=[{"column": "subject"}], chance={"column": 1.0})
    await org.lever("plugins")
    assert (await org.create(ID, appointment())).status_code == 204

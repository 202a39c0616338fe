from __future__ import annotations

import pytest

from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, DISABLED_USER_ID, OPPORTUNITY_IDS, USER_IDS
from tests.sandbox.dataverse.org import AT, ID, OTHER_ID, Org, appointment, error_code, full_appointment

BOOKER, REP = USER_IDS[1], USER_IDS[2]
FOR_BOOKER = {"MSCRMCallerID": BOOKER}


def owned_by(user: str) -> dict[str, str]:
    return appointment(**{"ownerid@odata.bind": f"/systemusers({user})"})


async def test_who_has_no_roles_may_not_own(org: Org) -> None:
    """403 with a code of its own, on create and update; the message names the user."""
    await org.create(OTHER_ID)
    await org.lever("rights", user=REP, roles=False)
    for response in (await org.create(ID, owned_by(REP)), await org.update(owned_by(REP), OTHER_ID)):
        assert (response.status_code, error_code(response)) == (403, "0x80042f09")
        assert REP in response.json()["error"]["message"]
    assert (await org.create(ID, owned_by(BOOKER))).status_code == 204


async def test_an_owner_must_be_able_to_read_the_row(org: Org) -> None:
    """403 for a missing privilege, which is that of the owner."""
    await org.lever("rights", user=REP, missing_privileges=["prvReadActivity"])
    response = await org.create(ID, owned_by(REP))
    assert (response.status_code, error_code(response)) == (403, "0x80040220")
    assert REP in response.json()["error"]["message"]


async def test_a_disabled_owner_is_refused_by_either_code(org: Org) -> None:
    """Organisations differ."""
    assert error_code(await org.create(ID, owned_by(DISABLED_USER_ID))) == "0x80040225"
    await org.lever("switches", disabled_owner="0x8004022b")
    response = await org.create(ID, owned_by(DISABLED_USER_ID))
    assert (response.status_code, error_code(response)) == (400, "0x8004022b")


@pytest.mark.parametrize("lacking", [APP_USER_ID, BOOKER])
async def test_who_acts_for_another_may_do_what_both_may(org: Org, lacking: str) -> None:
    """A privilege that either of the two lacks refuses the create."""
    await org.lever("rights", user=lacking, missing_privileges=["prvAppendToOpportunity"])
    response = await org.create(ID, full_appointment(), **FOR_BOOKER)
    assert (response.status_code, error_code(response)) == (403, "0x80040220")
    assert lacking in response.json()["error"]["message"]


@pytest.mark.parametrize("record", [OPPORTUNITY_IDS[0], CONTACT_IDS[0]], ids=["regarding", "party"])
async def test_rights_are_asked_for_each_record(org: Org, record: str) -> None:
    """A booker who may not use one record is refused with it, and with no other."""
    await org.lever("rights", user=BOOKER, no_access=[record])
    refused = await org.create(ID, full_appointment(), **FOR_BOOKER)
    assert (refused.status_code, error_code(refused)) == (403, "0x80040220")
    assert (await org.create(ID, owned_by(REP), **FOR_BOOKER)).status_code == 204
    assert (await org.create(OTHER_ID, full_appointment())).status_code == 204


async def test_a_booker_without_roles_cannot_be_acted_for(org: Org) -> None:
    """The code is that of users without roles."""
    await org.lever("rights", user=BOOKER, roles=False)
    response = await org.create(ID, None, **FOR_BOOKER)
    assert (response.status_code, error_code(response)) == (403, "0x80042f09")


async def test_nothing_was_created_in_the_future(org: Org) -> None:
    """A second ahead of the service's clock is refused, its own second is not."""
    now = AT.isoformat().replace("+00:00", "Z")
    ahead = await org.create(ID, appointment(overriddencreatedon=now.replace("05Z", "06Z")))
    assert (ahead.status_code, error_code(ahead)) == (400, "0x80040203")
    assert (await org.create(ID, appointment(overriddencreatedon=now))).status_code == 204


async def test_an_unknown_column_is_refused_by_either_code(org: Org) -> None:
    """The one of the OData reader, or the other one."""
    assert error_code(await org.create(ID, appointment(new_unknown=1))) == "0x80048d19"
    await org.lever("switches", unknown_column="0x8006088a")
    response = await org.create(ID, appointment(new_unknown=1))
    assert (response.status_code, error_code(response)) == (400, "0x8006088a")
    assert "new_unknown" in response.json()["error"]["message"]

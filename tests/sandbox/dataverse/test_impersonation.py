from __future__ import annotations

import pytest

from sandbox.dataverse.seed import (
    APP_USER_ID,
    DISABLED_USER_ID,
    USER_IDS,
    USER_OBJECT_IDS,
)
from tests.sandbox.dataverse.org import ID, Org, appointment, error_code

BY_ID = {"MSCRMCallerID": USER_IDS[1]}
BY_OBJECT_ID = {"CallerObjectId": USER_OBJECT_IDS[1]}


@pytest.mark.parametrize("header", [BY_ID, BY_OBJECT_ID], ids=["user id", "object id"])
async def test_the_author_is_who_is_acted_for(org: Org, header: dict[str, str]) -> None:
    """Created By is the user of the header, Created By (Delegate) the application user."""
    row = await org.created(None, **header)
    assert (row["_createdby_value"], row["_createdonbehalfby_value"]) == (USER_IDS[1], APP_USER_ID)
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (USER_IDS[1], APP_USER_ID)
    assert row["_ownerid_value"] == USER_IDS[1]


async def test_without_a_header_the_app_is_the_author(org: Org) -> None:
    """Created By is the application user and nobody stands behind it."""
    row = await org.created()
    assert (row["_createdby_value"], row["_createdonbehalfby_value"]) == (APP_USER_ID, None)


async def test_an_update_leaves_the_author(org: Org) -> None:
    """A later write changes Modified By, not Created By."""
    await org.create(ID, None, **BY_ID)
    await org.update({"subject": "New"})
    row = await org.read()
    assert (row["_createdby_value"], row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (
        USER_IDS[1],
        APP_USER_ID,
        None,
    )


@pytest.mark.parametrize(
    "header", [{"MSCRMCallerID": USER_OBJECT_IDS[1]}, {"CallerObjectId": USER_IDS[1]}], ids=["user id", "object id"]
)
async def test_an_id_of_the_wrong_kind_is_ignored(org: Org, header: dict[str, str]) -> None:
    """An object id where a user id belongs, and the reverse, acts for nobody and says nothing."""
    row = await org.created(None, **header)
    assert row["_createdby_value"] == APP_USER_ID


async def test_acting_for_others_needs_a_privilege(org: Org) -> None:
    """Without prvActOnBehalfOfAnotherUser the request is refused with 403, and works without the header."""
    await org.lever("switches", act_on_behalf="refuse")
    response = await org.create(ID, None, **BY_ID)
    assert (response.status_code, error_code(response)) == (403, "0x8004a110")
    assert (await org.create()).status_code == 204


async def test_nobody_acts_for_the_disabled(org: Org) -> None:
    """A user who left the company cannot be acted for."""
    response = await org.create(ID, None, MSCRMCallerID=DISABLED_USER_ID)
    assert (response.status_code, error_code(response)) == (403, "0x80040225")


@pytest.mark.parametrize("header", ["MSCRMCallerID", "CallerObjectId"])
async def test_an_unknown_user_is_refused(org: Org, header: str) -> None:
    """An id that no user has answers 404, one that is no GUID 400."""
    unknown = await org.create(ID, None, **{header: "99999999-9999-4999-8999-999999999999"})
    garbled = await org.create(ID, None, **{header: "sales-rep-two"})
    assert (unknown.status_code, garbled.status_code) == (404, 400)


async def test_who_am_i_tells_who_is_acted_for(org: Org) -> None:
    """WhoAmI answers for the user of the header."""
    answers = [(await org.api.get("/WhoAmI", headers=headers)).json()["UserId"] for headers in ({}, BY_ID)]
    assert answers == [APP_USER_ID, USER_IDS[1]]


async def test_the_owner_may_be_another_than_the_author(org: Org) -> None:
    """A bind of the owner wins over the user who is acted for."""
    body = appointment(**{"ownerid@odata.bind": f"/systemusers({USER_IDS[0]})"})
    row = await org.created(body, **BY_ID)
    assert (row["_ownerid_value"], row["_createdby_value"]) == (USER_IDS[0], USER_IDS[1])

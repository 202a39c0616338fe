"""Answers that are not Dataverse's: a gateway or a sign-in page on the way says nothing about the appointment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from shared.dataverse.appointments import AppointmentApi
from shared.dataverse.client import Dataverse
from shared.errors import Transient
from shared.http.authorization import fixed_token
from shared.http.client import Caller
from tests.samples import DEFAULT

ID = "6a128781-9b13-534b-893f-216f98b8b130"

ANSWERS = {
    "a page": httpx.Response(200, html="<html>Sign in</html>"),
    "a list": httpx.Response(200, json=[1]),
    "a redirect": httpx.Response(302, headers={"Location": "https://login.example.com"}),
}


def api(dataverse: Dataverse) -> AppointmentApi:
    """Appointments with the columns of the default mapping."""
    return AppointmentApi(dataverse, wires=DEFAULT.wires)


CALLS: dict[str, Callable[[Dataverse], Awaitable[object]]] = {
    "create": lambda it: api(it).create(ID, {"subject": "A"}, created_on=None, created_by=None),
    "update": lambda it: api(it).update(ID, {"subject": "A"}, version='W/"1"'),
    "set_state": lambda it: api(it).set_state(ID, (1, 3), version='W/"1"'),
    "read": lambda it: api(it).read(ID, ["subject"]),
    "find": lambda it: it.find("contacts", filter_="statecode eq 0", select="contactid", top=1),
    "who_am_i": lambda it: it.who_am_i(),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_not_dataverse(call: Callable[[Dataverse], Awaitable[object]], answer: httpx.Response) -> None:
    """The event is kept for another try, with a reason that does not blame the app."""
    with pytest.raises(Transient, match="DATAVERSE_URL"):
        await _asked(call, answer)


@pytest.mark.parametrize("call", ["read", "find"])
async def test_another_object(call: str) -> None:
    """Nothing can be fenced by a row without a version, and nobody is unknown because some other service says so."""
    with pytest.raises(Transient, match="DATAVERSE_URL"):
        await _asked(CALLS[call], httpx.Response(200, json={"activityid": ID}))


async def _asked(call: Callable[[Dataverse], Awaitable[Any]], answer: httpx.Response) -> object:
    transport = httpx.MockTransport(lambda _: answer)
    async with httpx.AsyncClient(base_url="https://crm.example.com", transport=transport) as client:
        return await call(Dataverse(Caller("dataverse", client), token=fixed_token(None)))

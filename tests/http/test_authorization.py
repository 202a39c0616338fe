"""A request with a bearer token, and once more with another one where the first was refused."""

from __future__ import annotations

import httpx
import pytest

from shared.dataverse.client import Dataverse
from shared.errors import Transient
from shared.http.authorization import fixed_token, send_authorized
from shared.http.client import Caller
from tests.outreach.support import client


class Renewing:
    """A token that is another one after each refusal."""

    def __init__(self) -> None:
        self.rejected: list[str] = []

    async def __call__(self, *, rejected: str | None = None) -> str:
        if rejected:
            self.rejected.append(rejected)
        return f"token-{len(self.rejected)}"


def refusing(good: str, seen: list[str]) -> httpx.MockTransport:
    """A service that takes one token only; 401 in plain text otherwise."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        if request.headers["Authorization"] == f"Bearer {good}":
            return httpx.Response(200, json={"data": [], "UserId": "x"})
        return httpx.Response(401, text="Unauthorized\n")

    return httpx.MockTransport(answer)


@pytest.mark.parametrize("good", ["token-1", "token-9"])
async def test_once_more_after_a_refusal(good: str) -> None:
    """After a 401 the request is sent once more with a new token, and not a third time."""
    seen: list[str] = []
    token = Renewing()
    async with client("https://api.example.com", token=token, transport=refusing(good, seen)) as outreach:
        if good == "token-1":
            assert await outreach.request("GET", "/api/v2/users") is not None
        else:
            with pytest.raises(Transient) as refused:
                await outreach.request("GET", "/api/v2/users")
            assert refused.value.code == "unauthorized"
    assert seen == ["Bearer token-0", "Bearer token-1"]
    assert token.rejected == ["token-0"]


async def test_dataverse_too() -> None:
    """Dataverse's token is replaced after a 401 just the same."""
    seen: list[str] = []
    async with httpx.AsyncClient(base_url="https://org.example.com", transport=refusing("token-1", seen)) as http:
        dataverse = Dataverse(Caller("dataverse", http), token=Renewing())
        assert await dataverse.who_am_i()
    assert seen == ["Bearer token-0", "Bearer token-1"]


async def test_no_second_request_without_another_token() -> None:
    """Where there is no other token the refusal stands."""
    seen: list[str] = []
    async with httpx.AsyncClient(base_url="https://api.example.com", transport=refusing("other", seen)) as http:
        caller = Caller("outreach", http)
        answer = await send_authorized(caller, "GET", "/x", token=fixed_token("fixed"), headers={})
    assert answer.status_code == 401
    assert len(seen) == 1

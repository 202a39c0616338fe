"""Tokens exchanged from Outreach and given to requests: S2S, OAuth, and once more after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from azure.core.credentials import AccessToken
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.azurite import StorageNames
from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.store import Store, Switches
from sandbox.outreach.tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    FIRST_REFRESH_TOKEN,
    REDIRECT_URI,
    Installation,
)
from shared import runtime
from shared.dataverse.client import Dataverse
from shared.errors import Transient
from shared.http.authorization import fixed_token, send_authorized
from shared.http.client import Caller
from shared.http.credentials import CachedToken
from shared.outreach.credentials import oauth_exchange, s2s_exchange
from shared.outreach.tokens import RefreshTokenRefused
from shared.settings import OutreachCredentials
from tests.outreach.support import client
from tests.product.bench import OwnTables, installation

INSTALL_ID, GUID = "4711", "a-guid-of-the-app"


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    """An RSA key pair in PEM: private, public."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.fixture
async def caller(stand_in: tuple[Store, str]) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(base_url=stand_in[1]) as http:
        yield Caller("outreach", http)


def s2s(private_key: str) -> OutreachCredentials:
    return OutreachCredentials("s2s", guid=GUID, install_id=INSTALL_ID, private_key=private_key)


def oauth(**changes: str) -> OutreachCredentials:
    names = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": REDIRECT_URI}
    return OutreachCredentials("oauth", **(names | changes))


async def test_s2s(stand_in: tuple[Store, str], caller: Caller, keys: tuple[str, str]) -> None:
    """An app token signed with the app's key is exchanged for an access token that the API takes, for an hour."""
    store, url = stand_in
    store.tokens.installations[INSTALL_ID] = Installation(GUID, keys[1])
    exchanged = await s2s_exchange(caller, s2s(keys[0]))("")
    assert (exchanged.seconds, exchanged.refresh) == (3600.0, "")
    async with client(url, token=fixed_token(exchanged.access)) as outreach:
        assert await outreach.get("user", "1") is not None


async def test_s2s_app_token(keys: tuple[str, str]) -> None:
    """The app token is RS256 with the GUID as issuer, from half a minute ago, good for an hour, and goes as bearer."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"data": {"meta": {"accessToken": "exchanged"}}})

    async with httpx.AsyncClient(base_url="https://api.example.com", transport=httpx.MockTransport(answer)) as http:
        await s2s_exchange(Caller("outreach", http), s2s(keys[0]), clock=lambda: 1_700_000_000.9)("")
    scheme, _, app_token = seen[0].headers["Authorization"].partition(" ")
    claims = jwt.decode(app_token, keys[1], algorithms=["RS256"], options={"verify_exp": False})
    assert scheme == "Bearer"
    assert claims == {"iss": GUID, "iat": 1_699_999_970, "exp": 1_700_003_570}
    assert seen[0].url.path == f"/api/app/installs/{INSTALL_ID}/actions/accessToken"


async def test_s2s_with_a_key_that_is_none(caller: Caller) -> None:
    """A broken key is the admin's to mend, so the events wait."""
    with pytest.raises(Transient, match="OUTREACH_S2S_PRIVATE_KEY"):
        await s2s_exchange(caller, s2s("no key at all"))("")


async def test_s2s_refused(caller: Caller, keys: tuple[str, str]) -> None:
    """An app that is not installed is reported so, with what to check."""
    with pytest.raises(Transient, match=r"401.*installation") as refused:
        await s2s_exchange(caller, s2s(keys[0]))("")
    assert refused.value.status == 401


async def test_oauth(stand_in: tuple[Store, str], caller: Caller) -> None:
    """A refresh token is exchanged for an access token for two hours and its own successor, and is spent by that."""
    exchange = oauth_exchange(caller, oauth())
    exchanged = await exchange(FIRST_REFRESH_TOKEN)
    assert exchanged.seconds == 7200.0
    assert exchanged.refresh not in {"", FIRST_REFRESH_TOKEN}
    async with client(stand_in[1], token=fixed_token(exchanged.access)) as outreach:
        assert await outreach.get("user", "1") is not None
    with pytest.raises(RefreshTokenRefused):
        await exchange(FIRST_REFRESH_TOKEN)
    assert (await exchange(exchanged.refresh)).access != exchanged.access


async def test_oauth_with_a_wrong_client(caller: Caller) -> None:
    """A wrong client secret does not count against the refresh token."""
    with pytest.raises(Transient, match="OUTREACH_CLIENT_SECRET"):
        await oauth_exchange(caller, oauth(client_secret="wrong"))(FIRST_REFRESH_TOKEN)
    assert (await oauth_exchange(caller, oauth())(FIRST_REFRESH_TOKEN)).access


async def test_oauth_throttled(stand_in: tuple[Store, str], caller: Caller) -> None:
    """A plain-text 429 is reported as one, and the token is not spent."""
    stand_in[0].switches = Switches(token_throttle="on")
    exchanged = await oauth_exchange(caller, oauth())(FIRST_REFRESH_TOKEN)
    with pytest.raises(Transient) as throttled:
        await oauth_exchange(caller, oauth())(exchanged.refresh)
    assert throttled.value.status == 429


@pytest.mark.parametrize(("status", "code"), [(503, ""), (429, ""), (401, "no_token"), (200, "no_token")])
async def test_only_a_refusal_is_told_as_one(status: int, code: str) -> None:
    """An outage of Outreach's token endpoint has not the code that the alert takes for a refused credential."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text="Service Unavailable"))
    async with httpx.AsyncClient(base_url="https://api.example.com", transport=transport) as http:
        with pytest.raises(Transient, match="no access token") as caught:
            await oauth_exchange(Caller("outreach", http), oauth())("refresh")
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize("answer", ["no json", "[]", "{}", '{"access_token": 5}', '{"access_token": ""}', "null"])
async def test_answers_without_a_token(answer: str) -> None:
    """An answer that holds no token is an error with a sentence, whatever it holds instead."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=answer))
    async with httpx.AsyncClient(base_url="https://api.example.com", transport=transport) as http:
        with pytest.raises(Transient, match="no access token"):
            await oauth_exchange(Caller("outreach", http), oauth())("refresh")


@pytest.mark.parametrize("expires_in", ["-1", "0", "1e400", "1e20", '"soon"', "null", "[]", "true"])
async def test_odd_life_times_cost_no_token(expires_in: str) -> None:
    """The refresh token in an answer is kept although how long the access token is good cannot be read."""
    body = f'{{"access_token": "access", "refresh_token": "next", "expires_in": {expires_in}}}'
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    async with httpx.AsyncClient(base_url="https://api.example.com", transport=transport) as http:
        exchanged = await oauth_exchange(Caller("outreach", http), oauth())("refresh")
    assert (exchanged.access, exchanged.refresh, exchanged.seconds) == ("access", "next", 7200.0)


async def test_cached_token_is_fetched_once() -> None:
    """However many wait, one fetches; a rejected token is replaced once, by whoever comes first."""
    fetched: list[str | None] = []

    async def fetch(rejected: str | None) -> tuple[str, float]:
        fetched.append(rejected)
        await asyncio.sleep(0)
        return f"token-{len(fetched)}", 3600.0

    token = CachedToken(fetch, clock=lambda: 0.0)
    assert set(await asyncio.gather(*(token() for _ in range(5)))) == {"token-1"}
    assert set(await asyncio.gather(*(token(rejected="token-1") for _ in range(5)))) == {"token-2"}
    assert await token() == "token-2"
    assert fetched == [None, "token-1"]


async def test_cached_token_is_renewed_before_it_ends() -> None:
    """Five minutes before its end a token is replaced; a short one after half its life."""
    now, lives = [0.0], [3600.0, 100.0, 3600.0]

    async def fetch(_: str | None) -> tuple[str, float]:
        return f"token-{len(lives)}", lives.pop(0)

    token = CachedToken(fetch, clock=lambda: now[0])
    given = []
    for now[0] in (0.0, 3299.0, 3300.0, 3349.0, 3350.0):
        given.append(await token())
    assert given == ["token-3", "token-3", "token-2", "token-2", "token-1"]


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


@pytest.mark.parametrize("form", ["401", "401_json"])
async def test_s2s_worker_recovers_from_a_401(
    azurite: str, storage_names: StorageNames, keys: tuple[str, str], form: str
) -> None:
    """Two workers share one S2S token; when Outreach takes it no more, one gets the next for both."""
    settings = {
        "OUTREACH_API_TOKEN": "",
        "OUTREACH_S2S_GUID": GUID,
        "OUTREACH_S2S_INSTALL_ID": INSTALL_ID,
        "OUTREACH_S2S_PRIVATE_KEY": keys[0].replace("\n", "\\n"),
    }
    async with installation(azurite, storage_names.queue("events"), **settings) as product:
        product.outreach.tokens.installations[INSTALL_ID] = Installation(GUID, keys[1])
        other = OwnTables(product.environment)
        try:
            assert await product.runtime.outreach.get("user", "1") is not None
            assert await other.outreach.get("user", "1") is not None
            assert product.outreach.tokens.issued == 1
            product.runtime.later = other.later = timedelta(minutes=2)
            product.outreach.faults = FaultPlan.parse({"next": [{"kind": form, "path": "/api/v2/users"}] * 2})
            found: list[Any] = await asyncio.gather(
                product.runtime.outreach.get("user", "1"), other.outreach.get("user", "1")
            )
        finally:
            await other.aclose()
        assert all(record is not None for record in found)
        assert product.outreach.tokens.issued == 2


async def test_identities_are_closed_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity keeps connections of its own; left open, a command ends with complaints about them."""

    class Identity:
        async def get_token(self, *_: str) -> AccessToken:
            return AccessToken("a-token", 2_000_000_000)

        async def close(self) -> None:
            closed.append(self)

    made: list[Identity] = []
    closed: list[Identity] = []

    def make(*_: object) -> Identity:
        made.append(Identity())
        return made[-1]

    monkeypatch.setattr(runtime, "azure_credential", make)
    settings = {
        "AzureWebJobsStorage__accountName": "contoso",
        "OUTREACH_WEBHOOK_SECRET": "a-webhook-secret",
        "OUTREACH_API_TOKEN": "a-token",
        "DATAVERSE_URL": "https://contoso.crm.dynamics.com",
    }
    parts = runtime.Runtime(settings)
    _ = parts.queue, parts.dataverse, parts.meetings
    await parts.aclose()
    assert len(made) == 2
    assert closed == made

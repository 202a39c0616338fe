"""Tokens exchanged from Outreach: S2S and OAuth, refusals in words, and the next token after one that was refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
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
from shared.errors import Transient
from shared.http.authorization import fixed_token
from shared.http.client import Caller
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

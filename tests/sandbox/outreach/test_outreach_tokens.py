"""Token endpoints of the Outreach stand-in, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sandbox.outreach import create_app
from sandbox.outreach.tokens import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH_TOKEN, REDIRECT_URI

FORM = {
    "grant_type": "refresh_token",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "redirect_uri": REDIRECT_URI,
}


def _key() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    """One RSA key for all tests: making one takes a while."""
    return _key()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with TestServer(create_app()) as server, aiohttp.ClientSession(server.make_url("/")) as session:
        yield session


async def _refresh(session: aiohttp.ClientSession, token: str, **changes: str) -> tuple[int, Any]:
    async with session.post("/oauth/token", data={**FORM, "refresh_token": token, **changes}) as response:
        text = await response.text()
        return response.status, await response.json() if response.content_type == "application/json" else text


async def _reads(session: aiohttp.ClientSession, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/vnd.api+json"}
    async with session.get("/api/v2/users/1", headers=headers) as response:
        return response.status


async def _control(session: aiohttp.ClientSession, lever: str, **body: Any) -> None:
    async with session.post(f"/__sandbox/{lever}", json=body) as response:
        assert response.status == 200, await response.text()


async def test_a_refresh_gives_a_new_pair_that_works(session: aiohttp.ClientSession) -> None:
    """The access token reads, and the new refresh token refreshes."""
    status, first = await _refresh(session, FIRST_REFRESH_TOKEN)
    assert (status, first["token_type"], first["expires_in"]) == (200, "Bearer", 7200)
    assert await _reads(session, first["access_token"]) == 200
    status, second = await _refresh(session, first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]


async def test_a_refresh_token_is_good_for_one_use(session: aiohttp.ClientSession) -> None:
    """The second use is refused and counted; what the first one gave stays good."""
    _, pair = await _refresh(session, FIRST_REFRESH_TOKEN)
    status, refused = await _refresh(session, FIRST_REFRESH_TOKEN)
    assert (status, refused["error"]) == (400, "invalid_grant")
    assert await _reads(session, pair["access_token"]) == 200
    async with session.get("/__sandbox/state") as response:
        assert (await response.json())["tokens"] == {"issued": 1, "refresh_tokens_used_again": 1}


async def test_reuse_can_end_the_whole_family(session: aiohttp.ClientSession) -> None:
    """Switched so, a second use ends every token that came from the first."""
    await _control(session, "switches", used_refresh_token="revoke_family")
    _, pair = await _refresh(session, FIRST_REFRESH_TOKEN)
    await _refresh(session, FIRST_REFRESH_TOKEN)
    assert await _reads(session, pair["access_token"]) == 401
    assert (await _refresh(session, pair["refresh_token"]))[0] == 400


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"redirect_uri": ""}, 400, "invalid_grant"),
        ({"refresh_token": "unknown"}, 400, "invalid_grant"),
    ],
)
async def test_a_wrong_refresh_is_refused_and_spends_nothing(
    session: aiohttp.ClientSession, changes: dict[str, str], status: int, error: str
) -> None:
    """The refusal names the OAuth error, and the refresh token is still good afterwards."""
    answered, body = await _refresh(session, **{"token": FIRST_REFRESH_TOKEN, **changes})
    assert (answered, body["error"]) == (status, error)
    assert (await _refresh(session, FIRST_REFRESH_TOKEN))[0] == 200


async def test_tokens_expire(session: aiohttp.ClientSession) -> None:
    """An access token ends after two hours, a refresh token after fourteen days."""
    _, pair = await _refresh(session, FIRST_REFRESH_TOKEN)
    await _control(session, "clock", advance_seconds=7201)
    assert await _reads(session, pair["access_token"]) == 401
    await _control(session, "clock", advance_seconds=14 * 24 * 3600)
    assert (await _refresh(session, pair["refresh_token"]))[0] == 400


async def test_a_second_token_within_a_minute_is_throttled_in_plain_text(session: aiohttp.ClientSession) -> None:
    """Switched on, the throttle answers 429 as text, does not spend the token, and ends after a minute."""
    await _control(session, "switches", token_throttle="on")
    _, pair = await _refresh(session, FIRST_REFRESH_TOKEN)
    assert await _refresh(session, pair["refresh_token"]) == (429, "Retry later\n")
    await _control(session, "clock", advance_seconds=61)
    assert (await _refresh(session, pair["refresh_token"]))[0] == 200


async def _exchange(session: aiohttp.ClientSession, app_token: str, install: str = "77") -> tuple[int, Any]:
    path = f"/api/app/installs/{install}/actions/accessToken"
    async with session.post(path, headers={"Authorization": f"Bearer {app_token}"}) as response:
        return response.status, await response.json()


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": "app-guid", "iat": now, "exp": now + 3600} | changes
    return {name: value for name, value in claims.items() if value is not None}


async def test_a_signed_app_token_buys_an_access_token_for_an_hour(
    session: aiohttp.ClientSession, keys: tuple[str, str]
) -> None:
    """The token stands at data.meta.accessToken, reads, and ends after an hour."""
    await _control(session, "s2s", install_id="77", guid="app-guid", public_key=keys[1])
    status, body = await _exchange(session, jwt.encode(_claims(), keys[0], algorithm="RS256"))
    assert status == 200
    token = body["data"]["meta"]["accessToken"]
    assert await _reads(session, token) == 200
    await _control(session, "clock", advance_seconds=3601)
    assert await _reads(session, token) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"iss": None},
        {"iat": None},
        {"exp": None},
        {"exp": int(time.time()) - 1},
        {"iat": int(time.time()) + 86_400, "exp": int(time.time()) + 90_000},  # read when the tests are collected
        {"exp": int(time.time()) + 7200},
    ],
)
async def test_an_app_token_with_wrong_claims_is_refused(
    session: aiohttp.ClientSession, keys: tuple[str, str], changes: dict[str, Any]
) -> None:
    """Wrong or missing issuer, missing times, expired, from the future, or longer than an hour: 401."""
    await _control(session, "s2s", install_id="77", guid="app-guid", public_key=keys[1])
    status, body = await _exchange(session, jwt.encode(_claims(**changes), keys[0], algorithm="RS256"))
    assert (status, set(body)) == (401, {"error", "description"})


async def test_an_app_token_of_another_key_or_algorithm_is_refused(
    session: aiohttp.ClientSession, keys: tuple[str, str]
) -> None:
    """Only RS256 with the registered key counts; a token signed with a shared secret does not."""
    await _control(session, "s2s", install_id="77", guid="app-guid", public_key=keys[1])
    assert (await _exchange(session, jwt.encode(_claims(), _key()[0], algorithm="RS256")))[0] == 401
    assert (await _exchange(session, jwt.encode(_claims(), "x" * 32, algorithm="HS256")))[0] == 401


async def test_an_unknown_installation_is_refused(session: aiohttp.ClientSession, keys: tuple[str, str]) -> None:
    """A good app token for an installation that is not there buys nothing."""
    await _control(session, "s2s", install_id="77", guid="app-guid", public_key=keys[1])
    assert (await _exchange(session, jwt.encode(_claims(), keys[0], algorithm="RS256"), install="78"))[0] == 401

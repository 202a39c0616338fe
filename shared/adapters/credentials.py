"""Tokens: of the app's identity for Azure and Dataverse, and of Outreach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import jwt
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from shared.adapters.http import Caller
from shared.core.errors import Permanent, Transient
from shared.settings import OutreachCredentials

# A token is renewed this long before it ends, so that none ends on its way.
EARLY_SECONDS = 300.0
_APP_TOKEN_SECONDS = 3600

# Gives a token and for how many seconds it is good.
Fetch = Callable[[], Awaitable[tuple[str, float]]]


def azure_credential(client_id: str, environment: Mapping[str, str]) -> AsyncTokenCredential:
    """The managed identity where there is one (in Azure), else what the developer is signed in with."""
    if "IDENTITY_ENDPOINT" in environment:
        return ManagedIdentityCredential(client_id=client_id or None)
    return DefaultAzureCredential(managed_identity_client_id=client_id or None)


class CachedToken:
    """A token that is fetched when it is needed and renewed before it ends, once however many wait for it."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = float("-inf")

    async def __call__(self) -> str:
        """The token."""
        if self._clock() < self._renew_at:
            return self._token
        async with self._lock:
            if self._clock() >= self._renew_at:
                self._token, seconds = await self._fetch()
                self._renew_at = self._clock() + max(seconds - EARLY_SECONDS, seconds / 2)
        return self._token


def dataverse_token(credential: AsyncTokenCredential, dataverse_url: str) -> Fetch:
    """Fetches tokens for the application user of `dataverse_url`."""

    async def fetch() -> tuple[str, float]:
        try:
            token = await credential.get_token(f"{dataverse_url}/.default")
        except ClientAuthenticationError as error:
            reason = "The app's identity got no token for Dynamics. Check AZURE_CLIENT_ID and the identity."
            raise Transient(reason, service="identity", code=type(error).__name__) from error
        return token.token, token.expires_on - time.time()

    return fetch


def s2s_token(caller: Caller, credentials: OutreachCredentials) -> Fetch:
    """Fetches access tokens by Outreach's S2S flow: an RS256 app token, good for an hour, buys an access token."""

    async def fetch() -> tuple[str, float]:
        now = int(time.time())
        claims = {"iat": now, "exp": now + _APP_TOKEN_SECONDS, "iss": credentials.guid}
        try:
            app_token = jwt.encode(claims, credentials.private_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Permanent("OUTREACH_S2S_PRIVATE_KEY is not an RSA private key in PEM.", service="outreach") from error
        response = await caller.send(
            "POST",
            f"/api/app/installs/{credentials.install_id}/actions/accessToken",
            headers={"Authorization": f"Bearer {app_token}", "Content-Type": "application/vnd.api+json"},
        )
        try:
            token = response.json()["data"]["meta"]["accessToken"]
        except (ValueError, KeyError, TypeError) as error:
            raise Transient(
                "Outreach gave no access token. Check the S2S app, its installation and its key.",
                service="outreach",
                status=response.status_code,
            ) from error
        return str(token), float(_APP_TOKEN_SECONDS)

    return fetch

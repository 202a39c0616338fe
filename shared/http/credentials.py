"""Tokens of the app's own identity for Azure and Dataverse, and a token kept until it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from shared.errors import Transient

# A token is renewed this long before it ends, so that none ends on its way.
EARLY_SECONDS = 300.0

# Gives a token and for how many seconds it is good; it is told the one that was refused, if any.
Fetch = Callable[[str | None], Awaitable[tuple[str, float]]]


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

    async def __call__(self, *, rejected: str | None = None) -> str:
        """The token; a fresh one where it is `rejected` that is remembered."""
        if self._is_good(rejected):
            return self._token
        async with self._lock:
            if not self._is_good(rejected):
                self._token, seconds = await self._fetch(rejected)
                self._renew_at = self._clock() + max(seconds - EARLY_SECONDS, seconds / 2)
        return self._token

    def _is_good(self, rejected: str | None) -> bool:
        return self._clock() < self._renew_at and self._token != rejected


def dataverse_token(credential: AsyncTokenCredential, dataverse_url: str) -> Fetch:
    """Fetches tokens for the application user of `dataverse_url`."""

    async def fetch(_: str | None) -> tuple[str, float]:
        try:
            token = await credential.get_token(f"{dataverse_url}/.default")
        except AzureError as error:
            reason = "The app's identity got no token for Dynamics. Check AZURE_CLIENT_ID and the identity."
            raise Transient(reason, service="identity", code=type(error).__name__) from error
        return token.token, token.expires_on - time.time()

    return fetch

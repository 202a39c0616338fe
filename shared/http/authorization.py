"""Sending a request with a bearer token, and once more with another one where the first was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import httpx

from shared.http.client import Caller


class Token(Protocol):
    """Gives the bearer token for a service, or None for a stand-in on this machine that asks for none."""

    async def __call__(self, *, rejected: str | None = None) -> str | None:
        """The token. `rejected` is one that the service has just refused: give another, if one can be had."""
        ...


def fixed_token(token: str | None) -> Token:
    """A token that somebody put into the settings, or None."""

    async def give(*, rejected: str | None = None) -> str | None:  # noqa: ARG001 - there is no other
        return token

    return give


async def send_authorized(
    caller: Caller,
    method: str,
    path: str,
    *,
    token: Token,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    json: Any = None,
) -> httpx.Response:
    """The answer to one request; after a 401 the answer to the same request with a new token, if there is one.

    A 401 means that nothing was done, so sending again is safe for every method. It is the only retry made in place.
    """
    given = await token()
    response = await caller.send(method, path, headers=_with(headers, given), params=params, json=json)
    if response.status_code != 401 or given is None:
        return response
    other = await token(rejected=given)
    if other == given:
        return response
    return await caller.send(method, path, headers=_with(headers, other), params=params, json=json)


def _with(headers: Mapping[str, str], token: str | None) -> dict[str, str]:
    return dict(headers) if token is None else {**headers, "Authorization": f"Bearer {token}"}

"""Outreach's two ways of giving an access token: S2S, and OAuth with a refresh token."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt

from shared.errors import Transient
from shared.http.client import Caller, retry_after
from shared.outreach.tokens import Exchange, NewToken, RefreshTokenRefused
from shared.settings import OutreachCredentials

_APP_TOKEN_SECONDS = 3600
# Outreach's clock may be late, and a token from the future is none.
_CLOCK_LEEWAY_SECONDS = 30
_OAUTH_SECONDS = 7200
_LONGEST_LIFE_SECONDS = 7 * 24 * 3600


def s2s_exchange(
    caller: Caller, credentials: OutreachCredentials, *, clock: Callable[[], float] = time.time
) -> Exchange:
    """By Outreach's S2S flow: an RS256 app token, good for an hour, is exchanged for an access token.

    https://developers.outreach.io/api/app-token. `clock` gives seconds since 1970.
    """

    async def exchange(_: str) -> NewToken:
        issued = int(clock()) - _CLOCK_LEEWAY_SECONDS
        claims = {"iat": issued, "exp": issued + _APP_TOKEN_SECONDS, "iss": credentials.guid}
        try:
            app_token = jwt.encode(claims, credentials.private_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            reason = "OUTREACH_S2S_PRIVATE_KEY is not an RSA private key in PEM."
            raise Transient(reason, service="outreach", code="no_token") from error
        response = await caller.send(
            "POST",
            f"/api/app/installs/{credentials.install_id}/actions/accessToken",
            headers={"Authorization": f"Bearer {app_token}", "Content-Type": "application/vnd.api+json"},
        )
        advice = "Check the S2S app, its installation and its key."
        return NewToken(_member(response, "data", "meta", "accessToken", advice=advice), float(_APP_TOKEN_SECONDS))

    return exchange


def oauth_exchange(caller: Caller, credentials: OutreachCredentials) -> Exchange:
    """By a refresh token, which is spent by it; the next one comes with the answer.

    https://developers.outreach.io/api/oauth
    """

    async def exchange(refresh_token: str) -> NewToken:
        response = await caller.send(
            "POST",
            "/oauth/token",
            headers={"Accept": "application/json"},
            form={
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
                "redirect_uri": credentials.redirect_uri,
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
            },
        )
        if response.status_code == 400 and _error_name(response) == "invalid_grant":
            raise RefreshTokenRefused
        advice = "Check OUTREACH_CLIENT_ID, OUTREACH_CLIENT_SECRET and OUTREACH_REDIRECT_URI."
        access = _member(response, "access_token", advice=advice)
        answer = response.json()
        # Without a new one the old one stays good; that is what OAuth 2.0 says of servers that do not rotate.
        return NewToken(access, _life(answer.get("expires_in")), str(answer.get("refresh_token") or refresh_token))

    return exchange


def _life(expires_in: object) -> float:
    """Seconds; what cannot be right must not cost the refresh token that came along."""
    try:
        seconds = float(str(expires_in))
    except ValueError:
        seconds = 0.0
    return seconds if 1 < seconds <= _LONGEST_LIFE_SECONDS else float(_OAUTH_SECONDS)


def _member(response: httpx.Response, *path: str, advice: str) -> str:
    """The token in the answer. Its absence is the admin's to mend, and events wait for that: they are not to blame.

    Only where Outreach is busy or unwell is it nobody's: that must not ring as a credential that was refused.
    """
    found: Any = None
    if response.is_success:
        try:
            found = response.json()
            for name in path:
                found = found[name]
        except (ValueError, KeyError, TypeError):
            found = None
    if isinstance(found, str) and found:
        return found
    if response.status_code == 429 or response.status_code >= 500:
        raise Transient(
            f"Outreach gave no access token (HTTP {response.status_code}); it is busy or unwell.",
            service="outreach",
            status=response.status_code,
            retry_after=retry_after(response),
        )
    raise Transient(
        f"Outreach gave no access token (HTTP {response.status_code}). {advice}",
        service="outreach",
        status=response.status_code,
        code="no_token",
        retry_after=retry_after(response),
    )


def _error_name(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ""

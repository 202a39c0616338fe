"""Who may call: access tokens, refresh tokens that are good for one use, and the S2S exchange of a signed app token.

https://developers.outreach.io/api/oauth and https://developers.outreach.io/api/app-token
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import jwt

from sandbox.outreach.errors import Refusal, unauthorized_json, unauthorized_text

DEVELOPMENT_TOKEN: Final = "sandbox-outreach-api-token"
CLIENT_ID: Final = "sandbox-client"
CLIENT_SECRET: Final = "sandbox-client-secret"
REDIRECT_URI: Final = "https://localhost/callback"
FIRST_REFRESH_TOKEN: Final = "sandbox-refresh-token-1"
ACCESS_SECONDS: Final = 7200
REFRESH_SECONDS: Final = 14 * 24 * 3600
S2S_SECONDS: Final = 3600
THROTTLE_SECONDS: Final = 60
# Outreach's clock and ours may differ a little.
LEEWAY_SECONDS: Final = 60

Origin = Literal["development", "oauth", "s2s"]


@dataclass(slots=True)
class _Refresh:
    family: int
    until: float
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Access:
    origin: Origin
    until: float
    family: int = 0


@dataclass(frozen=True, slots=True)
class Installation:
    """One installed app that may use S2S."""

    guid: str
    public_key: str


class Tokens:
    """Issues and checks tokens. `now` gives seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._access: dict[str, _Access] = {DEVELOPMENT_TOKEN: _Access("development", float("inf"))}
        self._refresh: dict[str, _Refresh] = {FIRST_REFRESH_TOKEN: _Refresh(1, now() + REFRESH_SECONDS)}
        self._last_issued: dict[str, float] = {}
        self.installations: dict[str, Installation] = {}
        self.issued = 0
        self.reused = 0

    def check(self, authorization: str | None) -> Origin:
        """Where the bearer token of a request came from. Raises a 401 in one of the forms seen."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized_text()
        access = self._access.get(token)
        if access is None:
            raise unauthorized_json("Invalid JWT token.", "The JWT token could not be decoded.")
        if access.until <= self._now():
            raise unauthorized_text()
        return access.origin

    def refresh(
        self,
        form: dict[str, str],
        *,
        used_before: Literal["refuse", "revoke_family"],
        throttle: Literal["off", "on"],
    ) -> dict[str, object]:
        """A new pair for a refresh token, which is spent by it. Raises as OAuth 2.0 says, 429 in plain text."""
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            raise _oauth_error(401, "invalid_client", "Unknown client, or its secret is wrong.")
        if form.get("grant_type") != "refresh_token":
            raise _oauth_error(400, "unsupported_grant_type", "Only refresh_token is served here.")
        if form.get("redirect_uri") != REDIRECT_URI:
            raise _oauth_error(400, "invalid_grant", "The redirect URI is not the one of the authorization.")
        if throttle == "on":
            self._throttle("oauth")
        given = self._refresh.get(form.get("refresh_token", ""))
        if given is None or given.until <= self._now():
            raise _oauth_error(400, "invalid_grant", "The refresh token is unknown or expired.")
        if given.used:
            self.reused += 1
            if used_before == "revoke_family":
                self._revoke(given.family)
            raise _oauth_error(400, "invalid_grant", "The refresh token has been used before.")
        given.used = True
        now = self._now()
        access, refresh = f"access-{secrets.token_hex(16)}", f"refresh-{secrets.token_hex(16)}"
        self._access[access] = _Access("oauth", now + ACCESS_SECONDS, given.family)
        self._refresh[refresh] = _Refresh(given.family, now + REFRESH_SECONDS)
        self._issued_now("oauth")
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh,
            "scope": "prospects.read users.read opportunities.read accounts.read events.read webhooks.all",
            "created_at": int(now),
        }

    def exchange(self, install_id: str, authorization: str | None, *, throttle: Literal["off", "on"]) -> str:
        """An access token for an app token signed with the app's key. Raises 401 that says what is wrong."""
        installation = self.installations.get(install_id)
        scheme, _, app_token = (authorization or "").partition(" ")
        if installation is None or scheme.lower() != "bearer":
            raise unauthorized_json("Unauthorized", "Unknown installation, or no app token.")
        try:
            # The times are checked below: the stand-in's clock can be moved, PyJWT's cannot.
            claims = jwt.decode(
                app_token,
                installation.public_key,
                algorithms=["RS256"],
                issuer=installation.guid,
                options={"require": ["iss", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )
            issued, until = int(claims["iat"]), int(claims["exp"])
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise unauthorized_json("Invalid JWT token.", f"{type(error).__name__}.") from error
        now = self._now()
        if not issued - LEEWAY_SECONDS <= now < until or until - issued > S2S_SECONDS:
            raise unauthorized_json("Invalid JWT token.", "iat and exp must enclose now, an hour apart at most.")
        if throttle == "on":
            self._throttle(f"s2s {install_id}")
        token = f"s2s-{secrets.token_hex(16)}"
        self._access[token] = _Access("s2s", now + S2S_SECONDS)
        self._issued_now(f"s2s {install_id}")
        return token

    def _throttle(self, app: str) -> None:
        last = self._last_issued.get(app)
        if last is not None and self._now() - last < THROTTLE_SECONDS:
            raise Refusal(429, text="Retry later\n")

    def _issued_now(self, app: str) -> None:
        self._last_issued[app] = self._now()
        self.issued += 1

    def _revoke(self, family: int) -> None:
        for refresh in self._refresh.values():
            if refresh.family == family:
                refresh.used = True
        self._access = {token: access for token, access in self._access.items() if access.family != family}


def _oauth_error(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, body={"error": error, "error_description": description}, media_type="application/json")

"""The endpoint on the wire, and its levers under `/__sandbox/`.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference

| lever | does |
|---|---|
| `GET counters` | tokens given, by resource, and requests refused while it failed |
| `POST faults` | the next request and all for `seconds` from then on are answered with `status`; `{}` ends it |
| `POST tokens` | tokens are good for `seconds` from now on; `to`: only those for a `User-Agent` that holds this text |
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

TOKEN_PATH: Final = "/msi/token"
API_VERSION: Final = "2019-08-01"
HEADER: Final = "sandbox-identity-header"
CLIENT_ID: Final = "5a9d0b5e-0000-4000-8000-00000000c11e"
TENANT_ID: Final = "5a9d0b5e-0000-4000-8000-000000007e4a"
PRINCIPAL_ID: Final = "5a9d0b5e-0000-4000-8000-000000000b1d"

# Tokens of a managed identity live a day; clocks may differ by the five minutes that they begin earlier.
TOKEN_SECONDS: Final = 24 * 3600
EARLIER_SECONDS: Final = 300


@dataclass(slots=True)
class Endpoint:
    """What it does now. Times in seconds, `fails_until` of the monotonic clock, 0 before the first request."""

    key: RSAPrivateKey
    token_seconds: float = TOKEN_SECONDS
    token_seconds_to: str = ""
    fails_with: int = 500
    fails_for: float = 0.0
    fails_until: float = 0.0
    given: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    async def token(self, request: web.Request) -> web.Response:
        """A token for the resource in the query."""
        if self._fails():
            self.refused += 1
            return _refusal(self.fails_with, "The endpoint was told to fail.")
        asked = request.query
        if request.headers.get("X-IDENTITY-HEADER") != HEADER:
            # What App Service says here is not documented; any refusal tells the caller.
            return _refusal(401, "The header X-IDENTITY-HEADER is missing or not the one of this app.")
        if asked.get("api-version") != API_VERSION or not asked.get("resource"):
            return _refusal(400, f"Ask for a resource with api-version={API_VERSION}.")
        if asked.get("client_id", "").lower() != CLIENT_ID:
            return _refusal(400, "No User Assigned or Delegated Managed Identity found for specified ClientId.")
        meant = self.token_seconds_to in request.headers.get("User-Agent", "")
        return web.json_response(self._issue(asked["resource"], self.token_seconds if meant else TOKEN_SECONDS))

    def _fails(self) -> bool:
        if self.fails_for and not self.fails_until:
            self.fails_until = time.monotonic() + self.fails_for
        return time.monotonic() < self.fails_until

    def _issue(self, resource: str, seconds: float) -> dict[str, str]:
        self.given[resource] += 1
        now = int(time.time())
        until = now + int(seconds)
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{TENANT_ID}/",
            "iat": now - EARLIER_SECONDS,
            "nbf": now - EARLIER_SECONDS,
            "exp": until,
            "appid": CLIENT_ID,
            "oid": PRINCIPAL_ID,
            "sub": PRINCIPAL_ID,
            "tid": TENANT_ID,
            "ver": "1.0",
        }
        token = jwt.encode(claims, self.key, algorithm="RS256")
        return {
            "access_token": token,
            "client_id": CLIENT_ID,
            "expires_on": str(until),
            "not_before": str(now - EARLIER_SECONDS),
            "resource": resource,
            "token_type": "Bearer",
        }

    async def counters(self, _request: web.Request) -> web.Response:
        """What it gave and refused."""
        return web.json_response({"given": dict(self.given), "refused": self.refused})

    async def faults(self, request: web.Request) -> web.Response:
        """Fail from the next request on, or not at all."""
        asked = await _object(request, {"status", "seconds"})
        self.fails_with = int(asked.get("status", 500))
        self.fails_for, self.fails_until = float(asked.get("seconds", 0)), 0.0
        return web.json_response({})

    async def tokens(self, request: web.Request) -> web.Response:
        """Change how long tokens are good; those that were given stay as they are."""
        asked = await _object(request, {"seconds", "to"})
        self.token_seconds, self.token_seconds_to = float(asked["seconds"]), str(asked.get("to", ""))
        return web.json_response({})


def create_app(key: RSAPrivateKey) -> web.Application:
    """The application; `key` signs what it gives."""
    endpoint = Endpoint(key)
    app = web.Application()
    app.router.add_get(TOKEN_PATH, endpoint.token)
    app.router.add_get("/__sandbox/counters", endpoint.counters)
    app.router.add_post("/__sandbox/faults", endpoint.faults)
    app.router.add_post("/__sandbox/tokens", endpoint.tokens)
    return app


async def _object(request: web.Request, known: set[str]) -> dict[str, Any]:
    given = await request.json() if request.can_read_body else {}
    if not isinstance(given, dict) or set(given) - known:
        raise web.HTTPBadRequest(text=f"Send a JSON object with {sorted(known)}.")
    return given


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)

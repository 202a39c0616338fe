"""Who may see the console: a session in a cookie. One begins with the admin key, or with a sign-in of the platform.

The key is not checked here: the host does that before it calls a function of level ADMIN, and such a function begins
the session. The reasons are in docs/decisions/0006.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from shared.admin.admin import BY_KEY as KEY_NAME
from shared.console.pages import Request
from shared.meeting.identity import guid
from shared.settings import platform_signs_in
from shared.storage.sessions import LENGTH, Session, Sessions

# The app role that a person needs whom App Service Authentication has signed in.
ROLE = "Console.Admin"
BY_KEY = "key"
_PERSON = "person:"
# The only provider whose people belong to a tenant. The others sign in anybody, or whom somebody else let in.
# https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
_PROVIDER = "aad"
_TENANT = frozenset({"tid", "http://schemas.microsoft.com/identity/claims/tenantid"})


class Access:
    """`environment` says whether App Service Authentication guards the app, and whose people it may let in."""

    def __init__(self, sessions: Sessions, environment: Mapping[str, str]) -> None:
        self._sessions = sessions
        # Only then does the platform set the header below, and remove it from requests that bring their own.
        self._platform_signs_in = platform_signs_in(environment)
        self._tenant = guid(environment.get("AZURE_TENANT_ID", ""))

    async def begin(self, request: Request, *, who: str = BY_KEY) -> tuple[Session, str]:
        """A new session, and the cookie that carries it."""
        session = await self._sessions.begin(who)
        return session, _cookie(request, session.token, seconds=int(LENGTH.total_seconds()))

    async def check(self, request: Request) -> tuple[Session, str] | None:
        """The session of `request` and a cookie to set, if any; None where nobody is signed in."""
        session = await self._sessions.find(_token(request))
        person = self._person(request)
        if session is not None and session.who in {BY_KEY, person}:
            return session, ""
        return await self.begin(request, who=person) if person else None

    async def end(self, request: Request) -> str:
        """Sign out; returns the cookie that removes the cookie."""
        await self._sessions.end(_token(request))
        return _cookie(request, "", seconds=0)

    def _person(self, request: Request) -> str:
        """The id of the person of our tenant whom the platform signed in, if they have the role; else empty."""
        header = request.headers.get("x-ms-client-principal", "")
        who = request.headers.get("x-ms-client-principal-id", "").strip()
        if not self._platform_signs_in or self._tenant is None or not header or not who:
            return ""
        try:
            principal = json.loads(base64.b64decode(header, validate=True))
            provider, role_type = principal.get("auth_typ"), principal.get("role_typ") or "roles"
            claims = [(claim["typ"], claim["val"]) for claim in principal["claims"]]
            tenants = {guid(value) for kind, value in claims if kind in _TENANT}
            is_admin = any(kind in {role_type, "roles"} and held == ROLE for kind, held in claims)
        except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
            return ""
        return f"{_PERSON}{who}" if provider == _PROVIDER and tenants == {self._tenant} and is_admin else ""


def person(session: Session) -> str:
    """Who acts in `session`, for the record: the person's id, or the name of the key that opened it."""
    return session.who.removeprefix(_PERSON) if session.who.startswith(_PERSON) else KEY_NAME


def _name(request: Request) -> str:
    # The prefix keeps other hosts of the domain from setting it; browsers allow it with https only.
    return "console" if request.loopback else "__Host-console"


def _token(request: Request) -> str:
    for pair in request.headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == _name(request):
            return value
    return ""


def _cookie(request: Request, token: str, *, seconds: int) -> str:
    secure = "" if request.loopback else "; Secure"
    return f"{_name(request)}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"

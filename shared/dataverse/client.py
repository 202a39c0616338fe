"""The Dataverse Web API: appointments written under conditions, people looked up, errors told apart.

Rules: https://learn.microsoft.com/power-apps/developer/data-platform/webapi/perform-conditional-operations-using-web-api,
https://learn.microsoft.com/power-apps/developer/data-platform/api-limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.dataverse.refusals import CLOSED, DISABLED, PASSING
from shared.errors import Transient
from shared.http.authorization import Token, send_authorized
from shared.http.client import Caller, retry_after
from shared.meeting.ports import AppointmentClosed, FenceRefused, Refused, TargetMissing
from shared.work import current

API = "/api/data/v9.2"

_EXISTS = "0x80040237"
NOT_FOUND = "0x80040217"
IMPERSONATED = "MSCRMCallerID"
_OTHER_412 = frozenset({"0x80060892", "0x80040333"})  # alternate key, duplicate rule
_MAY_PASS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_NO_CONCURRENCY = "0x8006088d"


class Dataverse:
    """One Dataverse organisation."""

    def __init__(self, caller: Caller, *, token: Token) -> None:
        self._caller = caller
        self._token = token

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request; any 2xx answer, else an error: `Transient`, `Permanent`, or one that steers the merge."""
        response = await send_authorized(
            self._caller,
            method,
            API + path,
            token=self._token,
            params=params,
            json=body,
            headers={**self._headers(), **(headers or {})},
        )
        if response.is_success:
            return response
        raise _error(response, sent=headers or {})

    async def find(self, entity_set: str, *, filter_: str, select: str, top: int) -> list[dict[str, Any]]:
        """Up to `top` rows, oldest first. Quote values in `filter_` with `odata.quoted`."""
        params = {"$filter": filter_, "$select": select, "$orderby": "createdon asc", "$top": str(top)}
        response = await self.request("GET", f"/{entity_set}", params=params)
        return rows(response)

    async def who_am_i(self) -> dict[str, Any]:
        """The application user's ids; the cheapest call there is."""
        response = await self.request("GET", "/WhoAmI")
        found = document(response)
        if "UserId" not in found:
            raise not_dataverse(response)
        return found

    def _headers(self) -> dict[str, str]:
        work = current()
        headers = {
            "Accept": "application/json",
            "OData-Version": "4.0",
            "OData-MaxVersion": "4.0",
            "x-ms-client-request-id": str(uuid4()),
        }
        if work.correlation_id:
            # Dataverse wants a GUID there; a trace id is one without its hyphens.
            headers["x-ms-correlation-id"] = str(UUID(hex=work.correlation_id))
        if work.traceparent:
            headers["traceparent"] = work.traceparent
        return headers


def document(response: httpx.Response) -> dict[str, Any]:
    """The object in an answer, empty for an answer without any. Raises `Transient` for what Dataverse never says."""
    try:
        found = response.json() if response.content else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise not_dataverse(response)
    return found


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    """The rows in an answer to a query. Raises `Transient` where there is no list of them."""
    found = document(response).get("value")
    if not isinstance(found, list):
        raise not_dataverse(response)
    return found


def not_dataverse(response: httpx.Response) -> Transient:
    """A gateway or a sign-in page on the way answers too, and then nothing is known."""
    status = response.status_code
    reason = f"It is not Dynamics that answered (HTTP {status}). Is DATAVERSE_URL right?"
    return Transient(reason, service="dataverse", status=status, code="not_dataverse")


def request_id(response: httpx.Response) -> str:
    """What Microsoft's support asks for; empty where the answer has none."""
    return str(response.headers.get("x-ms-service-request-id") or response.headers.get("req_id") or "")


def error_code(response: httpx.Response) -> str:
    """Dataverse's code as lower-case hex; it also comes as a signed decimal, or not at all."""
    try:
        code = str(response.json()["error"].get("code") or "").strip().lower()
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    try:
        return f"0x{int(code) & 0xFFFFFFFF:08x}" if code.lstrip("-").isdigit() else code
    except ValueError:
        return code


def message(response: httpx.Response) -> str:
    """What Dataverse says in words, which may hold anything; empty for an answer that is not its own."""
    try:
        return str(response.json()["error"].get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _error(response: httpx.Response, *, sent: Mapping[str, str]) -> Exception:
    """What an answer means; `sent`: headers of its request."""
    status, code = response.status_code, error_code(response)
    conditional = "If-None-Match" in sent or "If-Match" in sent
    if conditional and code != _NO_CONCURRENCY and ((status == 412 and code not in _OTHER_412) or code == _EXISTS):
        return FenceRefused(code)
    if status == 404 and code in {NOT_FOUND, ""} and _is_dataverse(response):
        return TargetMissing(code, message(response))
    if code in DISABLED and conditional and IMPERSONATED not in sent:
        return TargetMissing(code, message(response))  # who can own nothing is as good as nobody
    if code in CLOSED:
        return AppointmentClosed(code)
    if response.is_redirect:
        return not_dataverse(response)
    details: dict[str, Any] = {
        "service": "dataverse",
        "status": status,
        "code": code,
        "request_id": request_id(response),
    }
    unwell = (status in _MAY_PASS and code not in _OTHER_412) or (status == 404 and not _is_dataverse(response))
    if unwell or code in PASSING:
        return Transient(_said(status, "is busy or unwell"), retry_after=retry_after(response), **details)
    if status == 401:
        # By its status whatever code comes with it: the alert on credentials looks for that.
        return Transient(_said(status, "did not accept the app's token"), **details | {"code": str(status)})
    return _refusal(status, code, message(response), details)


def _is_dataverse(response: httpx.Response) -> bool:
    """Whether the answer is Dataverse's own. A gateway on the way says 404 too, and then nothing is known."""
    try:
        return isinstance(response.json()["error"], dict)
    except (ValueError, KeyError, TypeError):
        return False


def _refusal(status: int, code: str, said: str, details: Mapping[str, Any]) -> Refused:
    if code == _NO_CONCURRENCY:
        reason = "Optimistic concurrency is off for appointments. Switch it on for the table; writes need the fence."
    elif status == 403:
        reason = _said(status, "refused the app's user. Give its security role the privilege that is missing")
    else:
        reason = _said(status, "refused the appointment as it was sent")
    return Refused(reason, said=said, **details)


def _said(status: int, what: str) -> str:
    return f"Dynamics {what} (HTTP {status})."

"""The Dataverse Web API: appointments written under conditions, people looked up, errors told apart.

Rules: https://learn.microsoft.com/power-apps/developer/data-platform/webapi/perform-conditional-operations-using-web-api,
https://learn.microsoft.com/power-apps/developer/data-platform/api-limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.adapters.authorization import Token, send_authorized
from shared.adapters.http import Caller, retry_after
from shared.core.errors import Permanent, RemoteError, Transient
from shared.core.meeting import Actual, Written
from shared.core.odata import LOOKUP_TABLE, from_row, selection, to_body
from shared.core.ports import AppointmentClosed, FenceRefused, TargetMissing
from shared.work import current

API = "/api/data/v9.2"
_PRIVILEGE_MEMORY_SECONDS = 3600.0

_CLOSED = frozenset({"0x8004022e", "0x80040233"})
_EXISTS = "0x80040237"
_NOT_FOUND = "0x80040217"
_USER_DISABLED = "0x80040225"
_IMPERSONATED = "MSCRMCallerID"
_OTHER_412 = frozenset({"0x80060892", "0x80040333"})  # alternate key, duplicate rule
_PASSING = frozenset({"0x80044150", "0x80072322", "0x80072321", "0x80072326"})  # deadlock, service protection
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
            raise _not_dataverse(response)
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


class AppointmentApi:
    """Implements `shared.core.ports.Appointments`."""

    def __init__(self, dataverse: Dataverse, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._dataverse = dataverse
        self._clock = clock
        # What was refused, and until when it is not asked for again; keyed by `createdon` or `createdby:GUID`.
        self._refused: dict[str, float] = {}

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        """Create under our id, with Created On and Created By where the app may set them.

        Both need a privilege of their own (`prvOverrideCreatedOnCreatedBy`, `prvActOnBehalfOfAnotherUser`), and acting
        for a booker leaves only what both may do. A refusal never costs the appointment: it is written without, the
        journal says so, and for an hour the same is not asked for again.
        """
        notes: list[str] = []
        for on, by in self._attempts(created_on, created_by):
            try:
                response = await self._create(appointment_id, columns, created_on=on, created_by=by)
            except Permanent:
                # Most refuse with 403, some with 400; without either wish the next answer counts.
                if not (on or by):
                    raise
                continue
            written = await self._written(appointment_id, response)
            notes = self._learn(response, wanted=(created_on, created_by), used=(on, by))
            return Written(written.version, tuple(notes), written.request_id)
        raise AssertionError  # the last attempt asks for nothing and returns or raises

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        """Write `columns`, fenced by `version`."""
        return await self._patch(appointment_id, to_body(columns), version=version)

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        """Write the state, fenced by `version`. Dataverse wants both codes in one request of their own."""
        return await self._patch(appointment_id, {"statecode": state[0], "statuscode": state[1]}, version=version)

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        """The appointment as it is now, or None."""
        try:
            response = await self._dataverse.request(
                "GET",
                f"/appointments({appointment_id})",
                params=selection(columns),
                headers={"Prefer": f'odata.include-annotations="{LOOKUP_TABLE}"'},
            )
        except TargetMissing:
            return None
        row = document(response)
        if "@odata.etag" not in row:
            raise _not_dataverse(response)
        state = (int(row.get("statecode") or 0), int(row.get("statuscode") or 1))
        return Actual(str(row["@odata.etag"]), from_row(row, columns), state)

    def _attempts(self, on: str | None, by: str | None) -> list[tuple[str | None, str | None]]:
        """From all that is wanted down to nothing, without what was refused lately and without repeats."""
        on = None if on and self._is_refused("createdon") else on
        by = None if by and self._is_refused(f"createdby:{by}") else by
        return list(dict.fromkeys([(on, by), (on, None), (None, by), (None, None)]))

    async def _create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> httpx.Response:
        headers = {"If-None-Match": "*", "Prefer": "return=representation"}
        if created_by:
            headers[_IMPERSONATED] = created_by
        body = to_body(columns)
        if created_on:
            body["overriddencreatedon"] = created_on
        return await self._dataverse.request(
            "PATCH",
            f"/appointments({appointment_id})",
            params={"$select": "activityid,createdon,_createdby_value"},
            body=body,
            headers=headers,
        )

    async def _patch(self, appointment_id: str, body: Mapping[str, Any], *, version: str) -> Written:
        response = await self._dataverse.request(
            "PATCH",
            f"/appointments({appointment_id})",
            params={"$select": "activityid"},
            body=body,
            headers={"If-Match": version, "Prefer": "return=representation"},
        )
        return await self._written(appointment_id, response)

    async def _written(self, appointment_id: str, response: httpx.Response) -> Written:
        """The new version; where the answer has no representation it is read, and a later change is then our fence."""
        version = document(response).get("@odata.etag") or response.headers.get("etag", "")
        if not version:
            actual = await self.read(appointment_id, ())
            if actual is None:
                raise TargetMissing(_NOT_FOUND)
            version = actual.version
        return Written(version, request_id=_request_id(response))

    def _learn(
        self,
        response: httpx.Response,
        *,
        wanted: tuple[str | None, str | None],
        used: tuple[str | None, str | None],
    ) -> list[str]:
        """Notes for the journal on what was refused, and on what Dataverse took without a word and ignored."""
        row = document(response)
        notes = []
        for name, want, use in zip(("createdon", "createdby"), wanted, used, strict=True):
            if not want:
                continue
            key = name if name == "createdon" else f"{name}:{want}"
            shown = row.get("createdon" if name == "createdon" else "_createdby_value", "")
            if not use:
                self._refused.setdefault(key, self._clock() + _PRIVILEGE_MEMORY_SECONDS)
                lacks = "the app's user lacks the privilege for it"
                lacks += ", or the booker one that this create needs" if name == "createdby" else ""
                notes.append(f"{name} was refused; {lacks}.")
            elif shown and str(shown)[:19].lower() != use[:19].lower():
                notes.append(f"{name} was ignored by Dynamics.")
        return notes

    def _is_refused(self, key: str) -> bool:
        until = self._refused.get(key)
        if until is not None and until < self._clock():
            del self._refused[key]
            return False
        return until is not None


def document(response: httpx.Response) -> dict[str, Any]:
    """The object in an answer, empty for an answer without any. Raises `Transient` for what Dataverse never says."""
    try:
        found = response.json() if response.content else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _not_dataverse(response)
    return found


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    """The rows in an answer to a query. Raises `Transient` where there is no list of them."""
    found = document(response).get("value")
    if not isinstance(found, list):
        raise _not_dataverse(response)
    return found


def _not_dataverse(response: httpx.Response) -> Transient:
    """A gateway or a sign-in page on the way answers too, and then nothing is known."""
    status = response.status_code
    reason = f"It is not Dynamics that answered (HTTP {status}). Is DATAVERSE_URL right?"
    return Transient(reason, service="dataverse", status=status, code="not_dataverse")


def _request_id(response: httpx.Response) -> str:
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


def _error(response: httpx.Response, *, sent: Mapping[str, str]) -> Exception:
    """What an answer means; `sent`: headers of its request."""
    status, code = response.status_code, error_code(response)
    conditional = "If-None-Match" in sent or "If-Match" in sent
    if conditional and code != _NO_CONCURRENCY and ((status == 412 and code not in _OTHER_412) or code == _EXISTS):
        return FenceRefused(code)
    if status == 404 and code in {_NOT_FOUND, ""} and _is_dataverse(response):
        return TargetMissing(code)
    if code == _USER_DISABLED and conditional and _IMPERSONATED not in sent:
        return TargetMissing(code)  # a disabled user can own nothing, which is as if there were none
    if code in _CLOSED:
        return AppointmentClosed(code)
    if response.is_redirect:
        return _not_dataverse(response)
    details: dict[str, Any] = {
        "service": "dataverse",
        "status": status,
        "code": code,
        "request_id": _request_id(response),
    }
    unwell = (status in _MAY_PASS and code not in _OTHER_412) or (status == 404 and not _is_dataverse(response))
    if unwell or code in _PASSING:
        return Transient(_said(status, "is busy or unwell"), retry_after=retry_after(response), **details)
    if status == 401:
        # By its status whatever code comes with it: the alert on credentials looks for that.
        return Transient(_said(status, "did not accept the app's token"), **details | {"code": str(status)})
    return _refusal(status, code, details)


def _is_dataverse(response: httpx.Response) -> bool:
    """Whether the answer is Dataverse's own. A gateway on the way says 404 too, and then nothing is known."""
    try:
        return isinstance(response.json()["error"], dict)
    except (ValueError, KeyError, TypeError):
        return False


def _refusal(status: int, code: str, details: Mapping[str, Any]) -> RemoteError:
    if code == _NO_CONCURRENCY:
        reason = "Optimistic concurrency is off for appointments. Switch it on for the table; writes need the fence."
    elif status == 403:
        reason = _said(status, "refused the app's user. Give its security role the privilege that is missing")
    else:
        reason = _said(status, "refused the appointment as it was sent")
    return Permanent(reason, **details)


def _said(status: int, what: str) -> str:
    return f"Dynamics {what} (HTTP {status})."

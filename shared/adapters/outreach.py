"""The Outreach API, as far as the sync needs it: who somebody is.

JSON:API under `/api/v2`, `Content-Type: application/vnd.api+json` also on reads. Errors may be JSON:API, another JSON
form, or plain text; none of it is repeated in ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from shared.adapters.http import Caller, retry_after
from shared.core.errors import Permanent, Transient

_PATHS = {"prospect": "prospects", "user": "users", "opportunity": "opportunities"}


class Outreach:
    """Reads from one Outreach organisation. `token` gives the access token, or None for a stand-in on this machine."""

    def __init__(self, caller: Caller, *, token: Callable[[], Awaitable[str | None]]) -> None:
        self._caller = caller
        self._token = token

    async def get(self, resource: str, record_id: str) -> dict[str, Any] | None:
        """The record with its data connections, or None where Outreach knows none (any more)."""
        if not record_id.isdigit():
            return None  # every Outreach id is a number; anything else must not get into a path
        response = await self.request(
            "GET", f"/api/v2/{_PATHS[resource]}/{record_id}", params={"provideDataConnections": "true"}
        )
        if response is None:
            return None
        data = response.json().get("data")
        if not isinstance(data, dict):
            raise Transient("Outreach answered without data.", service="outreach", status=response.status_code)
        # The data connections stand beside the record or beside the document.
        meta = data.get("meta") or response.json().get("meta")
        return {"attributes": data.get("attributes") or {}, "meta": meta}

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None
    ) -> httpx.Response | None:
        """One request. None for 404; raises `Transient` or `Permanent` for any other refusal."""
        headers = {"Content-Type": "application/vnd.api+json", "Accept": "application/vnd.api+json"}
        token = await self._token()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        response = await self._caller.send(method, path, headers=headers, params=params, json=body)
        status = response.status_code
        if response.is_success:
            return response
        if status == 404:
            return None
        details: dict[str, Any] = {"service": "outreach", "status": status}
        if status == 401:
            raise Transient("Outreach did not accept the app's credentials.", code="unauthorized", **details)
        if status == 403:
            needed = path.split("/")[3] if path.count("/") > 2 else path
            raise Permanent(f"Outreach refused access; give the app the scope {needed}.read.", **details)
        if status == 429 or status >= 500:
            raise Transient("Outreach is busy or unwell.", retry_after=retry_after(response), **details)
        raise Permanent("Outreach refused the request.", **details)

"""The Outreach API, as far as the sync needs it: who somebody is, what happened, our webhooks.

JSON:API under `/api/v2`, `Content-Type: application/vnd.api+json` also on reads. Errors may be JSON:API, another JSON
form, or plain text; none of it is repeated in ours. What is not in the API's own form comes from something on the way
(a gateway, a login page) and says nothing about the record that was asked for.

Nothing is sent a second time from here but after a 401 (`authorization.py`). What fails while an event is carried out
goes back to the queue with a growing delay, and the sweep comes again every minute; a retry in between would only hold
the worker and press on a service that is in trouble already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import httpx

from shared.errors import BadDelivery, Permanent, Transient
from shared.http.authorization import Token, send_authorized
from shared.http.client import Caller, retry_after
from shared.meeting.delivery import parse_json
from shared.outreach.quota import Budget

API = "/api/v2/"
_PATHS = {"prospect": "prospects", "user": "users", "opportunity": "opportunities"}
_MEDIA_TYPE = "application/vnd.api+json"
_MAY_PASS = frozenset({408, 425, 429})
_NOTHING_THERE = frozenset({404, 410})

Purpose = Literal["sync", "spare"]


class Outreach:
    """One Outreach organisation. `url` is its base address, which no link may lead away from.

    `purpose`: `sync` may use the whole allowance, `spare` only what is above the reserve.
    """

    def __init__(self, caller: Caller, *, token: Token, url: str, budget: Budget, purpose: Purpose = "sync") -> None:
        self._caller = caller
        self._token = token
        self._url = url
        self._budget = budget
        self._purpose: Purpose = purpose

    def for_spare_capacity(self) -> Outreach:
        """The same organisation for work that can wait."""
        return Outreach(self._caller, token=self._token, url=self._url, budget=self._budget, purpose="spare")

    async def get(self, resource: str, record_id: str) -> dict[str, Any] | None:
        """The record with its data connections, or None where Outreach knows none (any more)."""
        if not record_id.isdecimal() or not record_id.isascii():
            return None  # every Outreach id is a number; anything else must not get into a path
        response = await self.request(
            "GET", f"{API}{_PATHS[resource]}/{record_id}", params={"provideDataConnections": "true"}
        )
        if response is None:
            return None
        document = _document(response)
        data = document.get("data")
        if not isinstance(data, dict):
            raise _unreadable(response)
        # The data connections stand beside the record or beside the document.
        attributes = data.get("attributes")
        return {
            "attributes": attributes if isinstance(attributes, dict) else {},
            "meta": data.get("meta") or document.get("meta"),
        }

    async def pages(
        self, collection: str, *, params: Mapping[str, str], limit: int
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """Up to `limit` pages of a collection (`events`, `webhooks`), each a list of resource objects.

        Raises `Permanent` where a link leads to another host or to a page that was read already, and for a 404: a
        collection that is empty is a page without records.
        """
        path, query = f"{API}{collection}", dict(params)
        asked: set[str] = set()
        for _ in range(limit):
            if path in asked:
                raise Permanent("Outreach's pages lead in a circle; nothing beyond them was read.", service="outreach")
            asked.add(path)
            response = await self.request("GET", path, params=query or None)
            if response is None:
                reason = f"Outreach knows no {collection} at this address (HTTP 404). Is OUTREACH_API_URL right?"
                raise Permanent(reason, service="outreach", status=404)
            document = _document(response)
            data, links = document.get("data"), document.get("links")
            if not isinstance(data, list):
                raise _unreadable(response)
            yield [record for record in data if isinstance(record, dict)]
            following = links.get("next") if isinstance(links, dict) else None
            if not following:
                return
            # The link has the whole query in it already.
            path, query = self._same_host(str(following)), {}

    async def look_at(self, collection: str) -> None:
        """One small read, for its errors: those of `pages`."""
        async for _ in self.pages(collection, params={"page[size]": "1"}, limit=1):
            pass

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None
    ) -> httpx.Response | None:
        """One request. None for 404 and 410; raises `Transient` or `Permanent` for any other refusal."""
        if self._purpose == "spare" and (wait := self._budget.seconds_until_spare()) > 0:
            reason = "Outreach's hourly allowance is down to what events under way need."
            raise Transient(reason, service="outreach", code="allowance", retry_after=wait)
        response = await send_authorized(
            self._caller,
            method,
            path,
            token=self._token,
            headers={"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE},
            params=params,
            json=body,
        )
        self._budget.answered(response.headers)
        if response.status_code in _NOTHING_THERE and _is_outreach(response):
            return None
        if not response.is_success:
            raise _refusal(response, path)
        return response

    def _same_host(self, link: str) -> str:
        """The path and query of a link to another page; raises `Permanent` for a link that leads anywhere else."""
        base = httpx.URL(self._url)
        try:
            target = base.join(link)
        except httpx.InvalidURL:
            target = httpx.URL()
        if (target.scheme, target.netloc) != (base.scheme, base.netloc) or not target.path.startswith(API):
            # Our token would go there.
            raise Permanent("Outreach's next page is on another host; it was not asked for.", service="outreach")
        return target.raw_path.decode()


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = parse_json(response.content)
    except BadDelivery as error:
        raise _unreadable(response) from error
    if not isinstance(document, dict):
        raise _unreadable(response)
    return document


def _unreadable(response: httpx.Response) -> Transient:
    return Transient("Outreach answered without data.", service="outreach", status=response.status_code)


def _refusal(response: httpx.Response, path: str) -> Permanent | Transient:
    status = response.status_code
    details: dict[str, Any] = {"service": "outreach", "status": status}
    if status == 401:
        return Transient("Outreach did not accept the app's credentials.", code="unauthorized", **details)
    if status in _MAY_PASS or status >= 500:
        return Transient("Outreach is busy or unwell.", retry_after=retry_after(response), **details)
    if status < 400 or not _is_outreach(response):
        reason = f"It is not Outreach's API that answered (HTTP {status}). Is OUTREACH_API_URL right?"
        return Transient(reason, code="not_outreach", **details)
    if status == 403:
        scope = path.removeprefix(API).partition("/")[0]
        return Permanent(f"Outreach refused access; give the app the scope {scope}.read (or .all).", **details)
    return Permanent(f"Outreach refused the request (HTTP {status}).", **details)


def _is_outreach(response: httpx.Response) -> bool:
    """Whether a refusal is in the form of the API (https://developers.outreach.io/api/making-requests)."""
    try:
        return isinstance(_document(response).get("errors"), list)
    except Transient:
        return False

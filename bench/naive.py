"""The same job as a team would build it in an afternoon: one function per delivery, straight into Dynamics.

It looks for the appointment by a custom column that holds the meeting's id, asks Outreach and Dynamics who the people
are, and writes every column that the delivery names: POST where it found nothing, else PATCH. Nothing is remembered,
nothing is compared, nothing waits. What it cannot do it answers with 500, which Outreach counts as delivered.

It is no straw man: it checks the signature, leaves absent attributes alone, asks for all people at once, looks people
up by e-mail where Outreach is not connected, and reads deliveries and connections with the product's own code, so that
only the way of working differs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import httpx

from shared.dataverse.odata import quoted
from shared.errors import BadDelivery
from shared.meeting.delivery import Delivery, Reference, parse_delivery, parse_json
from shared.outreach.connections import addresses, custom_id, data_connections
from shared.pipeline.signature import SIGNATURE_HEADER, verify

MEETING_COLUMN: Final = "new_outreachid"

_TEXTS: Final = MappingProxyType({"title": "subject", "description": "description", "location": "location"})
_TIMES: Final = MappingProxyType({"startTime": "scheduledstart", "endTime": "scheduledend"})
# Where somebody is looked for by e-mail: entity set, key, column.
_BY_EMAIL: Final = MappingProxyType(
    {
        "prospect": ("contacts", "contactid", "emailaddress1"),
        "user": ("systemusers", "systemuserid", "internalemailaddress"),
    }
)
_KINDS: Final = MappingProxyType(
    {"prospects": "prospect", "user": "user", "booker": "user", "opportunity": "opportunity"}
)
_PATHS: Final = MappingProxyType({"prospect": "prospects", "user": "users", "opportunity": "opportunities"})
_TABLES: Final = MappingProxyType({"prospect": "contact", "user": "systemuser", "opportunity": "opportunity"})
_CONNECTIONS: Final = 32


class NaiveSync:
    """One organisation's webhook. `deliver` is the whole function."""

    def __init__(self, *, dataverse_url: str, outreach_url: str, token: str, secret: str) -> None:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        odata = {"OData-Version": "4.0", "OData-MaxVersion": "4.0", "Accept": "application/json"}
        self._dataverse = httpx.AsyncClient(
            base_url=f"{dataverse_url}/api/data/v9.2", headers=odata, limits=limits, timeout=30
        )
        media_type = {"Authorization": f"Bearer {token}", "Content-Type": "application/vnd.api+json"}
        self._outreach = httpx.AsyncClient(
            base_url=f"{outreach_url}/api/v2", headers=media_type, limits=limits, timeout=30
        )
        self._secret = secret

    async def aclose(self) -> None:
        """Close the connections."""
        await self._dataverse.aclose()
        await self._outreach.aclose()

    async def deliver(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The HTTP status to answer. `headers` with lower-case names."""
        try:
            delivery = parse_delivery(
                parse_json(verify(body, headers.get(SIGNATURE_HEADER), secrets=[self._secret]).raw)
            )
        except BadDelivery as error:
            return error.status
        if delivery.resource != "meeting":
            return 200
        try:
            await self._write(delivery)
        except httpx.HTTPError:
            return 500
        return 200

    async def _write(self, delivery: Delivery) -> None:
        found, people = await asyncio.gather(self._find(delivery.record_id), self._people(delivery))
        columns = _columns(delivery, people)
        headers = {"MSCRMCallerID": people["booker"][0]} if people.get("booker") and found is None else {}
        if found is None:
            columns[MEETING_COLUMN] = delivery.record_id
            answer = await self._dataverse.post("/appointments", json=columns, headers=headers)
        else:
            columns.pop("overriddencreatedon", None)
            answer = await self._dataverse.patch(f"/appointments({found})", json=columns)
        answer.raise_for_status()

    async def _find(self, meeting_id: str) -> str | None:
        params = {"$filter": f"{MEETING_COLUMN} eq {quoted(meeting_id)}", "$select": "activityid", "$top": "1"}
        rows = await self._rows("/appointments", params)
        return str(rows[0]["activityid"]) if rows else None

    async def _people(self, delivery: Delivery) -> dict[str, list[str]]:
        """The Dynamics ids behind each relationship that the delivery names."""
        named = [(name, target) for name in _KINDS for target in delivery.relationships.get(name, ())]
        ids = await asyncio.gather(*(self._resolve(_KINDS[name], target) for name, target in named))
        people: dict[str, list[str]] = {name: [] for name in _KINDS if name in delivery.relationships}
        for (name, _), found in zip(named, ids, strict=True):
            people[name] += [found] if found else []
        return people

    async def _resolve(self, kind: str, target: Reference) -> str | None:
        answer = await self._outreach.get(f"/{_PATHS[kind]}/{target.id}", params={"provideDataConnections": "true"})
        answer.raise_for_status()
        record: dict[str, Any] = answer.json()["data"]
        for connection in data_connections(record.get("meta")):
            if connection.table == _TABLES[kind]:
                return connection.id
        return custom_id(kind, record["attributes"]) or await self._by_email(
            kind, addresses(kind, record["attributes"])
        )

    async def _by_email(self, kind: str, emails: Sequence[str]) -> str | None:
        if kind not in _BY_EMAIL or not emails:
            return None
        entity_set, key, column = _BY_EMAIL[kind]
        params = {"$filter": f"{column} eq {quoted(emails[0])}", "$select": key, "$top": "1"}
        rows = await self._rows(f"/{entity_set}", params)
        return str(rows[0][key]) if rows else None

    async def _rows(self, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = await self._dataverse.get(path, params=dict(params))
        answer.raise_for_status()
        rows: list[dict[str, Any]] = json.loads(answer.content)["value"]
        return rows


def _columns(delivery: Delivery, people: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Every column that the delivery names."""
    given = delivery.attributes
    columns: dict[str, Any] = {column: given[name] for name, column in _TEXTS.items() if name in given}
    columns |= {column: _utc(given[name]) for name, column in _TIMES.items() if given.get(name)}
    if "allDay" in given:
        columns["isalldayevent"] = given["allDay"]
    if given.get("bookedAt"):
        columns["overriddencreatedon"] = _utc(given["bookedAt"])
    if given.get("state") == "completed":
        columns |= {"statecode": 1, "statuscode": 3}
    parties = [
        {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({contact})"}
        for contact in people.get("prospects", ())
    ]
    for user in people.get("user", ())[:1]:
        columns["ownerid@odata.bind"] = f"/systemusers({user})"
        parties.append({"participationtypemask": 7, "partyid_systemuser@odata.bind": f"/systemusers({user})"})
    if parties:
        columns["appointment_activity_parties"] = parties
    for opportunity in people.get("opportunity", ())[:1]:
        columns["regardingobjectid_opportunity_appointment@odata.bind"] = f"/opportunities({opportunity})"
    return columns


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

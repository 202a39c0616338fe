"""One organisation under test: its store, a client of its Web API, and its levers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from sandbox.dataverse import Store
from sandbox.dataverse.seed import CONTACT_IDS, OPPORTUNITY_IDS, USER_IDS

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = "2026-01-02T03:04:05Z"
ID = "99999999-0000-4000-8000-000000000001"
OTHER_ID = "99999999-0000-4000-8000-000000000002"
START, END = "2026-01-05T10:00:00Z", "2026-01-05T10:30:00Z"
RETURN = {"Prefer": "return=representation"}
REGARDING_OPPORTUNITY = "regardingobjectid_opportunity_appointment@odata.bind"


def appointment(**changes: Any) -> dict[str, Any]:
    """Return a body that is accepted; `changes` replace or add columns."""
    return {"subject": "Demo", "scheduledstart": START, "scheduledend": END} | changes


def full_appointment(**changes: Any) -> dict[str, Any]:
    """Return a body with owner, regarding, one required attendee and the organizer."""
    return appointment(
        **{
            "ownerid@odata.bind": f"/systemusers({USER_IDS[0]})",
            REGARDING_OPPORTUNITY: f"/opportunities({OPPORTUNITY_IDS[0]})",
            "appointment_activity_parties": [required_contact(0), organizer(0)],
        }
        | changes
    )


def required_contact(number: int) -> dict[str, Any]:
    return {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({CONTACT_IDS[number]})"}


def organizer(number: int) -> dict[str, Any]:
    return {"participationtypemask": 7, "partyid_systemuser@odata.bind": f"/systemusers({USER_IDS[number]})"}


def error_code(response: httpx.Response) -> str:
    """Return the code of a refusal in the Web API's shape."""
    error = response.json()["error"]
    assert set(error) == {"code", "message"}
    return str(error["code"])


@dataclass(frozen=True)
class Org:
    """What a test holds in its hands."""

    store: Store
    api: httpx.AsyncClient
    control: str

    async def create(self, row_id: str = ID, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Create-only PATCH."""
        return await self.api.patch(
            f"/appointments({row_id})",
            json=appointment() if body is None else body,
            headers={"If-None-Match": "*", **headers},
        )

    async def created(self, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """Create an appointment that must be accepted and return its columns."""
        response = await self.create(ID, body, **(RETURN | headers))
        assert response.status_code == 201, response.text
        row: dict[str, Any] = response.json()
        return row

    async def update(self, body: dict[str, Any], row_id: str = ID, **headers: str) -> httpx.Response:
        """Update-only PATCH."""
        return await self.api.patch(f"/appointments({row_id})", json=body, headers={"If-Match": "*", **headers})

    async def read(self, row_id: str = ID, **params: str) -> dict[str, Any]:
        """Return the columns of an appointment that must be there."""
        response = await self.api.get(f"/appointments({row_id})", params=params)
        assert response.status_code == 200, response.text
        row: dict[str, Any] = response.json()
        return row

    async def lever(self, name: str, **given: Any) -> dict[str, Any]:
        """Move a lever that must be accepted."""
        response = await self.api.post(f"{self.control}/{name}", json=given)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def view(self, name: str, **params: str) -> dict[str, Any]:
        """Look into the stand-in."""
        response = await self.api.get(f"{self.control}/{name}", params=params)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

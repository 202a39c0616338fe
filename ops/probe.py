"""Signed deliveries of our own: a probe that the app forgets, and a test meeting that never reaches Dynamics."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx

from ops.report import Refused
from shared.pipeline.signature import SIGNATURE_HEADER, sign
from shared.pipeline.subscription import EVENTS_PATH
from shared.timestamps import sortable

TEST_RECORD = "ops-test"
_TIMEOUT = httpx.Timeout(30, connect=10)


def trial_delivery(resource: str, *, now: datetime) -> dict[str, Any]:
    """A meeting without times and people: it goes all the way to its row in the table, and waits there for them."""
    return {
        "data": {
            "type": resource,
            "id": TEST_RECORD,
            "attributes": {"title": "Test of the way, sent by ops", "updatedAt": sortable(now)},
        },
        "meta": {"eventName": f"{resource}.updated", "deliveredAt": sortable(now)},
    }


def accepts(base: str, *, secret: str, key: str) -> bool:
    """Whether the app at `base` knows `secret`: a delivery signed with it is of no resource, so the app ignores it.

    One that is only kept, until a secret is known, is answered `accepted`.
    """
    probe = {"data": {"type": "opsProbe", "id": "1"}, "meta": {"deliveredAt": sortable(datetime.now(UTC))}}
    response = deliver(base, json.dumps(probe).encode(), secret=secret, key=key)
    if response.status_code == 202:
        return bool(response.json().get("status") == "ignored")
    if response.status_code == 401 and response.content:
        return False
    if response.status_code == 401:
        raise Refused("The app does not accept the function key.", code="key_refused")
    raise Refused(f"The app answered {response.status_code} to a probe. Is this its address?", code="unexpected")


def deliver(base: str, body: bytes, *, secret: str, key: str) -> httpx.Response:
    """Send `body` as Outreach does. Raises `Refused` where nobody answers."""
    headers = {"content-type": "application/vnd.api+json", SIGNATURE_HEADER: sign(body, secret), "x-functions-key": key}
    try:
        return httpx.post(f"{base}{EVENTS_PATH}", content=body, headers=headers, timeout=_TIMEOUT)
    except httpx.TransportError as error:
        raise Refused(f"{base} does not answer ({type(error).__name__}).", code="unreachable") from error

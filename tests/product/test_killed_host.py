"""A host that is killed hides what it had in work for ten minutes; nobody else waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.appointments import all_appointments
from sandbox.outreach.deliveries import Delivery, MeetingScript
from sandbox.outreach.sender import Sender
from sandbox.soak.waiting import unfinished
from sandbox.stack import HostKind, Stack
from tests.patience import PATIENCE


@pytest.fixture
def stack(host_kind: HostKind) -> Iterator[Stack]:
    """One stack, whose host hides what it has in work for ten minutes, as in Azure."""
    with Stack("killed", host=host_kind) as running:
        yield running


def send(stack: Stack, delivery: Delivery) -> str:
    """The correlation id of an accepted delivery."""

    async def sent() -> str:
        async with Sender(stack.webhook_url, secret=stack.access.webhook_secret, timeout_seconds=PATIENCE) as sender:
            answer = await sender.send(delivery)
        assert (answer.status, answer.correlation_id is not None) == (202, True)
        return str(answer.correlation_id)

    return asyncio.run(sent())


def journal(stack: Stack, correlation_id: str) -> dict[str, Any] | None:
    """What became of an event so far."""
    address = f"{stack.host_url}/api/correlations/{correlation_id}"
    answer = httpx.get(address, headers={"x-functions-key": stack.access.admin_key})
    found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return found


def outcome(stack: Stack, correlation_id: str) -> str:
    """What became of an event in the end."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        entry = journal(stack, correlation_id)
        if entry is not None and entry["outcome"] != "retrying":
            return str(entry["outcome"])
        time.sleep(0.1)
    raise AssertionError(f"{correlation_id} was not carried out")


def wait_for_a_write(stack: Stack) -> None:
    """Until Dataverse has been asked to write."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        asked = httpx.get(f"{stack.dataverse.url}/__sandbox/requests", params={"limit": 50}).json()["requests"]
        if any(request["method"] == "PATCH" for request in asked):
            return
        time.sleep(0.05)
    raise AssertionError("nothing was written")


def test_what_a_killed_host_hides_holds_up_nothing(stack: Stack) -> None:
    """While the booking is hidden, a copy of it and another event of the same meeting are applied."""
    script = MeetingScript(1)
    booked, moved = script.booked(title="Booked"), script.changed(title="Moved on")
    # The write is applied, and its answer never comes: the host dies in the middle of it.
    fault = {"kind": "timeout", "hold_seconds": 3600, "method": "PATCH"}
    httpx.post(f"{stack.dataverse.url}/__sandbox/faults", json={"next": [fault]}).raise_for_status()
    hidden = send(stack, booked)
    wait_for_a_write(stack)
    stack.kill("host")
    stack.host.start()

    assert outcome(stack, send(stack, booked)) in {"created", "updated"}
    assert outcome(stack, send(stack, moved)) == "updated"

    (appointment,) = asyncio.run(all_appointments(stack.dataverse.url)).values()
    assert appointment.subject == "Moved on"
    assert asyncio.run(unfinished(stack)) == 1
    assert journal(stack, hidden) is None

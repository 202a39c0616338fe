"""Stopping in good order, and the short form of `make soak`."""

from __future__ import annotations

import asyncio
import time

import httpx

from sandbox.outreach.deliveries import Delivery, MeetingScript
from sandbox.outreach.sender import Sender, Sent
from sandbox.soak import Plan, soak
from sandbox.stack import Stack

MANY = 60


async def send(stack: Stack, deliveries: list[Delivery]) -> list[Sent]:
    """Send all, several at a time."""
    async with Sender(stack.webhook_url, secret=stack.access.webhook_secret) as sender:
        return await asyncio.gather(*(sender.send(delivery) for delivery in deliveries))


def test_a_stop_finishes_or_gives_back() -> None:
    """SIGTERM in the middle of work leaves no event locked away: after a start all are done at once."""
    with Stack("stop") as stack:
        sent = asyncio.run(send(stack, [MeetingScript(number).booked() for number in range(1, MANY + 1)]))
        assert {one.status for one in sent} == {202}
        stack.host.stop()
        stack.host.start()
        # A message that was not given back would stay hidden for the queue's ten minutes, far beyond this.
        deadline = time.monotonic() + 120
        while len(appointments(stack)) < MANY and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(appointments(stack)) == MANY


def test_short_soak() -> None:
    """Some hundred events while everything breaks: nothing lost, nothing twice, nothing stale."""
    assert soak(Plan(events=250, kill_every=3.0, storage_stops=1, away=2.0)) == 0


def test_short_calm_soak() -> None:
    """Some hundred events in any order, some twice: as many appointments as meetings, all columns as merged."""
    assert soak(Plan(events=200, trouble=False, disorder=0)) == 0


def appointments(stack: Stack) -> list[object]:
    """All of them."""
    answer = httpx.get(f"{stack.dataverse.url}/__sandbox/state", params={"entity_set": "appointments"})
    found: list[object] = answer.json()["appointments"]
    return found

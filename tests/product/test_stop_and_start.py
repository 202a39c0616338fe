"""Stopping in good order, and the short form of `make soak`."""

from __future__ import annotations

import json
import time
from typing import Final

import httpx
from azure.storage.queue import QueueClient

from sandbox.azurite import ROOT
from sandbox.outreach.deliveries import MeetingScript
from sandbox.soak import Plan, soak
from sandbox.stack import HostKind, Stack
from tests.patience import PATIENCE
from tests.running_app import RunningApp

MANY: Final = 60
BATCH: Final = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]["batchSize"]


def test_a_stop_finishes_or_gives_back(host_kind: HostKind) -> None:
    """SIGTERM in the middle of work leaves no event locked away: after a start all are done at once.

    The real host may have asked the queue for one more batch when it is told to stop. It works on none of that batch,
    and does not give it back either: it is in the queue, hidden for ten minutes.
    """
    most_hidden = BATCH if host_kind == "functions" else 0
    with Stack("stop", host=host_kind) as stack:
        RunningApp(stack).deliver_at_once(MeetingScript(number).booked() for number in range(1, MANY + 1))
        stack.host.stop()
        stack.host.start()
        # A message that was not given back would stay hidden for the queue's ten minutes, far beyond this.
        left, applied, deadline = MANY, 0, time.monotonic() + PATIENCE
        while (left > most_hidden or applied < MANY - left) and time.monotonic() < deadline:
            time.sleep(0.2)
            left, applied = in_the_queue(stack), len(appointments(stack))
        assert left <= most_hidden
        assert applied >= MANY - left


def test_short_soak() -> None:
    """Some hundred events while everything breaks: nothing lost, nothing twice, nothing stale."""
    assert soak(Plan(events=120, kill_every=3.0, storage_stops=1, away=2.0)) == 0


def test_short_calm_soak() -> None:
    """Some hundred events in any order, some twice: as many appointments as meetings, all columns as merged."""
    assert soak(Plan(events=100, trouble=False, disorder=0)) == 0


def in_the_queue(stack: Stack) -> int:
    """How many messages the queue has, whether they can be seen or not; a message goes when its event is done."""
    name = stack.app_settings()["SYNC_QUEUE_NAME"]
    with QueueClient.from_connection_string(stack.azurite.connection_string, name) as queue:
        return int(queue.get_queue_properties().approximate_message_count or 0)


def appointments(stack: Stack) -> list[object]:
    """All of them."""
    answer = httpx.get(f"{stack.dataverse.url}/__sandbox/state", params={"entity_set": "appointments"})
    found: list[object] = answer.json()["appointments"]
    return found

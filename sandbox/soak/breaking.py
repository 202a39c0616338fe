"""Breaks things while the deliveries are sent: kills what runs the app, and takes storage away for a while."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, Literal

import httpx

from sandbox.patience import PATIENCE
from sandbox.soak.plan import Count, Plan
from sandbox.soak.sending import Sending
from sandbox.soak.waiting import unfinished
from sandbox.stack import Stack

# 429 pauses the whole app for its Retry-After, so it is a small part of the tenth; the others are equal.
FAULTS: Final = ("429", *["503"] * 6, *["drop_before"] * 6, *["drop_after"] * 6)
FAULT_RATE: Final = 0.1
# The app gets so much done between two kills, or so many seconds, however slow the machine is.
CALLS_BETWEEN_KILLS: Final = 15
LONGEST_WITHOUT_KILL: Final = 60.0
# The breaking ends when this part of all events still waits, so that the end can be waited for.
NEARLY_DONE: Final = 0.02
# Microsoft's host, and its worker, die when this part of all deliveries is sent.
KILLS: Final[tuple[tuple[float, Literal["host", "worker"]], ...]] = (
    (0.15, "worker"),
    (0.4, "worker"),
    (0.6, "host"),
    (0.85, "worker"),
)
LOOK_SECONDS: Final = 0.2


async def set_faults(stack: Stack, **faults: object) -> None:
    """What Dataverse does wrong from now on."""
    async with httpx.AsyncClient(base_url=stack.dataverse.url, timeout=PATIENCE) as client:
        (await client.post("/__sandbox/faults", json=faults)).raise_for_status()


def dataverse_calls(stack: Stack) -> int:
    """How many requests Dataverse has had."""
    return int(httpx.get(f"{stack.dataverse.url}/__sandbox/counters", timeout=PATIENCE).json()["total"])


def break_things(stack: Stack, plan: Plan, count: Count, sending: Sending) -> None:
    """Until all is sent. Call it in the thread that started the stack: children die with the one that starts them."""
    away = [(stop + 1) / (plan.storage_stops + 1) for stop in range(plan.storage_stops)]

    def take_storage_away() -> None:
        if away and count.sent >= away[0] * plan.events:
            away.pop(0)
            stack.azurite.stop()
            time.sleep(plan.away)
            stack.azurite.start()
            count.storage_stops += 1

    if plan.host == "functions":
        _kill_a_few_times(stack, plan, count, sending, also=take_storage_away)
    else:
        _kill_again_and_again(stack, plan, count, sending, also=take_storage_away)


def _kill_a_few_times(stack: Stack, plan: Plan, count: Count, sending: Sending, *, also: Callable[[], None]) -> None:
    kills = list(KILLS)
    while not sending.done.is_set():
        also()
        # Microsoft's host ends by itself where storage was away for longer than its own lease; Azure starts it again.
        if not stack.host.child.running:
            stack.host.start()
            count.host_ends += 1
        if kills and count.sent >= kills[0][0] * plan.events:
            _, what = kills.pop(0)
            stack.kill(what)
            if what == "host":
                stack.host.start()
                count.host_kills += 1
            else:
                count.worker_kills += 1
        time.sleep(LOOK_SECONDS)


def _kill_again_and_again(
    stack: Stack, plan: Plan, count: Count, sending: Sending, *, also: Callable[[], None]
) -> None:
    """Also while what was sent is worked off, until nearly all of it is."""
    chance = random.Random(plan.seed)

    def is_busy() -> bool:
        return not sending.done.is_set() or asyncio.run(unfinished(stack)) > plan.events * NEARLY_DONE

    while is_busy():
        calls, deadline = dataverse_calls(stack), time.monotonic() + LONGEST_WITHOUT_KILL
        time.sleep(plan.kill_every * chance.uniform(0.6, 1.4))
        # What is in hand at five kills in a row becomes a dead letter, and rightly.
        while is_busy() and dataverse_calls(stack) < calls + CALLS_BETWEEN_KILLS and time.monotonic() < deadline:
            time.sleep(0.5)
        if sending.error is not None:
            return
        also()
        stack.kill("host")
        stack.host.start()
        count.host_kills += 1

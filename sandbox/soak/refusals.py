"""What Dynamics refuses in a soak, which columns the app says it did, and the admin who has them written again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

import httpx

from sandbox.patience import PATIENCE
from sandbox.soak.plan import Plan
from sandbox.stack import Stack

# What the app calls the columns of an appointment as people see it. The organizer goes with the owner.
_NAMES: Final = {
    "isalldayevent": {"is_all_day"},
    "scheduledstart": {"start", "end"},
    "scheduledend": {"start", "end"},
    "ownerid": {"owner", "organizer"},
    "regardingobjectid": {"regarding"},
    "appointment_activity_parties": {"attendees"},
    "statecode": {"state"},
}
_AT_ONCE: Final = 8


async def begin_refusals(stack: Stack, plan: Plan) -> None:
    """Let Dynamics refuse some writes, and go on refusing some of these."""
    chance = {"column": plan.refused, "owner": plan.refused_owner, "for_good": plan.for_good, "seed": plan.seed}
    await _set_plugins(stack, {"chance": chance})


async def end_refusals(stack: Stack) -> None:
    """Dynamics takes everything again, what it refused for good too."""
    await _set_plugins(stack, {})


async def _set_plugins(stack: Stack, plugins: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=stack.dataverse.url, timeout=PATIENCE) as client:
        (await client.post("/__sandbox/plugins", json=plugins)).raise_for_status()


def refused_columns(stack: Stack, meeting: int) -> frozenset[str]:
    """The columns that the app says Dynamics refused, as people see them."""
    with _admin(stack) as client:
        found = client.get(f"/api/meetings/{meeting}").json()
    return frozenset().union(*(_NAMES.get(one["column"], {one["column"]}) for one in found["refused"]))


async def write_again(stack: Stack, meetings: Collection[int]) -> int:
    """Ask for every meeting with a refused column to be written again. Returns how many there are."""
    gate = asyncio.Semaphore(_AT_ONCE)
    headers = {"x-functions-key": stack.access.admin_key}

    async def ask(client: httpx.AsyncClient, number: int) -> bool:
        async with gate:
            found = await client.get(f"/api/meetings/{number}")
            if found.status_code != httpx.codes.OK or not found.json()["refused"]:
                return False
            (await client.post(f"/api/meetings/{number}/write")).raise_for_status()
            return True

    async with httpx.AsyncClient(base_url=stack.host_url, headers=headers, timeout=PATIENCE) as client:
        return sum(await asyncio.gather(*(ask(client, number) for number in meetings)))


def _admin(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.host_url, headers={"x-functions-key": stack.access.admin_key}, timeout=PATIENCE)

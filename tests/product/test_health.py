"""Health is open to anybody, so asking often must cost nothing, and must not hold up what else the instance does."""

from __future__ import annotations

import asyncio

from sandbox.azurite import StorageNames
from sandbox.outreach.faults import FaultPlan
from shared.admin.health import FRESH_SECONDS, STANDS_IN_SECONDS, Health
from tests.product.bench import Installation, installation


class Service:
    """A part that may hang, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 1000.0
        self.answers = asyncio.Event()
        self.answers.set()

    async def check(self) -> None:
        self.asked += 1
        await self.answers.wait()

    def clock(self) -> float:
        return self.now


async def test_many_who_ask_at_once_cost_one_look() -> None:
    """Those who come first wait for it together; for some seconds it is answered from memory."""
    service = Service()
    health = Health({"service": service.check}, clock=service.clock)
    reports = await asyncio.gather(*(health.report() for _ in range(100)))
    assert (service.asked, {report["status"] for report in reports}) == (1, {"ok"})
    service.now += FRESH_SECONDS
    await health.report()
    assert service.asked == 2


async def test_nobody_waits_for_somebody_elses_look() -> None:
    """While a part hangs, one request waits for it; the others get what was seen a moment ago."""
    service = Service()
    health = Health({"service": service.check}, clock=service.clock)
    await health.report()
    service.now += FRESH_SECONDS
    service.answers.clear()
    first = asyncio.create_task(health.report())
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert (await health.report())["status"] == "ok"
    service.answers.set()
    assert (await first)["status"] == "ok"
    assert service.asked == 2


async def test_what_was_seen_long_ago_counts_no_more() -> None:
    """Where nobody has asked for long, all wait for the first look."""
    service = Service()
    health = Health({"service": service.check}, clock=service.clock)
    await health.report()
    service.now += STANDS_IN_SECONDS
    service.answers.clear()
    waiting = [asyncio.create_task(health.report()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    service.answers.set()
    await asyncio.gather(*waiting)
    assert service.asked == 2


async def test_an_outreach_without_users_is_none(product: Installation) -> None:
    """A 404 for what every organisation has means that the address is wrong, not that all is well."""
    product.outreach.faults = FaultPlan.parse({"next": [{"kind": "404", "path": "/api/v2/users"}]})
    report = await product.runtime.health.report()
    assert report["parts"]["outreach"]["status"] == "unreachable"
    assert "OUTREACH_API_URL" in report["parts"]["outreach"]["reason"]


async def test_a_misspelt_setting_is_noted(azurite: str, storage_names: StorageNames) -> None:
    """The app is well all the same, and says what does nothing."""
    async with installation(azurite, storage_names.queue("events"), SYNC_OUTBOUND_CREAT="false") as product:
        report = await product.runtime.health.report()
    assert report["status"] == "ok"
    note = "SYNC_OUTBOUND_CREAT is no setting, so it does nothing. Is SYNC_OUTBOUND_CREATE meant?"
    assert report["parts"]["settings"] == {"status": "ok", "reason": note}

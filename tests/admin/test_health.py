"""Health is open to anybody, so asking often must cost nothing, and must not hold up what else the instance does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from functions.views import health_json
from sandbox.azurite import StorageNames
from sandbox.outreach.faults import FaultPlan
from shared.admin.health import FRESH_SECONDS, STANDS_IN_SECONDS, Check, Health
from shared.errors import BadSettings, Transient
from tests.patience import PATIENCE
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


def health_of(service: Service, check: Check | None = None) -> Health:
    """Health with this one part."""
    return Health({"service": check or service.check}, clock=service.clock, now=lambda: datetime.now(UTC))


async def test_many_who_ask_at_once_cost_one_look() -> None:
    """Those who come first wait for it together; for a minute it is answered from memory."""
    service = Service()
    health = health_of(service)
    reports = await asyncio.gather(*(health.report() for _ in range(100)))
    assert (service.asked, {report.well for report in reports}) == (1, {True})
    service.now += FRESH_SECONDS
    await health.report()
    assert service.asked == 2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Transient("The services are away.", service="dataverse"), "The services are away."),
        (BadSettings(["MAPPING_FILE names mine.json, which is not there."]), "MAPPING_FILE names mine.json"),
        (KeyError("value"), "Its answer makes no sense"),
        (AttributeError("a bug"), "An error in the app itself (AttributeError)"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_services_that_fail_are_asked_no_oftener(wrong: Exception, reason: str) -> None:
    """Once a minute, whatever they answer; a stranger hears that they fail, an admin why."""
    service = Service()

    async def fail() -> None:
        await service.check()
        raise wrong

    health = health_of(service, fail)
    for _ in range(3):
        report = await health.report()
        service.now += FRESH_SECONDS / 3 - 1
    assert service.asked == 1
    assert reason in report.parts["service"].reason
    assert health_json(report) == {"status": "unhealthy", "parts": {"service": {"status": "unreachable"}}}


async def test_who_hangs_up_makes_nobody_ask_again() -> None:
    """The look goes on without the one who began it, and the others get what it finds."""
    service = Service()
    service.answers.clear()
    health = health_of(service)
    first, second = asyncio.create_task(health.report()), asyncio.create_task(health.report())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    service.answers.set()
    assert (await second).well
    await health.report()
    assert service.asked == 1


async def test_a_minute_is_a_minute() -> None:
    """So long nobody but the first one makes the services answer."""
    service = Service()
    health = health_of(service)
    await health.report()
    service.now += 59.9
    await health.report()
    assert service.asked == 1
    service.now += 0.1
    await health.report()
    assert service.asked == 2


async def test_nobody_waits_for_somebody_elses_look() -> None:
    """While a part hangs, one request waits for it; the others get what was seen a moment ago."""
    service = Service()
    health = health_of(service)
    await health.report()
    service.now += FRESH_SECONDS
    service.answers.clear()
    first = asyncio.create_task(health.report())
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert (await health.report()).well
    service.answers.set()
    assert (await first).well
    assert service.asked == 2


async def test_what_was_seen_long_ago_counts_no_more() -> None:
    """Where nobody has asked for long, all wait for the first look."""
    service = Service()
    health = health_of(service)
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
    report = await product.status()
    assert report["parts"]["outreach"]["status"] == "unreachable"
    assert "OUTREACH_API_URL" in report["parts"]["outreach"]["reason"]


async def test_a_misspelt_setting_is_noted(azurite: str, storage_names: StorageNames) -> None:
    """The app is well all the same, and says what does nothing."""
    async with installation(azurite, storage_names.queue("events"), SYNC_OUTBOUND_CREAT="false") as product:
        report = await product.status()
    assert report["status"] == "ok"
    note = "SYNC_OUTBOUND_CREAT is no setting, so it does nothing. Is SYNC_OUTBOUND_CREATE meant?"
    assert report["parts"]["settings"] == {"status": "ok", "reason": note}

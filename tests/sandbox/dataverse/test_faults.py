from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from aiohttp.test_utils import TestServer

from sandbox.dataverse import Store, create_app
from sandbox.dataverse.app import STOPPING
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.dataverse.requestlog import RequestLog
from sandbox.dataverse.seed import seed
from tests.sandbox.dataverse.org import ID, OTHER_ID, Org, appointment, error_code


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("429", 429, "0x80072322"),
        ("429_time", 429, "0x80072321"),
        ("429_concurrency", 429, "0x80072326"),
        ("503", 503, "0x80040216"),
        ("500", 500, "0x80040216"),
        ("401", 401, "0x8005f101"),
        ("403", 403, "0x80040220"),
        ("412_alternate_key", 412, "0x80060892"),
        ("412_duplicate_rule", 412, "0x80040333"),
        ("deadlock", 500, "-2147204784"),
    ],
)
async def test_a_queued_fault_meets_the_next_request(org: Org, kind: str, status: int, code: str) -> None:
    """A queued fault refuses one request, which is not applied; the next one goes through."""
    await org.lever("faults", next=[kind])
    response = await org.create()
    assert (response.status_code, error_code(response)) == (status, code)
    assert org.store.appointments == {}
    assert (await org.create()).status_code == 204


async def test_throttling_says_when_to_come_back(org: Org) -> None:
    """429 and 503 carry Retry-After in seconds, other faults do not."""
    await org.lever("faults", retry_after=7, next=["429", "503", "500"])
    answers = [await org.create() for _ in range(3)]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "7", None]


async def test_a_fault_can_be_made_to_measure(org: Org) -> None:
    """A fault may bring its own status, code, message and Retry-After, as decimals are also seen."""
    own = {"status": 429, "code": "-2147015902", "message": "Langsam!", "retry_after": 3}
    await org.lever("faults", next=[own])
    response = await org.create()
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    assert response.json() == {"error": {"code": "-2147015902", "message": "Langsam!"}}


async def test_a_fault_can_wait_for_its_request(org: Org) -> None:
    """A fault for a method and an entity set lets other requests pass."""
    await org.lever("faults", next=[{"kind": "503", "method": "PATCH", "entity": "appointments"}])
    assert (await org.api.get("/contacts")).status_code == 200
    assert (await org.create()).status_code == 503


@pytest.mark.parametrize(("kind", "applied"), [("drop_before", False), ("drop_after", True)])
async def test_a_connection_can_break(org: Org, kind: str, *, applied: bool) -> None:
    """The client sees a broken connection; the write is applied or not, as the kind says."""
    await org.lever("faults", next=[kind])
    with pytest.raises(httpx.TransportError):
        await org.create()
    assert (ID in org.store.appointments) is applied


async def test_a_slow_answer_never_comes(org: Org) -> None:
    """A time-out applies the write, keeps the client waiting and then closes the connection without an answer."""
    await org.lever("faults", hold_seconds=0.01, next=["timeout"])
    with pytest.raises(httpx.TransportError):
        await org.create()
    assert ID in org.store.appointments


class TellingLog(RequestLog):
    """A log that tells when a request was handled."""

    def __init__(self, *, size: int) -> None:
        super().__init__(size=size)
        self.told = asyncio.Event()

    def add(self, **request: Any) -> None:
        super().add(**request)
        self.told.set()


class TellingPlan(FaultPlan):
    """A plan that tells when a request has met its fault."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def draw(self, *, method: str, entity: str) -> Fault | None:
        self.told.set()
        return super().draw(method=method, entity=entity)


async def test_a_held_answer_does_not_hold_the_stop() -> None:
    """A client that waits for a held answer is cut off when the stand-in stops."""
    store = Store()
    store.log = log = TellingLog(size=1)
    store.faults.queue.append(Fault.parse("timeout", retry_after=1, hold_seconds=3600))
    async with httpx.AsyncClient() as client:
        async with TestServer(create_app(store)) as server:
            waiting = asyncio.create_task(client.get(str(server.make_url("/api/data/v9.2/contacts"))))
            await log.told.wait()
        with pytest.raises(httpx.TransportError):
            await waiting


async def test_a_late_write_outlives_its_client() -> None:
    """A held request is applied when its time has come, though its client has given up long before."""
    store = Store()
    seed(store)
    store.log = log = TellingLog(size=1)
    store.faults = plan = TellingPlan()
    plan.queue.append(Fault.parse("late", retry_after=1, hold_seconds=3600))
    app = create_app(store)
    async with TestServer(app) as server, httpx.AsyncClient() as client:
        url = str(server.make_url(f"/api/data/v9.2/appointments({ID})"))
        waiting = asyncio.create_task(client.patch(url, json=appointment()))
        await plan.told.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert store.appointments == {}
        app[STOPPING].set()
        await log.told.wait()
        assert list(store.appointments) == [ID]


async def faulty_ids(org: Org, **plan: Any) -> list[int]:
    await org.lever("faults", **plan)
    return [number for number in range(50) if (await org.api.get("/WhoAmI")).status_code != 200]


async def test_chance_is_repeatable(org: Org) -> None:
    """The same seed meets the same requests; a rate of one meets all of them, a rate of zero none."""
    plan = {"rate": 0.3, "kinds": ["429", "503"], "seed": 7}
    first, second = await faulty_ids(org, **plan), await faulty_ids(org, **plan)
    assert first == second
    assert 0 < len(first) < 50
    assert len(await faulty_ids(org, rate=1, kinds=["500"])) == 50
    assert await faulty_ids(org, rate=0, kinds=["500"]) == []


async def test_an_empty_plan_ends_the_trouble(org: Org) -> None:
    """Posting no faults takes the old ones away, queued ones included."""
    await org.lever("faults", rate=1, kinds=["500"], next=["503"])
    await org.lever("faults")
    assert (await org.create()).status_code == 204


@pytest.mark.parametrize(
    "plan", [{"next": ["nonsense"]}, {"kinds": [{"kind": "429", "nonsense": 1}]}, {"nonsense": 1}, {"rate": "often"}]
)
async def test_a_plan_that_makes_no_sense_is_refused(org: Org, plan: dict[str, Any]) -> None:
    """Unknown kinds and fields are refused with the reason."""
    response = await org.api.post(f"{org.control}/faults", json=plan)
    assert (response.status_code, error_code(response)) == (400, "control")


async def test_faults_are_counted_and_logged(org: Org) -> None:
    """Counters and log tell which fault a request met; a broken connection has status 0."""
    await org.lever("faults", next=["429", "drop_after"])
    await org.create()
    with pytest.raises(httpx.TransportError):
        await org.create()
    await org.create(OTHER_ID, appointment())
    counters = await org.view("counters")
    assert {name: counters[name] for name in counters if name.startswith("fault")} == {
        "fault 429": 1,
        "fault drop_after": 1,
    }
    logged = [(entry["status"], entry["fault"]) for entry in (await org.view("requests"))["requests"]]
    assert logged == [(429, "429"), (0, "drop_after"), (204, None)]


async def test_the_levers_have_no_faults(org: Org) -> None:
    """Control routes work in the middle of an outage."""
    await org.lever("faults", rate=1, kinds=["drop_before"])
    assert (await org.view("counters"))["total"] == 0


async def test_latency_delays_without_changing_the_answer(org: Org) -> None:
    """With latency on, requests are answered as before."""
    await org.lever("faults", latency_ms=1)
    assert (await org.create()).status_code == 204

"""One call over HTTP: how long to wait, and answers that never end."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache

import httpx
import pytest
from aiohttp import web

from shared.errors import Transient
from shared.http import client
from shared.http.breaker import FAILURES_TO_OPEN
from shared.http.client import Caller, http_client, retry_after
from tests.product.bench import served


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7.5 ", 7.5),
        ("-3", 0.0),
        ("0", 0.0),
        ("86400", 3600.0),
        ("1e400", 3600.0),
        ("nan", 0.0),
        ("", None),
        ("soon", None),
        ("2026-13-45T00:00:00Z", None),
        ("Mon, 01 Jan 2029 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("2001-01-01T00:00:00Z", 0.0),
        ("9999-12-31T23:59:59Z", 3600.0),
        ("9999-12-31T23:59:59-23:59", None),  # a day after the last one of UTC's calendar
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Never negative, never more than an hour; what cannot be read says nothing."""
    assert retry_after(httpx.Response(503, headers={"Retry-After": text})) == seconds


@pytest.mark.parametrize("form", ["http", "iso", "iso without zone"])
def test_retry_after_as_a_time(form: str) -> None:
    """An HTTP date, or the ISO time that Outreach sends."""
    moment = datetime.now(UTC) + timedelta(seconds=100)
    iso = moment.isoformat(timespec="seconds")
    text = {"http": format_datetime(moment), "iso": iso, "iso without zone": iso.removesuffix("+00:00")}[form]
    wait = retry_after(httpx.Response(503, headers={"Retry-After": text}))
    assert wait is not None
    assert 97 <= wait <= 100


async def _without_end(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    size = int(request.query["size"])
    while True:
        await response.write(b" " * size)
        await asyncio.sleep(0 if size > 1 else 0.02)


@cache
def _spaces(size: int) -> bytes:
    return gzip.compress(b" " * size)


async def _packed(request: web.Request) -> web.Response:
    """`size` bytes packed with gzip, under whatever `name`."""
    body = _spaces(int(request.query["size"]))
    return web.Response(body=body, headers={"Content-Encoding": request.query.get("name", "gzip")})


async def _garbled(_: web.Request) -> web.Response:
    return web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """A caller of a service whose answers never end, or are packed."""
    app = web.Application()
    app.router.add_get("/", _without_end)
    app.router.add_get("/packed", _packed)
    app.router.add_get("/garbled", _garbled)
    async with served(app) as url:
        made = Caller("outreach", http_client(url))
        yield made
        await made.aclose()


async def test_answer_that_drips(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not hold the worker for ever."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    with pytest.raises(Transient) as stopped:
        await caller.send("GET", "/?size=1", headers={})
    assert stopped.value.code == "TimeoutError"


async def test_answer_without_end(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer larger than any real one is not kept in memory."""
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1_000_000)
    tracemalloc.start()
    with pytest.raises(Transient):
        await caller.send("GET", "/?size=65536", headers={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


async def test_packed_answer(caller: Caller) -> None:
    """What fits is unpacked, all of it."""
    response = await caller.send("GET", "/packed?size=300000", headers={})
    assert response.content == b" " * 300_000


async def test_little_that_unpacks_to_very_much(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the size unpacked, and no more than that is ever unpacked: instances have 512 MB."""
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1_000_000)
    _spaces(50_000_000)  # made before memory is measured
    tracemalloc.start()
    with pytest.raises(Transient) as stopped:
        await caller.send("GET", "/packed?size=50000000", headers={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stopped.value.code == "RemoteProtocolError"
    assert peak < 10_000_000


@pytest.mark.parametrize("query", ["size=9&name=br", "size=9&name=gzip,%20gzip", "size=9&name=deflate"])
async def test_packing_that_was_not_asked_for(caller: Caller, query: str) -> None:
    """An encoding that we cannot count is not unpacked at all."""
    with pytest.raises(Transient) as refused:
        await caller.send("GET", f"/packed?{query}", headers={})
    assert refused.value.code == "DecodingError"


async def test_packed_answer_that_is_not(caller: Caller) -> None:
    """Bytes that are no gzip are a failure that may pass, as any garbled answer is."""
    with pytest.raises(Transient) as refused:
        await caller.send("GET", "/garbled", headers={})
    assert refused.value.code == "DecodingError"


@pytest.mark.parametrize(("service", "name"), [("dataverse", "Dynamics"), ("outreach", "Outreach")])
async def test_failures_name_the_service_as_people_know_it(service: str, name: str) -> None:
    """Nobody who reads why an event waits need know that the API of Dynamics has another name."""
    reasons = []
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as client:
        caller = Caller(service, client)
        for _ in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(Transient) as failed:
                await caller.send("GET", "/", headers={})
            reasons.append(failed.value.reason)
    assert reasons[0] == f"{name} could not be reached or did not answer in time."
    assert reasons[-1].startswith(f"{name} asked for a pause")

"""No proxy is asked for this machine, and every other address goes where it went."""

from __future__ import annotations

import pytest
from aiohttp import web

from sandbox.azurite import StorageNames
from shared.http.client import http_client
from shared.http.loopback import past_the_proxy
from shared.settings import StorageSettings
from shared.storage.account import Queue, Table, queue_service, table_service
from tests.product.bench import served

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_loopback_is_added_where_a_proxy_is_set(name: str) -> None:
    """Whatever the proxy is for, and in whichever case its variable is written."""
    added = past_the_proxy({name: PROXY})
    assert added == {"no_proxy": "localhost,127.0.0.1,::1", "NO_PROXY": "localhost,127.0.0.1,::1"}


def test_without_a_proxy_nothing_is_added() -> None:
    """A variable of ours would hide the proxy that macOS and Windows keep elsewhere."""
    assert past_the_proxy({"PATH": "/bin", "NO_PROXY": "intranet"}) == {}


@pytest.mark.parametrize(
    ("given", "exceptions"),
    [
        ({"NO_PROXY": "intranet, 127.0.0.1"}, "intranet,127.0.0.1,localhost,::1"),
        ({"no_proxy": "one", "NO_PROXY": "two"}, "one,localhost,127.0.0.1,::1"),
    ],
)
def test_exceptions_that_are_set_stay(given: dict[str, str], exceptions: str) -> None:
    """Those of the lower-case name, which is the one that counts where both are set."""
    assert past_the_proxy({"HTTP_PROXY": PROXY, **given}) == {"no_proxy": exceptions, "NO_PROXY": exceptions}


def test_who_asks_no_proxy_at_all_needs_nothing() -> None:
    """A star must stand alone to be understood."""
    assert past_the_proxy({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}) == {}


async def test_services_are_reached_through_the_proxy_and_this_machine_is_not(
    azurite: str, storage_names: StorageNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clients of the product itself, of which none is told: HTTP, table and queue."""
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append(request.headers["Host"])
        return web.Response(status=502)

    async def service(_: web.Request) -> web.Response:
        return web.Response(text="direct")

    through, direct = web.Application(), web.Application()
    through.router.add_route("*", "/{path:.*}", proxy)
    direct.router.add_get("/", service)
    storage = StorageSettings(connection_string=azurite)
    async with served(through) as proxy_url, served(direct) as url:
        monkeypatch.setenv("HTTP_PROXY", proxy_url)
        for name, value in past_the_proxy({"HTTP_PROXY": proxy_url}).items():
            monkeypatch.setenv(name, value)
        async with http_client(url) as here, http_client("http://service.example.com") as elsewhere:
            assert (await here.get("/")).text == "direct"
            assert (await elsewhere.get("/")).status_code == 502
        async with queue_service(storage, None) as queues, table_service(storage, None) as tables:
            assert await Queue(queues, storage_names.queue("direct")).depth() == 0
            await Table(tables, storage_names.table("direct")).reachable()
    assert asked == ["service.example.com"]

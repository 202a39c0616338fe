"""The client of the Outreach API: pages of one host, the hourly allowance, refusals in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.store import Store, Switches
from shared.errors import Permanent, Transient
from shared.outreach.client import Outreach
from shared.outreach.quota import HOURLY_LIMIT
from tests.outreach.support import add_event, client

HOST = "https://api.example.com"


async def all_pages(outreach: Outreach, *, limit: int = 10, size: int = 2) -> list[list[Mapping[str, Any]]]:
    return [page async for page in outreach.pages("events", params={"page[size]": str(size)}, limit=limit)]


async def test_pages(stand_in: tuple[Store, str]) -> None:
    """Every record comes once, page by page, and no page is asked for beyond the last or the limit."""
    store, url = stand_in
    for number in range(1, 6):
        add_event(store, number, "calendar_event_updated", at="2026-03-01T10:00:00Z")
    async with client(url) as outreach:
        pages = await all_pages(outreach)
        assert [[record["id"] for record in page] for page in pages] == [[1, 2], [3, 4], [5]]
        assert len(await all_pages(outreach, limit=2)) == 2
    assert store.log.counters["GET events 200"] == 5


async def test_empty_collection(stand_in: tuple[Store, str]) -> None:
    """An empty answer has no links; it is one page without records."""
    async with client(stand_in[1]) as outreach:
        assert await all_pages(outreach) == [[]]


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example.com/api/v2/events?page=2",
        "http://api.example.com/api/v2/events?page=2",
        "https://api.example.com:8443/api/v2/events?page=2",
        "https://api.example.com@elsewhere.example.com/api/v2/events",
        "//elsewhere.example.com/api/v2/events",
        "https://api.example.com/oauth/token",
        "https://api.example.com[/api/v2/events",
        "https://api.example.com/api/v2/../../oauth/token",
        "https://api.example.com/api/v2/events?\x00",
    ],
)
async def test_no_link_leads_away(link: str) -> None:
    """A next page on another host, port, scheme or path is not asked for: our token would go there."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"data": [{"id": 1}], "links": {"next": link}})

    async with client(HOST, transport=httpx.MockTransport(answer)) as outreach:
        with pytest.raises(Permanent, match="another host"):
            await all_pages(outreach)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "link",
    [
        f"{HOST}/api/v2/events?page%5Bafter%5D=x",
        "/api/v2/events?page%5Bafter%5D=x",
        "https://API.example.com:443/api/v2/events?page%5Bafter%5D=x",
    ],
)
async def test_links_are_followed_as_they_are(link: str) -> None:
    """The link's query is sent unchanged, once, without the parameters of the first page."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        more = {"links": {"next": link}} if len(asked) == 1 else {}
        return httpx.Response(200, json={"data": [{"id": len(asked)}], **more})

    async with client(HOST, transport=httpx.MockTransport(answer)) as outreach:
        assert len(await all_pages(outreach)) == 2
    assert asked[1] == "/api/v2/events?page%5Bafter%5D=x"


async def test_pages_in_a_circle() -> None:
    """A page that was read before is not read again, however large the limit is."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        following = "a" if str(request.url).endswith("b") else "b"
        return httpx.Response(200, json={"data": [{"id": 1}], "links": {"next": f"{HOST}/api/v2/events?{following}"}})

    async with client(HOST, transport=httpx.MockTransport(answer)) as outreach:
        with pytest.raises(Permanent, match="circle"):
            await all_pages(outreach, limit=1000)
    assert len(asked) == 3


async def test_half_an_emoji() -> None:
    """Text that was cut in the middle of a character can be sent on; what is around it stays."""
    body = r'{"data": [{"id": 1, "attributes": {"name": "Call \ud83d", "payload": {"title": "\ud83d"}}}]}'
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    async with client(HOST, transport=transport) as outreach:
        [[record]] = await all_pages(outreach)
    assert record["attributes"] == {"name": "Call \ufffd", "payload": {"title": "\ufffd"}}


@pytest.mark.parametrize("read", [0, 1])
async def test_pages_that_are_not_there(stand_in: tuple[Store, str], read: int) -> None:
    """A 404 is no end of the pages: not for the first one, as behind a wrong address, nor for a later one."""
    store, url = stand_in
    for number in range(1, 6):
        add_event(store, number, "calendar_event_updated", at="2026-03-01T10:00:00Z")
    async with client(url) as outreach:
        pages = outreach.pages("events", params={"page[size]": "2"}, limit=10)
        for _ in range(read):
            assert len(await anext(pages)) == 2
        store.faults = FaultPlan.parse({"next": [{"kind": "404"}]})
        with pytest.raises(Permanent, match=r"no events at this address.*OUTREACH_API_URL"):
            await anext(pages)


@pytest.mark.parametrize("body", ["", "no json", "[]", '{"data": {}}', "null", "[" * 100_000], ids=len)
async def test_unreadable_lists(body: str) -> None:
    """A list that is none may be one the next time."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    async with client(HOST, transport=transport) as outreach:
        with pytest.raises(Transient, match="without data"):
            await all_pages(outreach)


@pytest.mark.parametrize("fault", ["401", "401_json", "429", "503", "503_seconds", "500", "drop_after"])
async def test_refusals_that_pass(stand_in: tuple[Store, str], fault: str) -> None:
    """Whatever may pass is reported as such, in whichever form it came, and is not sent again from here."""
    store, url = stand_in
    store.faults = FaultPlan.parse({"next": [{"kind": fault, "retry_after": 5}]})
    async with client(url) as outreach:
        with pytest.raises(Transient) as refused:
            await outreach.get("user", "1")
    assert store.log.total == 1
    if fault in {"429", "503", "503_seconds"}:
        assert refused.value.retry_after is not None
        assert 3 <= refused.value.retry_after <= 5


@pytest.mark.parametrize("status", [302, 400, 403, 404, 422])
@pytest.mark.parametrize("answer", [{"text": "<html>No.</html>"}, {"json": {"error": "no"}}, {"json": []}])
async def test_answers_of_somebody_else(status: int, answer: dict[str, Any]) -> None:
    """What is no answer of the API says nothing of the record, least of all that there is none: it may pass."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, **answer))
    async with client(HOST, transport=transport) as outreach:
        with pytest.raises(Transient, match="OUTREACH_API_URL"):
            await outreach.get("prospect", "1")


async def test_redirects_are_not_followed() -> None:
    """Our token goes to no other place."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(307, headers={"Location": "https://elsewhere.example.com/"}, json={"errors": []})

    async with client(HOST, transport=httpx.MockTransport(answer)) as outreach:
        with pytest.raises(Transient):
            await outreach.get("prospect", "1")
    assert len(asked) == 1


@pytest.mark.parametrize("data", [{"attributes": [], "meta": []}, {"attributes": "x"}, {"attributes": None}, {}])
async def test_records_without_attributes(data: dict[str, Any]) -> None:
    """A record that says nothing is a record all the same."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": data}))
    async with client(HOST, transport=transport) as outreach:
        found = await outreach.get("prospect", "1")
    assert found is not None
    assert found["attributes"] == {}


async def test_missing_scope(stand_in: tuple[Store, str]) -> None:
    """A 403 names the scope to give."""
    store, url = stand_in
    store.switches = Switches(missing_scopes=frozenset({"users.read"}))
    async with client(url) as outreach:
        with pytest.raises(Permanent, match=r"users\.read"):
            await outreach.get("user", "1")


@pytest.mark.parametrize("number", ["1/../2", "٣", "", "1?x=y", "abc", "-1"])
async def test_ids_that_are_none(number: str) -> None:
    """What is no number never gets into a path."""
    async with client(HOST, transport=httpx.MockTransport(lambda _: pytest.fail("a request was made"))) as outreach:
        assert await outreach.get("user", number) is None


async def test_unknown_record(stand_in: tuple[Store, str]) -> None:
    """A record that is gone is None, not an error."""
    async with client(stand_in[1]) as outreach:
        assert await outreach.get("user", "999") is None


async def test_spare_capacity_ends_above_the_reserve(stand_in: tuple[Store, str]) -> None:
    """Work that can wait stops at the reserve without asking; events under way go on."""
    store, url = stand_in
    store.switches = Switches(rate_limit=100)
    async with client(url) as outreach:
        spare = outreach.for_spare_capacity()
        for _ in range(74):
            assert await spare.get("user", "1") is not None
        assert await spare.get("user", "1") is not None
        with pytest.raises(Transient) as ended:
            await spare.get("user", "1")
        assert ended.value.code == "allowance"
        assert ended.value.retry_after is not None
        assert await outreach.get("user", "1") is not None
    assert store.log.total == 76


async def test_calls_that_were_not_made_cost_nothing() -> None:
    """After an outage, in which events came back again and again, there is spare capacity at once."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("No route.")

    async with client(HOST, transport=httpx.MockTransport(fail)) as outreach:
        codes = set()
        for _ in range(HOURLY_LIMIT):
            with pytest.raises(Transient) as refused:
                await outreach.get("user", "1")
            codes.add(refused.value.code)
        assert codes == {"ConnectError", "paused"}
        with pytest.raises(Transient) as refused:
            await outreach.for_spare_capacity().get("user", "1")
        assert refused.value.code == "paused"

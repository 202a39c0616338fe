"""The REST side of the Outreach stand-in, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach import create_app
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN

HEADERS = {"Authorization": f"Bearer {DEVELOPMENT_TOKEN}", "Content-Type": "application/vnd.api+json"}


class Client:
    """Calls the stand-in as a well-behaved app does."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, **parameters: str) -> tuple[int, Any]:
        async with self.session.get(f"/api/v2/{path}", params=parameters) as response:
            return response.status, json.loads(await response.read())

    async def ids(self, path: str, **parameters: str) -> list[int]:
        status, body = await self.get(path, **parameters)
        assert status == 200, body
        return [record["id"] for record in body["data"]]

    async def control(self, lever: str, **body: Any) -> Any:
        async with self.session.post(f"/__sandbox/{lever}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with (
        TestServer(create_app()) as server,
        aiohttp.ClientSession(server.make_url("/"), headers=HEADERS) as session,
    ):
        yield Client(session)


async def test_one_record_has_json_api_form_with_wrapped_relationships(client: Client) -> None:
    """A record has type, integer id, attributes, wrapped relationships and its own link."""
    status, body = await client.get("prospects/101")
    assert status == 200
    assert (body["data"]["type"], body["data"]["id"]) == ("prospect", 101)
    assert body["data"]["attributes"]["emails"] == ["contact.one@example.com"]
    assert body["data"]["relationships"]["owner"] == {"data": {"type": "user", "id": 1}}
    assert body["data"]["links"]["self"].endswith("/api/v2/prospects/101")


async def test_answers_have_the_json_api_media_type(client: Client) -> None:
    """Success and refusal alike come as application/vnd.api+json."""
    for path in ("prospects", "prospects/1"):
        async with client.session.get(f"/api/v2/{path}") as response:
            assert response.content_type == "application/vnd.api+json"


async def test_data_connections_come_only_when_asked_for(client: Client) -> None:
    """Without provideDataConnections=true a record has no meta."""
    _, without = await client.get("prospects/101")
    _, given = await client.get("prospects/101", provideDataConnections="true")
    assert "meta" not in without["data"]
    assert given["data"]["meta"]["dataConnections"][0]["id"] == CONTACT_IDS[0]


async def test_every_odd_form_of_data_connections_is_there(client: Client) -> None:
    """List, one object with braces and capitals, JSON in a string, several CRMs, empty and missing are all seeded."""

    async def connections(path: str) -> Any:
        _, body = await client.get(path, provideDataConnections="true")
        return body["data"].get("meta", {}).get("dataConnections", "missing")

    assert (await connections("prospects/102"))["id"] == f"{{{CONTACT_IDS[1].upper()}}}"
    assert json.loads(await connections("prospects/103"))[0]["id"] == CONTACT_IDS[2]
    assert [item["id"] for item in await connections("prospects/104")] == [LEAD_IDS[0].upper()]
    assert [item["type"] for item in await connections("prospects/105")] == ["Lead", "Contact"]
    assert await connections("prospects/106") == []
    assert await connections("prospects/107") == "missing"
    assert [item["connection"] for item in await connections("prospects/110")] == ["Other", "Dynamics"]
    assert (await connections("users/1"))[0]["id"] == USER_IDS[0]
    assert json.loads(await connections("opportunities/303"))["id"] == OPPORTUNITY_IDS[2]


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({"filter[emails]": "lead.one@example.com"}, [104]),
        ({"filter[emails]": "lead.one@example.com,lead.three@example.com"}, [104, 109]),
        ({"filter[emails]": "Lead.One@example.com"}, []),
        ({"filter[id]": "101,103"}, [101, 103]),
        ({"filter[id]": "103..105"}, [103, 104, 105]),
        ({"filter[id]": "108..inf"}, [108, 109, 110]),
        ({"filter[id]": "neginf..101"}, [101]),
        ({"filter[updatedAt]": "2026-01-01..2026-01-02", "filter[id]": "101"}, [101]),
        ({"filter[updatedAt]": "2026-01-02..inf"}, []),
        ({"filter[engagedAt]": "__notnull__"}, []),
        ({"newFilterSyntax": "true", "filter[id][gte]": "109"}, [109, 110]),
        ({"newFilterSyntax": "true", "filter[emails][]": "lead.one@example.com"}, [104]),
    ],
)
async def test_lists_are_filtered(client: Client, parameters: dict[str, str], wanted: list[int]) -> None:
    """Exact values, alternatives, ranges, open ranges, null tests and the new syntax select what they say."""
    assert await client.ids("prospects", **parameters) == wanted


async def test_two_dots_in_an_address_are_a_range_in_the_plain_syntax_only(client: Client) -> None:
    """An address with two dots is found by newFilterSyntax and not by the plain one, as documented."""
    await client.control("seed", prospects=[{"id": 500, "attributes": {"emails": ["z..a@example.com"]}}])
    assert await client.ids("prospects", newFilterSyntax="true", **{"filter[emails]": "z..a@example.com"}) == [500]
    assert await client.ids("prospects", **{"filter[emails]": "z..a@example.com"}) == []


async def test_users_are_found_by_address(client: Client) -> None:
    """filter[email] finds a user."""
    assert await client.ids("users", **{"filter[email]": "rep.two@example.com"}) == [2]


@pytest.mark.parametrize(
    "parameters",
    [
        {"filter[externalId]": "CRM-109"},
        {"filter[nonsense]": "1"},
        {"filter[id]": "one"},
        {"filter[updatedAt]": "yesterday..inf"},
        {"filter[id][gte]": "5"},
        {"filter[emails][]": "a@example.com"},
        {"page[size]": "0"},
        {"page[size]": "1001"},
        {"page[after]": "!"},
        {"sort": "emails"},
        {"nonsense": "1"},
    ],
)
async def test_an_unknown_or_wrong_parameter_is_refused(client: Client, parameters: dict[str, str]) -> None:
    """What cannot be filtered, sorted or paged by answers 400 in JSON:API form instead of being ignored."""
    status, body = await client.get("prospects", **parameters)
    assert status == 400
    assert body["errors"][0]["detail"]


async def test_pages_follow_links_next_to_the_end(client: Client) -> None:
    """Following links.next gives every record once and ends without a next link."""
    seen: list[int] = []
    url: str | None = "/api/v2/prospects?page[size]=4&count=true"
    while url is not None:
        async with client.session.get(url) as response:
            body = json.loads(await response.read())
        assert body["meta"]["count"] == 10
        seen += [record["id"] for record in body["data"]]
        url = body["links"].get("next")
    assert seen == list(range(101, 111))


async def test_an_empty_list_has_no_links(client: Client) -> None:
    """Where nothing is found there are no links at all."""
    _, body = await client.get("prospects", **{"filter[id]": "1"})
    assert body == {"data": []}


async def test_events_are_filtered_by_time_and_name_and_sorted(client: Client) -> None:
    """The events list does what a sweep needs: since a time, of one name, newest first."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    await client.control(
        "seed",
        events=[
            {"id": n, "attributes": {"name": name, "eventAt": (now + timedelta(hours=n)).isoformat()}}
            for n, name in enumerate(["calendar_event_updated", "meeting_held", "calendar_event_updated"], start=1)
        ],
    )
    since = {"filter[eventAt]": f"{(now + timedelta(hours=2)).isoformat()}..inf"}
    assert await client.ids("events", sort="-eventAt", **since) == [3, 2]
    assert await client.ids("events", sort="eventAt", **{"filter[name]": "calendar_event_updated"}) == [1, 3]


async def test_sparse_fields_leave_the_others_out(client: Client) -> None:
    """fields[prospect] names the attributes that are shown."""
    _, body = await client.get("prospects/101", **{"fields[prospect]": "emails"})
    assert set(body["data"]["attributes"]) == {"emails"}


async def test_an_unknown_record_or_collection_is_404_in_json_api_form(client: Client) -> None:
    """404 carries the published error id."""
    for path in ("prospects/1", "prospects/x", "meetings", "nonsense/1/2/3"):
        status, body = await client.get(path)
        assert (status, body["errors"][0]["id"]) == (404, "resourceNotFound"), path


async def test_a_request_without_token_gets_plain_text_401(client: Client) -> None:
    """401 without a token is no JSON."""
    async with client.session.get("/api/v2/prospects", headers={"Authorization": ""}) as response:
        assert response.status == 401
        assert response.content_type == "text/plain"


async def test_a_token_that_cannot_be_read_gets_the_gateways_401(client: Client) -> None:
    """401 for a foreign token is JSON, but not JSON:API."""
    async with client.session.get("/api/v2/prospects", headers={"Authorization": "Bearer other"}) as response:
        assert response.status == 401
        assert set(await response.json()) == {"error", "description"}


async def test_a_read_without_the_media_type_is_415(client: Client) -> None:
    """The content type is asked for on reads too."""
    async with client.session.get("/api/v2/prospects", headers={"Content-Type": "application/json"}) as response:
        assert response.status == 415
        assert json.loads(await response.read())["errors"][0]["id"] == "unsupportedMediaType"


async def test_a_missing_scope_is_403_and_names_it(client: Client) -> None:
    """A switched-off scope refuses its collection and no other."""
    await client.control("switches", missing_scopes=["events.read"])
    status, body = await client.get("events")
    assert (status, body["errors"][0]["id"]) == (403, "unauthorizedOauthScope")
    assert "events.read" in body["errors"][0]["detail"]
    assert (await client.get("users"))[0] == 200


async def test_rate_limit_headers_come_in_both_forms(client: Client) -> None:
    """X-RateLimit-Remaining is one number or several in one header."""
    forms = set()
    for _ in range(2):
        async with client.session.get("/api/v2/users") as response:
            forms.add("," in response.headers["X-RateLimit-Remaining"])
            assert int(response.headers["X-RateLimit-Reset"]) > 0
    assert forms == {True, False}


async def test_over_the_hourly_limit_is_429_until_the_hour_is_over(client: Client) -> None:
    """The request after the limit is refused with Retry-After; an hour later all is well."""
    await client.control("switches", rate_limit=2)
    assert [(await client.get("users"))[0] for _ in range(3)] == [200, 200, 429]
    await client.control("clock", advance_seconds=3601)
    assert (await client.get("users"))[0] == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("429", 429),
        ("503", 503),
        ("503_seconds", 503),
        ("500", 500),
        ("401", 401),
        ("401_json", 401),
        ("403", 403),
        ("404", 404),
    ],
)
async def test_a_planned_fault_answers_once(client: Client, kind: str, status: int) -> None:
    """The next request meets the trouble, the one after it does not."""
    await client.control("faults", next=[kind], retry_after=7)
    async with client.session.get("/api/v2/users") as response:
        assert response.status == status
        if kind == "503":
            assert datetime.fromisoformat(response.headers["Retry-After"]) > datetime.now(UTC)
        elif status in (429, 503):
            assert response.headers["Retry-After"] == "7"
    assert (await client.get("users"))[0] == 200


@pytest.mark.parametrize(("kind", "applied"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_dropped_connection_is_before_or_after_the_work(client: Client, kind: str, applied: int) -> None:
    """Dropped before, nothing was done; dropped after, all was."""
    await client.control("faults", next=[kind])
    webhook = {"data": {"type": "webhook", "attributes": {"url": "https://example.com/hook"}}}
    with pytest.raises(aiohttp.ClientError):
        await client.session.post("/api/v2/webhooks", json=webhook)
    assert len(await client.ids("webhooks")) == applied


async def test_a_held_answer_never_comes(client: Client) -> None:
    """A time-out fault keeps the client waiting and then closes the connection without an answer."""
    await client.control("faults", next=[{"kind": "timeout", "hold_seconds": 0.01}])
    with pytest.raises(aiohttp.ClientError):
        await client.session.post("/api/v2/webhooks", json={})  # a GET would be sent again by aiohttp itself


async def test_chance_is_repeatable_with_a_seed(client: Client) -> None:
    """The same seed gives the same troubles in the same places."""

    async def run() -> list[int]:
        await client.control("faults", rate=0.5, kinds=["429"], seed=7)
        return [(await client.get("users"))[0] for _ in range(20)]

    first = await run()
    assert set(first) == {200, 429}
    assert await run() == first


async def test_a_fault_can_wait_for_its_path(client: Client) -> None:
    """A fault for users leaves prospects alone."""
    await client.control("faults", next=[{"kind": "500", "path": "/api/v2/users"}])
    assert (await client.get("prospects"))[0] == 200
    async with client.session.get("/api/v2/users") as response:
        assert response.status == 500


async def test_the_log_and_counters_tell_what_was_asked_without_credentials(client: Client) -> None:
    """Requests are logged with their outcome; no token is in the log."""
    await client.get("users/1", provideDataConnections="true")
    await client.get("users/77")
    async with client.session.get("/__sandbox/requests") as response:
        text = await response.text()
    assert [entry["status"] for entry in json.loads(text)["requests"]] == [200, 404]
    assert DEVELOPMENT_TOKEN not in text
    async with client.session.get("/__sandbox/counters") as response:
        counted = await response.json()
    assert (counted["total"], counted["GET users 200"], counted["GET users 404"]) == (2, 1, 1)


async def test_a_record_can_change_as_people_change_it(client: Client) -> None:
    """A lead that became a contact shows its new connection and a later updatedAt."""
    before = (await client.get("prospects/104"))[1]["data"]["attributes"]["updatedAt"]
    await client.control(
        "update", collection="prospects", id=104, data_connections=[{"type": "Contact", "id": CONTACT_IDS[0]}]
    )
    _, after = await client.get("prospects/104", provideDataConnections="true")
    assert after["data"]["meta"]["dataConnections"][0]["type"] == "Contact"
    assert after["data"]["attributes"]["updatedAt"] > before


async def test_reset_brings_the_seeded_records_back(client: Client) -> None:
    """After a reset nothing of before is left."""
    await client.control("delete", collection="prospects", id=101)
    await client.control("seed", prospects=[{"id": 900}])
    await client.control("switches", media_type="lenient")
    await client.control("reset")
    assert await client.ids("prospects") == list(range(101, 111))
    async with client.session.get("/api/v2/users", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415


@pytest.mark.parametrize(
    ("lever", "body"),
    [
        ("faults", {"kinds": ["nonsense"]}),
        ("faults", {"nonsense": 1}),
        ("switches", {"bearer": "nonsense"}),
        ("switches", {"nonsense": 1}),
        ("seed", {"nonsense": []}),
        ("seed", {"prospects": [{"nonsense": 1}]}),
        ("clock", {}),
    ],
)
async def test_a_lever_says_what_it_cannot_use(client: Client, lever: str, body: dict[str, Any]) -> None:
    """A wrong control request is 400 with the reason, so that no test runs on a plan that is not in force."""
    async with client.session.post(f"/__sandbox/{lever}", json=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"]

"""Registering webhooks with the Outreach stand-in, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from sandbox.outreach import create_app
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN

HEADERS = {"Authorization": f"Bearer {DEVELOPMENT_TOKEN}", "Content-Type": "application/vnd.api+json"}
GOOD = {"resource": "prospect", "action": "*", "url": "https://example.com/hook", "secret": "s", "payloadVersion": 2}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        TestServer(create_app()) as server,
        aiohttp.ClientSession(server.make_url("/"), headers=HEADERS) as session,
    ):
        yield session


async def _send(session: aiohttp.ClientSession, method: str, path: str, document: Any = None) -> tuple[int, Any]:
    async with session.request(method, f"/api/v2/{path}", json=document) as response:
        raw = await response.read()
        return response.status, json.loads(raw) if raw else None


async def _create(session: aiohttp.ClientSession, **attributes: Any) -> tuple[int, Any]:
    return await _send(session, "POST", "webhooks", {"data": {"type": "webhook", "attributes": attributes}})


async def test_a_webhook_is_created_read_listed_and_deleted(session: aiohttp.ClientSession) -> None:
    """The whole life of a subscription."""
    status, created = await _create(session, **GOOD)
    assert status == 201
    number = created["data"]["id"]
    assert created["data"]["attributes"] | GOOD == created["data"]["attributes"]
    assert created["data"]["attributes"]["active"] is True
    assert created["data"]["attributes"]["cleanupToken"]
    assert (await _send(session, "GET", f"webhooks/{number}"))[1]["data"]["id"] == number
    assert [hook["id"] for hook in (await _send(session, "GET", "webhooks"))[1]["data"]] == [number]
    assert await _send(session, "DELETE", f"webhooks/{number}") == (204, None)
    assert (await _send(session, "GET", f"webhooks/{number}"))[0] == 404


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"resource": "meeting"}, "resource"),
        ({"resource": "calendarEvent"}, "resource"),
        ({"resource": "nonsense"}, "resource"),
        ({"action": "nonsense"}, "action"),
        ({"action": "completed"}, "action"),
        ({"resource": "kaiaRecording", "action": "updated"}, "action"),
        ({"payloadVersion": "2"}, "payloadVersion"),
        ({"payloadVersion": 3}, "payloadVersion"),
        ({"payloadVersion": True}, "payloadVersion"),
        ({"active": "yes"}, "active"),
        ({"secret": "x" * 256}, "secret"),
        ({"url": None}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://example.com/" + "x" * 1024}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"disabledReason": None}, "disabledReason"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_is_wrong_with_a_webhook_is_named(
    session: aiohttp.ClientSession, changes: dict[str, Any], wrong: str
) -> None:
    """422 with the pointer of the wrong member, and nothing is created."""
    status, body = await _create(session, **{**GOOD, **changes})
    assert (status, body["errors"][0]["id"]) == (422, "validationError")
    assert body["errors"][0]["source"]["pointer"] == f"/data/attributes/{wrong}"
    assert (await _send(session, "GET", "webhooks"))[1] == {"data": []}


@pytest.mark.parametrize(
    ("resource", "action"), [("task", "completed"), ("kaiaRecording", "created"), ("*", "*"), ("user", "destroyed")]
)
async def test_published_resources_and_actions_are_taken(
    session: aiohttp.ClientSession, resource: str, action: str
) -> None:
    """What Outreach's public list names can be registered."""
    assert (await _create(session, **{**GOOD, "resource": resource, "action": action}))[0] == 201


async def test_meeting_can_be_switched_on(session: aiohttp.ClientSession) -> None:
    """Whether a real organisation takes `meeting` is unknown, so the stand-in can do both."""
    await session.post("/__sandbox/switches", json={"meeting_webhooks": "allow"})
    assert (await _create(session, **{**GOOD, "resource": "meeting"}))[0] == 201


async def test_plain_http_is_taken_for_this_machine_only(session: aiohttp.ClientSession) -> None:
    """The sandbox has no certificate, so loopback addresses need none."""
    assert (await _create(session, **{**GOOD, "url": "http://127.0.0.1:7071/api"}))[0] == 201
    assert (await _create(session, **{**GOOD, "url": "http://127.0.0.1.example.com/"}))[0] == 422


async def test_any_update_ends_being_disabled(session: aiohttp.ClientSession) -> None:
    """A disabled webhook is on again after an update of whatever attribute."""
    _, created = await _create(session, **GOOD)
    number = created["data"]["id"]
    disabled = {"disabledReason": "errors", "disabledSince": "2026-01-01", "disabledUntil": "2026-01-02"}
    await session.post("/__sandbox/update", json={"collection": "webhooks", "id": number, "attributes": disabled})
    assert (await _send(session, "GET", f"webhooks/{number}"))[1]["data"]["attributes"]["disabledReason"] == "errors"
    document = {"data": {"type": "webhook", "id": number, "attributes": {"active": True}}}
    status, body = await _send(session, "PATCH", f"webhooks/{number}", document)
    assert status == 200
    assert [body["data"]["attributes"][name] for name in disabled] == [None, None, None]
    assert body["data"]["attributes"]["secret"] == "s"


async def test_an_update_is_checked_and_needs_its_id(session: aiohttp.ClientSession) -> None:
    """A wrong value or another id changes nothing."""
    _, created = await _create(session, **GOOD)
    number = created["data"]["id"]
    for data in ({"id": number, "attributes": {"url": ""}}, {"id": number + 1, "attributes": {}}):
        status, _ = await _send(session, "PATCH", f"webhooks/{number}", {"data": {"type": "webhook", **data}})
        assert status == 422
    assert (await _send(session, "GET", f"webhooks/{number}"))[1]["data"]["attributes"]["url"] == GOOD["url"]


@pytest.mark.parametrize("document", [None, [], {}, {"data": []}])
async def test_what_is_no_document_is_400(session: aiohttp.ClientSession, document: Any) -> None:
    """A body without data is refused before its content is looked at."""
    assert (await _send(session, "POST", "webhooks", document))[0] == 400


async def test_the_wrong_type_is_422(session: aiohttp.ClientSession) -> None:
    """The type of the document must be webhook."""
    status, body = await _send(session, "POST", "webhooks", {"data": {"type": "hook", "attributes": GOOD}})
    assert (status, body["errors"][0]["source"]["pointer"]) == (422, "/data/type")

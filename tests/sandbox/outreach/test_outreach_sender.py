"""Deliveries and the sender: what goes over the wire, and how Outreach's patience is imitated."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.child import free_port
from sandbox.outreach.deliveries import Delivery, Form, MeetingScript, Target, delivery_of
from sandbox.outreach.sender import ATTEMPTS, Sender, headers, signature
from tests.patience import PATIENCE

RECORDED = Path(__file__).parents[4] / "shared" / "reference" / "data" / "outreach" / "webhooks"
SECRET = "a secret"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def receiving(answer: Answer) -> AsyncIterator[str]:
    """An HTTP server that answers every POST with `answer`; yields its address."""
    app = web.Application()
    app.router.add_post("/hook", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/hook"))


async def no_sleep(_seconds: float) -> None:
    """Let no time pass."""


def test_a_booking_is_written_flat_with_integer_ids() -> None:
    """The default form is the one recorded from webhooks; a relationship's type is its own name."""
    document = MeetingScript(5).booked(title="Intro", booker=2, prospects=(101, 104), opportunity=301).document
    assert (document["data"]["type"], document["data"]["id"]) == ("meeting", 5)
    assert document["meta"]["eventName"] == "meeting.created"
    relationships = document["data"]["relationships"]
    assert relationships["user"] == {"type": "user", "id": 1}
    assert relationships["booker"] == {"type": "booker", "id": 2}
    assert relationships["prospects"] == [{"type": "prospect", "id": 101}, {"type": "prospect", "id": 104}]
    assert relationships["prospect"] == {"type": "prospect", "id": 101}
    assert relationships["opportunity"] == {"type": "opportunity", "id": 301}


def test_the_wrapped_form_has_data_and_can_have_text_ids() -> None:
    """The form of the REST API wraps each relationship, the list too."""
    script = MeetingScript(5, form=Form(relationships="wrapped", ids="text"))
    relationships = script.booked(prospects=(101,), booker=None).document["data"]["relationships"]
    assert relationships["user"] == {"data": {"type": "user", "id": "1"}}
    assert relationships["prospects"] == {"data": [{"type": "prospect", "id": "101"}]}
    assert "booker" not in relationships


def test_a_booker_who_is_a_prospect_can_be_told_from_a_user() -> None:
    """Somebody who books by link is a prospect, in either form."""
    for form in (Form(), Form(relationships="wrapped")):
        relationships = (
            MeetingScript(5, form=form).booked(booker=Target("prospect", 101)).document["data"]["relationships"]
        )
        assert "prospect" in json.dumps(relationships["booker"])


def test_a_change_carries_only_what_changed() -> None:
    """An update names the changed attributes, the stamp, and nothing else."""
    script = MeetingScript(5)
    script.booked()
    data = script.changed(title="Other").document["data"]
    assert set(data["attributes"]) == {"title", "updatedAt"}
    assert data["relationships"] == {}


def test_stamps_grow_with_every_event() -> None:
    """Stamps updatedAt and deliveredAt rise strictly, and the delivery is later than the change."""
    script = MeetingScript(5)
    documents = [made.document for made in (script.booked(), script.changed(title="A"), script.completed())]
    updated = [datetime.fromisoformat(one["data"]["attributes"]["updatedAt"]) for one in documents]
    delivered = [datetime.fromisoformat(one["meta"]["deliveredAt"]) for one in documents]
    assert updated == sorted(set(updated))
    assert all(change < delivery for change, delivery in zip(updated, delivered, strict=True))


def test_a_deletion_carries_the_last_full_set() -> None:
    """A destroyed event has every attribute and relationship as they were last."""
    script = MeetingScript(5)
    script.booked(title="First")
    script.changed(title="Last")
    data = script.destroyed().document["data"]
    assert data["attributes"]["title"] == "Last"
    assert {"startTime", "endTime", "bookedAt"} <= set(data["attributes"])
    assert data["relationships"]["user"] == {"type": "user", "id": 1}


def test_a_reschedule_moves_start_and_end() -> None:
    """Both times move; without an end the meeting lasts half an hour."""
    script = MeetingScript(5)
    script.booked()
    moved = script.rescheduled(datetime(2026, 4, 1, 9, tzinfo=UTC)).document["data"]["attributes"]
    assert (moved["startTime"], moved["endTime"]) == ("2026-04-01T09:00:00.000Z", "2026-04-01T09:30:00.000Z")


def test_payload_version_two_adds_the_old_values() -> None:
    """The member beforeUpdate holds what the changed attributes were."""
    script = MeetingScript(5, form=Form(payload_version=2))
    script.booked(title="Before")
    assert script.changed(title="After").document["data"]["beforeUpdate"] == {"title": "Before"}


def test_a_calendar_event_names_its_meeting() -> None:
    """A calendar event's booking points at the meeting that it is a copy of."""
    script = MeetingScript(17, resource="calendarEvent", meeting=5)
    document = script.booked().document
    assert document["meta"]["eventName"] == "calendarEvent.created"
    assert document["data"]["relationships"]["meeting"] == {"type": "meeting", "id": 5}


def test_null_clears_a_relationship_in_either_form() -> None:
    """Recorded: a cleared relationship is `{"id": null}`; wrapped, it is `{"data": null}`."""
    flat = MeetingScript(5).changed(relationships={"opportunity": None}).document["data"]["relationships"]
    script = MeetingScript(5, form=Form(relationships="wrapped"))
    wrapped = script.changed(relationships={"opportunity": None}).document["data"]["relationships"]
    assert (flat, wrapped) == ({"opportunity": {"id": None}}, {"opportunity": {"data": None}})


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded deliveries are not beside this checkout")
def test_scripts_have_the_shape_of_recorded_deliveries() -> None:
    """Members, id type, relationship form and time format are those of what was recorded."""

    def shape(document: dict[str, Any]) -> tuple[Any, ...]:
        data, meta = document["data"], document["meta"]
        return set(document), set(data), set(meta), type(data["id"])

    recorded = json.loads((RECORDED / "prospect-created.json").read_text())
    made = MeetingScript(5).booked().document
    assert shape(made) == shape(recorded)
    owner = recorded["data"]["relationships"]["owner"]
    booker = made["data"]["relationships"]["booker"]
    assert (set(booker), owner["type"], booker["type"]) == (set(owner), "owner", "booker")
    assert len(made["data"]["attributes"]["updatedAt"]) == len(recorded["data"]["attributes"]["updatedAt"])
    assert len(made["meta"]["deliveredAt"]) == len(recorded["meta"]["deliveredAt"])


async def test_a_delivery_arrives_signed_with_every_header_seen() -> None:
    """The signature fits the very bytes that arrive, and the other headers are there."""
    arrived: list[tuple[bytes, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        arrived.append((await request.read(), {name.lower(): value for name, value in request.headers.items()}))
        return web.json_response({"status": "accepted", "correlationId": "c" * 32}, status=202)

    delivery = MeetingScript(5).booked(title="Größe, 日本")
    async with receiving(answer) as url, Sender(url, secret=SECRET) as sender:
        sent = await sender.send(delivery)
    assert (sent.status, sent.attempts, sent.correlation_id) == (202, 1, "c" * 32)
    ((body, got),) = arrived
    assert body == delivery.body
    assert got["outreach-webhook-signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert got["outreach-webhook-event-id"] == delivery.event_id
    assert got["outreach-webhook-cleanup-token"]
    assert got["content-type"] == "application/vnd.api+json"


@pytest.mark.parametrize("status", [200, 302, 401, 429, 500, 503])
async def test_every_http_answer_counts_as_delivered(status: int) -> None:
    """No status is tried again, and a redirect is not followed."""
    calls = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(status=status, headers={"Location": "/hook"})

    async with receiving(answer) as url, Sender(url, secret=SECRET, sleep=no_sleep) as sender:
        sent = await sender.send(MeetingScript(5).booked())
    assert (sent.status, sent.delivered, calls) == (status, True, 1)


async def test_network_failures_are_tried_four_times_a_second_apart() -> None:
    """Where nobody listens, Outreach tries four times and then gives up."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with Sender(f"http://127.0.0.1:{free_port()}/hook", secret=SECRET, sleep=sleep) as sender:
        sent = await sender.send(MeetingScript(5).booked())
    assert (sent.status, sent.delivered, sent.attempts) == (None, False, ATTEMPTS)
    assert waits == [1.0, 1.0, 1.0]


async def test_a_later_attempt_can_succeed() -> None:
    """A connection that breaks twice is delivered the third time, with the same event id."""
    ids: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        ids.append(request.headers["outreach-webhook-event-id"])
        if len(ids) < 3 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=202)

    async with receiving(answer) as url, Sender(url, secret=SECRET, sleep=no_sleep) as sender:
        sent = await sender.send(MeetingScript(5).booked())
    assert (sent.status, sent.attempts) == (202, 3)
    assert len(set(ids)) == 1


async def test_an_answer_that_takes_too_long_is_no_answer() -> None:
    """After its patience is over the sender tries again."""
    given_up, release = asyncio.Event(), asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        if not given_up.is_set():
            await release.wait()
        return web.Response(status=202)

    async def sleep(_seconds: float) -> None:
        given_up.set()
        sender._timeout_seconds = PATIENCE  # only the first attempt is to run out of time

    async with receiving(answer) as url, Sender(url, secret=SECRET, timeout_seconds=0.2, sleep=sleep) as sender:
        sent = await sender.send(MeetingScript(5).booked())
        release.set()
    assert (sent.status, sent.attempts) == (202, 2)


async def test_silence_may_hide_a_delivery_that_arrived() -> None:
    """Who connects and hears nothing does not know what became of it; who finds no connection does."""

    async def answer(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=202)

    async with receiving(answer) as url, Sender(url, secret=SECRET, sleep=no_sleep) as sender:
        silent = await sender.send(MeetingScript(5).booked())
    async with Sender(f"http://127.0.0.1:{free_port()}/hook", secret=SECRET, sleep=no_sleep) as sender:
        refused = await sender.send(MeetingScript(5).booked())
    assert (silent.status, silent.arrived) == (None, True)
    assert (refused.status, refused.arrived) == (None, False)


async def test_another_secret_makes_another_signature() -> None:
    """A test can sign wrongly on purpose."""
    delivery = MeetingScript(5).booked()
    assert headers(delivery, secret="one") != headers(delivery, secret="two")
    assert signature(b"", "key") == hmac.new(b"key", b"", hashlib.sha256).hexdigest()


def test_any_recorded_document_can_be_sent() -> None:
    """A delivery is made of whatever JSON there is; what it tells of is read from its meta."""
    assert delivery_of({"meta": {"eventName": "task.completed"}}).event_name == "task.completed"
    assert delivery_of({"data": 1}).event_name == "unknown"


def test_two_deliveries_have_different_event_ids() -> None:
    """Every delivery has an id of its own; sending one object twice sends one id twice."""
    script = MeetingScript(5, step=timedelta(seconds=1))
    first: Delivery = script.booked()
    assert first.event_id != script.changed(title="A").event_id

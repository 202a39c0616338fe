"""Forgetting a person or a meeting: everything here that mentions them, nothing else, and nothing in Dynamics."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import cast

import pytest

from sandbox.outreach.deliveries import MeetingScript
from shared.admin.erase import Subject
from shared.errors import BadDelivery
from shared.meeting.delivery import Reference
from shared.meeting.identity import MeetingKey
from shared.pipeline.signature import sign
from shared.runtime import new_trace
from shared.storage import dead_letters, journal, meetings, overflow, people_cache, unverified
from shared.storage.documents import unpack_bytes
from shared.storage.envelope import Envelope
from tests.product.bench import Installation

TABLES = [module.TABLE for module in (meetings, journal, dead_letters, overflow, unverified, people_cache)]


async def everything(product: Installation) -> str:
    """All that lies in the tables, as text."""
    texts = []
    for name in TABLES:
        for row in await product.runtime._table(name).query("PartitionKey ne @none", {"none": ""}, limit=1000):
            texts.append(json.dumps({key: value for key, value in row.items() if isinstance(value, str)}))
            if "data00" in row:
                texts.append(unpack_bytes(row).decode())
    return "\n".join(texts)


async def filled(product: Installation) -> None:
    """Two people, each in a meeting, a dead letter, the overflow table and a delivery that is not verified."""
    for prospect in (101, 102):
        await product.sync(MeetingScript(prospect).booked(title=f"With {prospect}", prospects=(prospect,)))
        await product.sync(
            MeetingScript(prospect + 1000).booked(prospects=(prospect,), title=cast("str", {"no": "text"}))
        )
        body = MeetingScript(prospect + 2000).booked(prospects=(prospect,))
        at = f"2026-03-02T12:00:00.{prospect:06}Z"
        envelope = Envelope(correlation_id=f"{prospect:032x}", received_at=at, body=body.document)
        await product.runtime.overflow.keep(envelope)
        headers = {"outreach-webhook-signature": sign(body.body, "another secret")}
        with pytest.raises(BadDelivery):
            await product.runtime.ingest.receive(body.body, headers=headers, trace=new_trace())


@pytest.mark.parametrize(
    "content",
    [
        {"type": "prospect", "id": 101},
        {"data": {"relationships": {"prospects": {"data": [{"type": "prospect", "id": "101"}]}}}},
        {"data": {"relationships": {"prospects": [101, 102]}}},
        {"attributes": {"prospect_ids": [100, 101]}},
        {"prospectId": "101"},
        {"invited": {"prospect:101": "contact:1"}},
        {"notes": '["prospect 101 is nobody in Dynamics; left out."]'},
        {"description": "Call ANN@example.com, please."},
        "<ann@example.com>",
    ],
)
def test_a_mention_is_found(content: object) -> None:
    """By the id of the record in any form, or by the address."""
    who = Subject(frozenset({Reference("prospect", "101")}), frozenset({"ann@example.com"}))
    assert who.is_in(content)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "user", "id": 101},
        {"type": "prospect", "id": 1011},
        {"user": {"type": "user", "id": 101}, "number": 101, "title": "101"},
        {"invited": {"prospect:1011": ""}, "notes": "prospect 1010"},
        "joann@example.com, ann@example.com.au, ann@example.community",
        {"is": True, "none": None, "nested": [[], {}]},
    ],
)
def test_others_are_none(content: object) -> None:
    """Neither another record with that number, nor an address that only holds it."""
    who = Subject(frozenset({Reference("prospect", "101")}), frozenset({"ann@example.com"}))
    assert not who.is_in(content)
    assert not Subject().is_in(content)


@pytest.mark.parametrize("by", ["prospect", "address"])
async def test_a_person_is_forgotten_and_nobody_else(product: Installation, by: str) -> None:
    """From every table; a look changes nothing; appointments stay, and a late event finds its own."""
    await filled(product)
    people = await product.runtime._table(people_cache.TABLE).query(
        "PartitionKey eq @who", {"who": "prospect:101"}, limit=1
    )
    address = people[0]["email"]
    assert address
    eraser = product.runtime.eraser
    who = await (eraser.person(prospect="101") if by == "prospect" else eraser.person(address=address.upper()))
    before = await everything(product)
    looked = await eraser.look(who)
    assert await everything(product) == before
    assert set(looked.appointments) == {"meeting:101", "meeting:1101"} & set(looked.appointments) | {"meeting:101"}
    assert all(
        looked.rows[name] >= 1 for name in (dead_letters.TABLE, overflow.TABLE, unverified.TABLE, people_cache.TABLE)
    )
    assert await eraser.erase(who) == looked
    left = await everything(product)
    assert address.lower() not in left.lower()
    assert "With 101" not in left
    assert "With 102" in left
    assert not (await eraser.look(who)).anything
    assert (await eraser.look(await eraser.person(prospect="102"))).rows == looked.rows
    late = MeetingScript(101, now=product.runtime._now() - timedelta(hours=1)).changed(title="Late")
    assert (await product.sync(late))["outcome"] == "updated"
    assert len(product.crm.appointments) == 2


async def test_a_meeting_is_forgotten_with_all_its_records(product: Installation) -> None:
    """By whichever of its names; its ids stay."""
    script = MeetingScript(17, resource="calendarEvent", meeting=5)
    await product.sync(script.booked(title="Secret"))
    await product.sync(MeetingScript(6).booked(title="Other"))
    eraser = product.runtime.eraser
    found = await eraser.erase(await eraser.meeting("calendarEvent:17"))
    assert "meeting:5" in found.appointments
    left = await everything(product)
    assert "Secret" not in left
    assert "Other" in left
    stored = await product.runtime.meetings.load(MeetingKey("meeting", "5"))
    assert stored.meeting is not None
    assert stored.meeting.mirror.appointment_id == found.appointments["meeting:5"]
    assert (await product.sync(script.changed(title="Late")))["outcome"] == "updated"
    assert len(product.crm.appointments) == 2

"""What webhooks missed, from the events API: found once, caught up in steps, never lost between two looks."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.store import Switches
from shared.meeting.mapping import Resource
from shared.pipeline import missed
from shared.pipeline.missed import _query as real_query
from shared.pipeline.sweep import Counts, Swept
from tests.outreach.samples import mapping_file
from tests.outreach.support import add_event
from tests.product.bench import Installation, installation

MEETING_HELD = "meeting_held"


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames, tmp_path: Path) -> Any:
    """A fresh installation that reads the events API."""
    settings = {"MAPPING_FILE": mapping_file(tmp_path, "event")}
    async with installation(azurite, storage_names.queue("events"), **settings) as made:
        yield made


def at(product: Installation, **ago: float) -> str:
    """A time before the product's now, as Outreach writes it."""
    moment = datetime.now(UTC) + product.runtime.later - timedelta(**ago)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def look(product: Installation, **later: float) -> Counts:
    """Let time pass, run the sweep, and return what the part for missed events counts."""
    product.runtime.later += timedelta(**later)
    swept: Swept = await product.runtime.sweep.run()
    assert not swept.failed
    return swept.counts.get("missed", {})


async def test_off_by_default(azurite: str, storage_names: StorageNames) -> None:
    """Without the resource in the mapping file nobody asks for events."""
    async with installation(azurite, storage_names.queue("events")) as product:
        add_event(product.outreach, 1, MEETING_HELD, at=at(product), payload={"meeting_id": 1})
        assert not await look(product)
        assert product.outreach.log.total == 0


async def test_missed_completion(product: Installation) -> None:
    """A meeting whose webhook never came is completed by the entry that it was held, with a journal of its own."""
    await product.sync(MeetingScript(1).booked())
    add_event(product.outreach, 77, MEETING_HELD, at=at(product, minutes=1), payload={"meeting_id": 1})
    assert await look(product) == {"read": 1, "sent": 1, "left_out": 0, "unreadable": 0}
    await product.work()
    assert product.appointment.values["statecode"] == 1
    state = await product.meeting("1")
    assert state is not None
    assert state["recent"][0]["event"] == "event.meeting_held"
    entry = await product.correlation(state["recent"][0]["correlationId"])
    assert entry is not None
    assert (entry["eventId"], entry["outcome"]) == ("event-77", "updated")


async def test_meeting_known_by_its_calendar_event(product: Installation) -> None:
    """An entry that names the calendar event only reaches the meeting that it belongs to."""
    await product.sync(MeetingScript(17, resource="calendarEvent", meeting=5).booked())
    add_event(product.outreach, 1, MEETING_HELD, at=at(product), payload={"calendar_event_id": 17})
    await look(product)
    await product.work()
    assert product.appointment.values["statecode"] == 1


async def test_missed_booking(product: Installation) -> None:
    """A meeting that no webhook told of is booked from the payload, where that says enough."""
    payload = {
        "calendar_event": {
            "id": 17,
            "meeting_id": 5,
            "title": "From the payload",
            "start_time": "2026-03-05T15:00:00Z",
            "end_time": "2026-03-05T15:30:00Z",
            "prospect_ids": [101],
            "user_id": 1,
        }
    }
    add_event(product.outreach, 1, "calendar_event_created_outbound", at=at(product), payload=payload)
    await look(product)
    await product.work()
    assert product.appointment.values["subject"] == "From the payload"


async def test_nothing_is_sent_twice(product: Installation) -> None:
    """The looks overlap, and an entry that appears late is still found; none goes into the queue a second time."""
    add_event(product.outreach, 1, MEETING_HELD, at=at(product, seconds=30), payload={"meeting_id": 1})
    assert (await look(product))["sent"] == 1
    add_event(product.outreach, 2, MEETING_HELD, at=at(product, minutes=8), payload={"meeting_id": 2})
    counts = await look(product, minutes=6)
    assert (counts["read"], counts["sent"]) == (2, 1)
    assert (await look(product, minutes=6))["sent"] == 0
    assert await product.work() == 2


async def test_rests_between_two_looks(product: Installation) -> None:
    """Events are asked for every five minutes and not at every run."""
    await look(product)
    before = product.outreach.log.total
    assert await look(product, minutes=1) == {}
    assert product.outreach.log.total == before
    assert await look(product, minutes=5) != {}


async def test_long_absence_is_caught_up_in_steps(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day's stop a bounded part is read per look, oldest first, until nothing is left."""
    monkeypatch.setattr(missed, "PAGE_SIZE", 3)
    monkeypatch.setattr(missed, "MAX_PAGES", 2)
    await look(product)
    product.runtime.later += timedelta(days=1)
    for number in range(15):
        minutes = 60 * (20 - number)
        add_event(
            product.outreach, number, MEETING_HELD, at=at(product, minutes=minutes), payload={"meeting_id": number}
        )
    sent = [(await look(product, minutes=5))["sent"] for _ in range(4)]
    assert sent == [6, 5, 4, 0]  # every look but the first begins with the last entry of the one before
    assert await product.work() == 15


async def test_a_burst_larger_than_a_look(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """More entries in a minute than one look reads do not keep it from going on."""
    await look(product)
    monkeypatch.setattr(missed, "PAGE_SIZE", 3)
    monkeypatch.setattr(missed, "MAX_PAGES", 2)
    for number in range(20):
        add_event(
            product.outreach, number, MEETING_HELD, at=at(product, seconds=60 - number), payload={"meeting_id": 1}
        )
    sent = [(await look(product, minutes=5))["sent"] for _ in range(6)]
    assert sum(sent) == 20
    assert sent[-1] == 0


async def test_a_burst_within_one_second(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """More entries with the very same time than one look reads do not keep it from going on either."""
    await look(product)
    monkeypatch.setattr(missed, "PAGE_SIZE", 3)
    monkeypatch.setattr(missed, "MAX_PAGES", 2)
    moment = at(product, seconds=60)
    for number in range(20):
        add_event(product.outreach, number, MEETING_HELD, at=moment, payload={"meeting_id": 1})
    add_event(product.outreach, 20, MEETING_HELD, at=at(product, seconds=30), payload={"meeting_id": 1})
    sent = [(await look(product, minutes=5))["sent"] for _ in range(4)]
    assert sum(sent) == 21
    assert sent[-1] == 0


async def test_a_crash_between_queue_and_mark(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent but not marked is sent again, which changes nothing in Dynamics."""
    await product.sync(MeetingScript(1).booked())
    await look(product)
    add_event(product.outreach, 1, MEETING_HELD, at=at(product), payload={"meeting_id": 1})
    with monkeypatch.context() as broken:
        broken.setattr(product.runtime._checkpoints, "put", refuse)
        with pytest.raises(RuntimeError):
            await product.runtime._missed.run()
    assert (await product.runtime._missed.run())["sent"] == 1
    writes = len(product.writes())
    assert await product.work() == 2
    assert len(product.writes()) == writes + 1


async def refuse(*_: object) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    "broken",
    [{"name": None}, {"createdAt": None}, {"createdAt": "yesterday"}, {"name": 5}],
    ids=["no name", "no time", "a wrong time", "a wrong name"],
)
async def test_unreadable_entries(
    product: Installation, broken: dict[str, Any], monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry that cannot be read is counted and told, and stops no other."""
    good = {"name": MEETING_HELD, "createdAt": at(product), "eventAt": at(product), "payload": {"meeting_id": 1}}

    async def pages(*_: object, **__: object) -> Any:
        yield [{"id": 1, "attributes": good | broken}, {"id": None, "attributes": good}, {"id": 2, "attributes": good}]

    monkeypatch.setattr(product.runtime._missed._outreach, "pages", pages)
    assert await product.runtime._missed.run() == {"read": 3, "sent": 1, "left_out": 0, "unreadable": 2}
    assert len([text for text in caplog.messages if "entry_not_taken" in text]) == 2


async def test_a_look_full_of_what_cannot_be_read(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that make no sense are gone past, however many they are."""
    monkeypatch.setattr(missed, "PAGE_SIZE", 3)
    monkeypatch.setattr(missed, "MAX_PAGES", 1)
    monkeypatch.setattr(missed, "_query", _query_for_any_name)
    for number in range(1, 7):
        add_event(product.outreach, number, 5, at=at(product, minutes=20 - number))
    add_event(product.outreach, 9, MEETING_HELD, at=at(product, minutes=1), payload={"meeting_id": 1})
    counts = [await look(product, minutes=5) for _ in range(5)]
    assert sum(one["unreadable"] for one in counts) == 6
    assert sum(one["sent"] for one in counts) == 1


def _query_for_any_name(rule: Resource, *, start: datetime) -> dict[str, str]:
    query = real_query(rule, start=start)
    return {name: value for name, value in query.items() if name != "filter[name]"}


@pytest.mark.parametrize("form", ["object", "text"])
async def test_half_an_emoji(product: Installation, form: str) -> None:
    """Text that was cut in the middle of a character is carried out; the character is lost and nothing else."""
    content = {"meeting_id": 1, "title": "Call \ud83d"}
    payload = content if form == "object" else json.dumps(content)
    await product.sync(MeetingScript(1).booked())
    add_event(product.outreach, 1, "calendar_event_updated", at=at(product, minutes=2), payload=payload)
    add_event(product.outreach, 2, MEETING_HELD, at=at(product, minutes=1), payload={"meeting_id": 1})
    assert (await look(product))["sent"] == 2
    await product.work()
    assert product.appointment.values["subject"] == "Call \ufffd"
    assert product.appointment.values["statecode"] == 1


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_entry_that_nothing_can_hold(product: Installation, caplog: pytest.LogCaptureFixture) -> None:
    """An entry larger than a table row is reported by its id, stops no other, and is not asked for for ever."""
    noise = secrets.token_hex(1_500_000)  # it cannot be made smaller than a row is
    add_event(product.outreach, 1, MEETING_HELD, at=at(product, minutes=2), payload={"meeting_id": 1, "body": noise})
    add_event(product.outreach, 2, MEETING_HELD, at=at(product, minutes=1), payload={"meeting_id": 2})
    assert await look(product) == {"read": 2, "sent": 1, "left_out": 0, "unreadable": 1}
    (logged,) = (json.loads(text) for text in caplog.messages if "entry_not_taken" in text)
    assert logged["entry"] == "1"
    assert noise not in caplog.text
    assert (await look(product, minutes=5))["unreadable"] == 0


async def test_stamps_from_the_future_do_not_move_the_mark(product: Installation) -> None:
    """An entry dated next year is taken, and the ones of today are found all the same."""
    add_event(product.outreach, 1, MEETING_HELD, at=at(product, days=-365), payload={"meeting_id": 1})
    assert (await look(product))["sent"] == 1
    add_event(product.outreach, 2, MEETING_HELD, at=at(product), payload={"meeting_id": 2})
    assert (await look(product, minutes=6))["sent"] == 1


async def test_large_entry_goes_by_the_overflow_table(product: Installation) -> None:
    """An entry too large for a queue message is carried out as well."""
    payload = {"meeting_id": 1, "description": "d" * 60_000}
    await product.sync(MeetingScript(1).booked())
    add_event(product.outreach, 1, "calendar_event_updated", at=at(product), payload=payload)
    assert (await look(product))["sent"] == 1
    await product.work()
    assert len(str(product.appointment.values["description"])) == 60_000
    assert await product.runtime.overflow.depth(limit=10) == 0


@pytest.mark.parametrize("trouble", ["scope", "allowance", "down", "gone"])
async def test_trouble_at_outreach(product: Installation, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    """The part says what is wrong, the other parts run, and the next look finds everything."""
    add_event(product.outreach, 1, MEETING_HELD, at=at(product), payload={"meeting_id": 1})
    if trouble == "scope":
        product.outreach.switches = Switches(missing_scopes=frozenset({"events.read"}))
    elif trouble == "allowance":
        product.outreach.switches = Switches(rate_limit=4)
        for number in "123":
            await product.runtime.outreach.get("user", number)
    else:
        kind = {"down": "500", "gone": "404"}[trouble]
        product.outreach.faults = FaultPlan.parse({"next": [{"kind": kind, "path": "/api/v2/events"}]})
    swept = await product.runtime.sweep.run()
    assert set(swept.failed) == {"missed"}
    assert "retention" in swept.counts
    lines = [json.loads(text) for text in caplog.messages if "sweep_failed" in text]
    assert [line["part"] for line in lines] == ["missed"]
    product.outreach.switches = Switches()
    assert (await look(product, minutes=70))["sent"] == 1

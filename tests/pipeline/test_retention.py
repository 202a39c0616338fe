"""Rows that were kept long enough go, a piece per run, and nothing else does."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.outreach.deliveries import MeetingScript
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.mirror import UNKNOWN_VERSION, Mirror
from shared.pipeline import retention
from shared.pipeline.retention import Kept, Retention
from shared.storage import journal, meetings, overflow, people_cache, statistics
from shared.storage.account import Table
from shared.storage.checkpoints import Checkpoints
from shared.storage.documents import unpack
from shared.storage.envelope import Envelope
from shared.timestamps import sortable
from tests.clock import Clock
from tests.product.bench import Installation

Tables = Callable[[str], Table]


async def fill(table: Table, clock: Clock, *, rows: int, days: float) -> None:
    """`rows` rows that are `days` old, each in a partition of its own."""
    at = sortable(clock.now() - timedelta(days=days))
    for number in range(rows):
        await table.put({"PartitionKey": f"{days}-{number:03}", "RowKey": "row", "finished_at": at})


async def left(table: Table) -> int:
    return len(await table.query("PartitionKey ne @none", {"none": ""}, limit=1000))


def made(tables: Tables, clock: Clock) -> Retention:
    kept = Kept("journal", tables("journal"), "finished_at", timedelta(days=90))
    return Retention((kept,), checkpoints=Checkpoints(tables("sweep")), now=clock.now)


async def test_old_rows_go(tables: Tables, clock: Clock) -> None:
    """Rows older than the limit are deleted and younger ones stay."""
    await fill(tables("journal"), clock, rows=5, days=90.5)
    await fill(tables("journal"), clock, rows=4, days=89.5)
    assert await made(tables, clock).run() == {"journal": 5}
    assert await left(tables("journal")) == 4


async def test_a_bounded_piece_per_run(tables: Tables, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks through a few pages, and the next one goes on where it stopped, in another process too."""
    monkeypatch.setattr(retention, "PAGE_SIZE", 3)
    monkeypatch.setattr(retention, "MAX_PAGES", 2)
    await fill(tables("journal"), clock, rows=14, days=100)
    deleted = [(await made(tables, clock).run())["journal"] for _ in range(4)]
    assert deleted == [6, 6, 2, 0]
    assert await left(tables("journal")) == 0


async def test_one_pass_a_day(tables: Tables, clock: Clock) -> None:
    """After the end of the table the part rests for a day."""
    worker = made(tables, clock)
    await worker.run()
    await fill(tables("journal"), clock, rows=2, days=100)
    clock.pass_by(hours=23)
    assert await worker.run() == {"journal": 0}
    clock.pass_by(hours=2)
    assert await worker.run() == {"journal": 2}


async def test_table_that_is_not_there(tables: Tables, clock: Clock) -> None:
    """Before the first event there is nothing to forget."""
    assert await made(tables, clock).run() == {"journal": 0}


@pytest.mark.parametrize("name", [journal.TABLE, statistics.TABLE, people_cache.TABLE])
async def test_nothing_grows_for_ever(product: Installation, name: str) -> None:
    """Whatever gets a row with every event or person loses it again: journal, sums of the chart, people."""
    await product.sync(MeetingScript(1).booked())
    await product.restart()  # a process that ends stores its sums
    rows = product.runtime._table(name)
    before = await left(rows)
    product.runtime.later = timedelta(days=89)
    await product.runtime.sweep.run()
    assert await left(rows) == before > 0
    product.runtime.later = timedelta(days=93)
    await product.runtime.sweep.run()
    assert await left(rows) == 0


async def test_a_dead_letter_waits_for_a_person_and_then_expires(
    product: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """For as long as the journal after its last failure; a line, the journal and its meeting's time line say so."""
    (sent,) = await product.send(MeetingScript(1).changed(title={"of": "the wrong type"}))
    await product.work()
    product.runtime.later = timedelta(days=89)
    await product.runtime.sweep.run()
    assert len(await product.runtime.dead_letters.newest(limit=10)) == 1
    product.runtime.later = timedelta(days=91)
    with caplog.at_level(logging.WARNING):
        swept = await product.runtime.sweep.run()
    assert not swept.failed
    assert swept.counts["retention"]["deadletters"] == 1
    assert await product.runtime.dead_letters.newest(limit=10) == []
    told = [json.loads(one.getMessage()) for one in caplog.records if '"expired"' in one.getMessage()]
    assert [one["correlation_id"] for one in told] == [sent.correlation_id]
    assert (await product.journal(sent))["outcome"] == "expired"
    assert [one["outcome"] for one in (await product.meeting("1"))["recent"]] == ["expired"]


async def test_what_lies_in_the_overflow_table_is_not_kept_for_ever(product: Installation) -> None:
    """One that nobody can read makes its dead letter anew each day, and goes all the same."""
    body = MeetingScript(1).booked().document
    at = sortable(product.runtime._now())
    await product.runtime.overflow.keep(Envelope(correlation_id="1" * 32, received_at=at, body=body))
    table = product.runtime._table(overflow.TABLE)
    (row,) = await table.query("PartitionKey ne @none", {"none": ""}, limit=2)
    await table.put({**row, "data00": b"damaged"})
    for days, there in ((89, 1), (93, 0)):
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        assert await left(table) == there


async def test_a_meeting_is_forgotten_after_its_end(product: Installation) -> None:
    """Its key and its appointment's id stay, and nothing else: the day counts from its end, not from its last event."""
    await product.restart(SYNC_MEETING_RETENTION_DAYS="30")
    end = product.runtime._now() + timedelta(days=10)
    script = MeetingScript(1)
    await product.sync(script.booked(start=end - timedelta(hours=1), end=end))
    for days, remembered in ((39, True), (41, False)):
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        stored = await product.runtime.meetings.load(MeetingKey("meeting", "1"))
        assert stored.meeting is not None
        assert bool(stored.meeting.facts) is remembered
    assert stored.meeting == Meeting(mirror=Mirror(product.appointment.id, UNKNOWN_VERSION))
    rows = await product.runtime._table(meetings.TABLE).query("PartitionKey ne @none", {"none": ""}, limit=9)
    document = unpack(rows[0])
    told = {name: value for name, value in document.items() if value and name != "version"}
    assert told == {"appointment_id": product.appointment.id, "crm_version": UNKNOWN_VERSION}


@pytest.mark.parametrize("closed", [False, True])
async def test_a_late_event_finds_the_forgotten_appointment(product: Installation, closed: bool) -> None:  # noqa: FBT001 - a value under test
    """No second one is made, only what the event names is written, and what people changed stays."""
    script = MeetingScript(1)
    await product.sync(script.booked(), *([script.completed()] if closed else []))
    product.runtime.later = timedelta(days=900)
    assert (await product.runtime.sweep.run()).counts["retention"]["meetings"] == 1
    if not closed:  # Dynamics lets nobody change a closed one
        product.edit(location="moved by a person")
    entry = await product.sync(script.changed(title="Late"))
    assert (entry["outcome"], entry["columns"]) == ("updated", ["subject"])
    assert product.appointment.values["subject"] == "Late"
    assert product.appointment.values["location"] == (None if closed else "moved by a person")
    assert product.appointment.values["statecode"] == (1 if closed else 0)
    assert (await product.sync(script.booked(title="Again")))["outcome"] == "updated"
    assert product.appointment.values["subject"] == "Again"


async def test_a_calendar_event_of_a_forgotten_meeting_finds_it_too(product: Installation) -> None:
    """Which records are one meeting is an id's business, and stays."""
    script = MeetingScript(17, resource="calendarEvent", meeting=5)
    await product.sync(script.booked())
    product.runtime.later = timedelta(days=900)
    await product.runtime.sweep.run()
    late = script.changed(title="Late")
    entry = await product.sync(late)
    assert entry["outcome"] == "updated"
    assert product.appointment.values["subject"] == "Late"


async def test_a_meeting_without_an_end_counts_from_its_last_event(product: Installation) -> None:
    """It was never booked here, and is parked."""
    await product.sync(MeetingScript(1, now=product.runtime._now()).changed(title="No times"))
    for days, remembered in ((399, True), (402, False)):
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        stored = await product.runtime.meetings.load(MeetingKey("meeting", "1"))
        assert stored.meeting is not None
        assert bool(stored.meeting.facts) is remembered
    assert await product.runtime.meetings.parked.count(limit=9) == 0


async def test_a_meeting_with_an_event_under_way_is_remembered(product: Installation) -> None:
    """However long ago it ended: an event that came today waits for Dynamics."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("503", retry_after=0, hold_seconds=0),))
    product.runtime.later = timedelta(days=900)
    await product.send(script.changed(title="Late"))
    await product.work(limit=1)
    await product.runtime.sweep.run()
    product.crm.faults = FaultPlan()
    await product.work()
    assert product.appointment.values["subject"] == "Late"
    stored = await product.runtime.meetings.load(MeetingKey("meeting", "1"))
    assert stored.meeting is not None
    assert stored.meeting.facts


async def test_journal_of_the_product(product: Installation) -> None:
    """With SYNC_RETENTION_DAYS=30 an event's journal is there for 30 days, and its meeting on its own time."""
    await product.restart(SYNC_RETENTION_DAYS="30")
    (receipt,) = await product.send(MeetingScript(1).booked())
    await product.work()
    for days, there in ((29, True), (31, False)):
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        found = await product.correlation(receipt.correlation_id)
        assert (found is not None) is there
    assert await product.meeting("1") is not None

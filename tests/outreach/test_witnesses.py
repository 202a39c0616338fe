"""Recordings and tasks on their whole way: from the webhook to the appointment of the meeting that they tell of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.azurite import StorageNames
from sandbox.outreach.deliveries import MeetingScript
from shared.admin.export import delivery_of
from shared.outreach.events import delivery_body
from tests.outreach.samples import event, mapping_file, recording, task
from tests.product.bench import Installation, installation

OF_CALENDAR_17 = {"calendar_event_id": 17}
OF_MEETING = {"data": {"type": "meeting", "id": 5}}


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames, tmp_path: Path) -> AsyncIterator[Installation]:
    """A fresh installation with every source enabled."""
    settings = {"MAPPING_FILE": mapping_file(tmp_path, "event", "kaiaRecording", "task")}
    async with installation(azurite, storage_names.queue("events"), **settings) as made:
        yield made


def calendar_event() -> MeetingScript:
    return MeetingScript(17, resource="calendarEvent", meeting=5)


async def test_recorded_meeting_is_completed(product: Installation) -> None:
    """A recording of the calendar event completes the meeting's appointment, and its title changes nothing."""
    await product.sync(calendar_event().booked(title="Intro"))
    entry = await product.sync(recording(1))
    assert entry["columns"] == ["statecode"]
    assert product.appointment.values["statecode"] == 1
    assert product.appointment.values["subject"] == "Intro"


async def test_recording_before_the_meeting(product: Installation) -> None:
    """A recording that arrives first waits for its meeting; the appointment is made completed."""
    first = await product.sync(recording(1))
    assert first["outcome"] == "parked"
    await product.sync(calendar_event().booked())
    assert len(product.crm.appointments) == 1
    assert product.appointment.values["statecode"] == 1


async def test_recorded_meeting_stays_completed(product: Installation) -> None:
    """What a recording says is not taken back by a word that only says that the meeting is booked, wherever it is."""
    script = calendar_event()
    await product.sync(script.booked(status="confirmed"), recording(1))
    later = MeetingScript(17, resource="calendarEvent", meeting=5, now=datetime(2026, 4, 1, tzinfo=UTC))
    await product.sync(later.changed(title="Renamed", status="confirmed"))
    await product.sync(delivery_of({"ID": "5", "STATE": "booked", "UPDATED_AT": "2026-05-01 00:00:00"}))
    assert product.appointment.values["subject"] == "Renamed"
    assert product.appointment.values["statecode"] == 1


@pytest.mark.parametrize("where", ["calendarEvent", "meeting"])
async def test_what_webhooks_missed_stays_called_off(product: Installation, where: str) -> None:
    """A cancellation told by the events API is not taken back by a word of the calendar event or of the meeting."""
    await product.restart(SYNC_ON_CANCEL="cancel")
    await product.sync(calendar_event().booked(), delivery_body(event(9, "calendar_event_canceled", OF_CALENDAR_17)))
    later = datetime(2026, 4, 1, tzinfo=UTC)
    script = {
        "calendarEvent": MeetingScript(17, resource="calendarEvent", meeting=5, now=later),
        "meeting": MeetingScript(5, now=later),
    }[where]
    await product.sync(script.changed(title="Renamed", status="confirmed"))
    assert product.appointment.values["subject"] == "Renamed"
    assert product.appointment.values["statecode"] == 2


@pytest.mark.parametrize(("calendar", "state"), [(17, 2), (18, 0)], ids=["the organizer's", "a guest's"])
async def test_what_webhooks_missed_calls_off(product: Installation, calendar: int, state: int) -> None:
    """A cancellation in the events API, later than the webhook, calls the meeting off if it is the organizer's."""
    await product.restart(SYNC_ON_CANCEL="cancel")
    guest = MeetingScript(18, resource="calendarEvent", meeting=5)
    await product.sync(calendar_event().booked(canceled=False), guest.booked(isOrganizer=False))
    entry = delivery_body(event(9, "calendar_event_canceled", {"calendar_event_id": calendar}))
    await product.sync(entry)
    assert product.appointment.values["statecode"] == state


async def test_later_row_of_an_export_calls_off(product: Installation) -> None:
    """A row of an export that is later than all webhooks cancels, although the organizer's calendar had said no."""
    await product.restart(SYNC_ON_CANCEL="cancel")
    await product.sync(calendar_event().booked(canceled=False))
    await product.sync(delivery_of({"ID": "5", "CANCELED": "true", "UPDATED_AT": "2025-06-01 00:00:00"}))
    assert product.appointment.values["statecode"] == 2


async def test_task_about_a_meeting(product: Installation) -> None:
    """`task.completed` names nobody, but the task's earlier event did."""
    script = calendar_event()
    await product.sync(script.booked())
    await product.sync(task(2, "created", subject=OF_MEETING, state="incomplete"))
    assert product.appointment.values["statecode"] == 0
    entry = await product.sync(task(2, "completed"))
    assert (entry["outcome"], entry["columns"]) == ("updated", ["statecode"])
    assert product.appointment.values["statecode"] == 1


async def test_task_about_a_calendar_event(product: Installation) -> None:
    """The meeting is remembered too where the task names a calendar event that is known to be the meeting's."""
    await product.sync(calendar_event().booked())
    await product.sync(task(2, "created", subject={"data": {"type": "calendarEvent", "id": 17}}, state="incomplete"))
    entry = await product.sync(task(2, "completed"))
    assert (entry["outcome"], entry["columns"]) == ("updated", ["statecode"])


async def test_task_about_somebody(product: Installation) -> None:
    """A completed task of which nothing is known is ignored with a reason, and leaves nothing behind."""
    receipts = await product.send(
        task(3, "created", subject={"data": {"type": "prospect", "id": 101}}, state="incomplete"), task(3, "completed")
    )
    assert [receipt.status for receipt in receipts] == ["ignored", "accepted"]
    await product.work()
    entry = await product.journal(receipts[1])
    assert entry["outcome"] == "ignored"
    assert entry["lastError"]["code"] == "unnamed"
    assert await product.runtime.meetings.parked.count(limit=10) == 0
    assert not product.crm.appointments

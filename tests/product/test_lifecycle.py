"""The life of a meeting on real storage: each row of the life cycle, in order, out of order, and again and again."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse import people
from sandbox.dataverse.seed import LEAD_IDS, USER_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target
from tests.product.bench import Installation, installation

OPEN, COMPLETED, CANCELED = (0, 1), (1, 3), (2, 4)


def state(product: Installation) -> tuple[Any, Any]:
    """(statecode, statuscode) of the one appointment."""
    return product.appointment.values["statecode"], product.appointment.values["statuscode"]


async def test_booked(product: Installation) -> None:
    """A booked meeting becomes one open appointment: a look at who is met for the first time, and one write."""
    entry = await product.sync(MeetingScript(1).booked())
    assert entry["outcome"] == "created"
    assert entry["appointmentId"] == product.appointment.id
    assert entry["dataverseRequestId"]
    assert entry["dataverseCalls"] == 2
    assert state(product) == OPEN


async def test_updated_writes_only_what_changed(product: Installation) -> None:
    """An update writes its own column, with one call, and leaves what a person changed elsewhere."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    await product.sync(script.changed(title="First"))
    product.edit(location="A room that somebody found")
    entry = await product.sync(script.changed(title="Second"))
    assert entry["columns"] == ["subject"]
    assert product.appointment.values["subject"] == "Second"
    assert product.appointment.values["location"] == "A room that somebody found"


async def test_rescheduled_moves_the_same_appointment(product: Installation) -> None:
    """A meeting moved in Outreach moves the appointment there is."""
    script = MeetingScript(1)
    first = await product.sync(script.booked())
    later = datetime(2026, 6, 1, 8, tzinfo=UTC)
    entry = await product.sync(script.rescheduled(later))
    assert entry["appointmentId"] == first["appointmentId"]
    assert entry["columns"] == ["scheduledend", "scheduledstart"]
    assert product.appointment.values["scheduledstart"] == "2026-06-01T08:00:00Z"


async def test_completed(product: Installation) -> None:
    """A held meeting is Completed (1, 3), and asking again does nothing."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    await product.sync(script.completed())
    assert state(product) == COMPLETED
    assert (await product.sync(script.completed()))["dataverseCalls"] == 0


async def test_completion_may_be_ignored(azurite: str, storage_names: StorageNames) -> None:
    """With SYNC_ON_COMPLETE=ignore a held meeting stays open."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_COMPLETE="ignore") as product:
        script = MeetingScript(1)
        await product.sync(script.booked(), script.completed())
        assert state(product) == OPEN


@pytest.mark.parametrize("ending", ["canceled", "declined", "destroyed"])
async def test_called_off_stays_in_outreach(product: Installation, ending: str) -> None:
    """Declined, canceled or deleted in Outreach changes nothing in Dynamics by default."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    entry = await product.sync(getattr(script, ending)())
    assert entry["outcome"] == "merged"
    assert entry["dataverseCalls"] == 0
    assert state(product) == OPEN


@pytest.mark.parametrize("ending", ["canceled", "declined", "destroyed"])
async def test_called_off_may_cancel(azurite: str, storage_names: StorageNames, ending: str) -> None:
    """With SYNC_ON_CANCEL=cancel the appointment becomes Canceled (2, 4)."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_CANCEL="cancel") as product:
        script = MeetingScript(1)
        await product.sync(script.booked())
        await product.sync(getattr(script, ending)())
        assert state(product) == CANCELED


async def test_taken_back_cancellation_opens_again(azurite: str, storage_names: StorageNames) -> None:
    """A meeting that is on again is open again."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_CANCEL="cancel") as product:
        script = MeetingScript(1)
        await product.sync(script.booked(), script.canceled(), script.changed(canceled=False))
        assert state(product) == OPEN


def named(delivery: Delivery, event_name: str) -> dict[str, Any]:
    """`delivery` under another event name."""
    document = delivery.document
    document["meta"]["eventName"] = event_name
    return document


async def test_a_word_of_something_else_leaves_a_held_meeting_held(product: Installation) -> None:
    """`confirmed` does not say that a meeting was not held; only what said that it was held can take that back so."""
    script = MeetingScript(1)
    await product.sync(script.booked(status="confirmed"), named(script.changed(), "meeting.completed"))
    assert state(product) == COMPLETED
    await product.sync(script.changed(title="Renamed", status="confirmed"), script.destroyed())
    assert state(product) == COMPLETED


@pytest.mark.parametrize(
    "taken_back", [{"state": "scheduled"}, {"state": None}, {"completed": False}, {"completedAt": None}], ids=str
)
async def test_held_and_then_not_held_after_all(product: Installation, taken_back: dict[str, Any]) -> None:
    """The attribute that said held may say something else later, and a flag or an emptied time may always."""
    script = MeetingScript(1)
    await product.sync(script.booked(state="scheduled"), script.completed())
    assert state(product) == COMPLETED
    await product.sync(script.changed(**taken_back))
    assert state(product) == OPEN


@pytest.mark.parametrize(
    ("ending", "shown", "closed_rows"),
    [
        ("completed", (3, 5), "lenient"),
        ("completed", (0, 2), "strict"),
        ("canceled", (3, 6), "strict_state"),
        ("declined", (3, 5), "lenient"),
        ("held and then called off", (3, 5), "strict"),
    ],
)
async def test_open_again_as_it_was(
    azurite: str,
    storage_names: StorageNames,
    ending: str,
    shown: tuple[int, int],
    closed_rows: Literal["strict", "strict_state", "lenient"],
) -> None:
    """How a person shows the time comes back when Outreach takes back what closed it, whatever happened meanwhile."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_CANCEL="cancel") as product:
        product.crm.switches = replace(product.crm.switches, closed_rows=closed_rows)
        script = MeetingScript(1)
        await product.sync(script.booked())
        product.edit(statecode=shown[0], statuscode=shown[1])
        if ending == "held and then called off":
            await product.sync(script.completed())
            await product.sync(script.canceled())
            assert state(product) == COMPLETED
            await product.sync(script.changed(state="open", completed=False))
            assert state(product) == CANCELED
        else:
            await product.sync(getattr(script, ending)())
            assert state(product) in {COMPLETED, CANCELED}
        await product.sync(script.changed(title="Next"))
        await product.sync(script.changed(state="open", completed=False, canceled=False, declined=False))
        assert state(product) == shown
        assert product.appointment.values["subject"] == "Next"


async def test_open_again_as_it_was_before_the_last_closing(product: Installation) -> None:
    """Shown as busy, held, opened, shown as tentative by a person, held, and opened once more: tentative."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    for shown in ((3, 5), (0, 2)):
        product.edit(statecode=shown[0], statuscode=shown[1])
        await product.sync(script.changed(title=f"Shown as {shown}"))
        entry = await product.sync(script.completed())
        assert entry["dataverseCalls"] == 1  # what stands there is known from the write before
        await product.sync(script.changed(state="open", completed=False))
        assert state(product) == shown


async def test_what_a_person_closed_first_is_not_written_again(product: Installation) -> None:
    """A person has completed it, perhaps with a reason of their own, and Outreach says so too: nothing to write."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.edit(statecode=1, statuscode=3)
    version = product.appointment.version
    await product.sync(script.completed())
    assert (state(product), product.appointment.version) == (COMPLETED, version)
    assert (await product.meeting("1"))["columnsInDoubt"] == []


async def test_one_calendar_does_not_take_back_what_another_said(product: Installation) -> None:
    """The word in a guest's calendar is not that in the organizer's."""
    organizer = MeetingScript(17, resource="calendarEvent", meeting=5)
    guest = MeetingScript(18, resource="calendarEvent", meeting=5)
    await product.sync(organizer.booked(), guest.booked(isOrganizer=False, state="scheduled"))
    await product.sync(organizer.completed())
    await product.sync(guest.changed(title="Renamed"), guest.changed(state="confirmed"))
    assert state(product) == COMPLETED


async def test_a_word_of_something_else_leaves_a_canceled_meeting_canceled(
    azurite: str, storage_names: StorageNames
) -> None:
    """The same for called off: only the attribute that said so, or a flag, brings the meeting back."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_CANCEL="cancel") as product:
        script = MeetingScript(1)
        await product.sync(script.booked(status="confirmed"), script.canceled())
        await product.sync(script.changed(title="Renamed", status="confirmed"))
        assert state(product) == CANCELED
        await product.sync(script.changed(canceled=False), script.changed(status="canceled"))
        assert state(product) == CANCELED
        await product.sync(script.changed(status="confirmed"))
        assert state(product) == OPEN


@pytest.mark.parametrize("closed_rows", ["strict", "strict_state", "lenient"])
async def test_update_after_completion(product: Installation, closed_rows: str) -> None:
    """A change after completion gets in, and the appointment is Completed again afterwards."""
    product.crm.switches = type(product.crm.switches)(closed_rows=closed_rows)  # type: ignore[arg-type]
    script = MeetingScript(1)
    await product.sync(script.booked(), script.completed())
    await product.sync(script.changed(title="Renamed afterwards"))
    assert product.appointment.values["subject"] == "Renamed afterwards"
    assert state(product) == COMPLETED


async def test_completed_by_a_person(product: Installation) -> None:
    """What a person closed in Dynamics stays closed, with their status reason, when Outreach changes a column."""
    product.crm.switches = type(product.crm.switches)(closed_rows="strict")
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.edit(statecode=2, statuscode=4)
    await product.sync(script.changed(title="Renamed"))
    assert product.appointment.values["subject"] == "Renamed"
    assert state(product) == CANCELED


async def test_duplicates_cost_dynamics_nothing(product: Installation) -> None:
    """The same delivery ten times is one appointment, and the repeats make no call to Dataverse."""
    booked = MeetingScript(1).booked()
    await product.sync(booked)
    calls = product.crm.log.total
    for _ in range(9):
        assert (await product.sync(booked))["outcome"] == "duplicate"
    assert product.crm.log.total == calls


async def test_an_older_event_loses(product: Installation) -> None:
    """An event that was overtaken changes nothing."""
    script = MeetingScript(1)
    booked, first, second = script.booked(), script.changed(title="First"), script.changed(title="Second")
    await product.sync(booked, second)
    entry = await product.sync(first)
    assert entry["outcome"] == "superseded"
    assert product.appointment.values["subject"] == "Second"


async def test_update_before_its_booking_waits(product: Installation) -> None:
    """An update that overtook its booking is kept and goes out with it."""
    script = MeetingScript(1)
    booked, renamed = script.booked(title="Old"), script.changed(title="New")
    entry = await product.sync(renamed)
    assert entry["outcome"] == "parked"
    assert not product.crm.appointments
    await product.sync(booked)
    assert product.appointment.values["subject"] == "New"


async def test_absent_and_null_differ(product: Installation) -> None:
    """An attribute that is not there means unchanged; null clears the column."""
    script = MeetingScript(1)
    await product.sync(script.booked(location="Room", description="Agenda"))
    await product.sync(script.changed(location=None))
    assert product.appointment.values["location"] is None
    assert product.appointment.values["description"] == "Agenda"


async def test_calendar_events_of_one_meeting(product: Installation) -> None:
    """Several calendars' copies of one meeting are one appointment, owned by the organizer's user."""
    organizer = MeetingScript(17, resource="calendarEvent", meeting=5)
    guest = MeetingScript(18, resource="calendarEvent", meeting=5)
    await product.sync(guest.booked(user=2, isOrganizer=False))
    assert not product.crm.appointments
    await product.sync(organizer.booked(user=1, isOrganizer=True))
    assert product.appointment.values["_ownerid_value"] == USER_IDS[0]
    await product.sync(guest.changed(relationships={"user": Target("user", 3)}))
    assert product.appointment.values["_ownerid_value"] == USER_IDS[0]


async def test_calendar_event_that_names_its_meeting_late(product: Installation) -> None:
    """What was gathered under the calendar event, its appointment too, belongs to the meeting once that is named."""
    script = MeetingScript(17, resource="calendarEvent")
    await product.sync(script.booked(title="Before"))
    first = product.appointment.id
    await product.sync(script.changed(relationships={"meeting": Target("meeting", 5)}, title="Named"))
    await product.sync(script.changed(title="After"))
    assert product.appointment.id == first
    assert product.appointment.values["subject"] == "After"
    shown = await product.meeting("17")
    assert shown is not None
    assert shown["meetingId"] == "meeting:5"


async def test_lead_qualified_between_two_events(product: Installation) -> None:
    """A lead that became a contact is asked for again when Dynamics says it is gone."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[104]))
    contact = people.qualify(product.crm, {"lead": LEAD_IDS[0]})["contact"]
    await product.sync(script.changed(relationships={"prospects": (Target("prospect", 104), Target("prospect", 101))}))
    assert (5, contact) in product.parties()
    assert (5, LEAD_IDS[0]) not in product.parties()


async def test_deleted_in_dynamics_is_made_again(product: Installation) -> None:
    """An appointment that vanished from Dynamics is back, whole, with the next event, under the same id."""
    script = MeetingScript(1)
    first = await product.sync(script.booked(location="Room"))
    people.delete(product.crm, {"id": first["appointmentId"]})
    await product.sync(script.changed(title="Still on"))
    assert product.appointment.id == first["appointmentId"]
    assert product.appointment.values["subject"] == "Still on"
    assert product.appointment.values["location"] == "Room"


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_ends_the_same(azurite: str, storage_names: StorageNames, seed: int) -> None:
    """Whatever the order and however often, the appointment is that of the last state."""
    script = MeetingScript(1)
    deliveries = [
        script.booked(location="One"),
        script.changed(title="Two"),
        script.rescheduled(datetime(2026, 8, 3, 9, tzinfo=UTC), datetime(2026, 8, 3, 10, tzinfo=UTC)),
        script.changed(location=None, description="Notes"),
        script.completed(),
        script.changed(relationships={"user": Target("user", 2)}),
    ]
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    shuffled = [*deliveries, *chance.sample(deliveries, 3)]
    chance.shuffle(shuffled)
    async with installation(azurite, storage_names.queue("events")) as product:
        for delivery in shuffled:
            await product.sync(delivery)
        values = product.appointment.values
        assert (values["subject"], values["location"], values["description"]) == ("Two", None, "Notes")
        assert values["scheduledstart"] == "2026-08-03T09:00:00Z"
        assert values["_ownerid_value"] == USER_IDS[1]
        assert state(product) == COMPLETED


async def test_a_stamp_far_in_the_future_does_not_win_for_ever(product: Installation) -> None:
    """A stamp that lies years ahead is not believed, so later events still count."""
    script = MeetingScript(1, now=datetime.now(UTC) - timedelta(days=1))
    await product.sync(script.booked(), script.changed(title="From the future", updatedAt="2199-01-01T00:00:00Z"))
    far = MeetingScript(1, now=datetime.now(UTC) + timedelta(days=1, hours=1))
    await product.sync(far.changed(title="Now"))
    assert product.appointment.values["subject"] == "Now"


async def test_a_stamp_of_the_future_keeps_nothing_out(product: Installation) -> None:
    """Changes after it count, a replay of it changes nothing, and the journal says why."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    ahead = script.changed(title="From the future")
    body = json.loads(ahead.body)
    body["data"]["attributes"]["updatedAt"] = "9999-12-31T23:59:59Z"
    entry = await product.sync(body)
    assert (entry["outcome"], len(entry["notes"])) == ("updated", 1)
    await product.sync(script.changed(title="True"))
    assert product.appointment.values["subject"] == "True"
    assert (await product.sync(body))["outcome"] == "superseded"
    assert product.appointment.values["subject"] == "True"

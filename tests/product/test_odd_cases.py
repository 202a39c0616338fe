"""Cases that somebody once got wrong: each would lose an event, write a wrong value, or hide a failure."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.dataverse.plugins import Plugin
from sandbox.dataverse.seed import CONTACT_IDS, USER_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target
from shared.dataverse.appointments import AppointmentApi
from shared.errors import Permanent, Transient
from shared.meeting.delivery import Reference
from shared.meeting.mirror import Actual
from shared.meeting.people import Person
from shared.pipeline.people import CrmDirectory
from shared.pipeline.signature import sign
from shared.runtime import new_trace
from shared.storage.envelope import Envelope, fits_queue
from tests.outreach.samples import mapping_content
from tests.product.bench import SECRET, Installation, installation


def next_call_meets(product: Installation, **fault: Any) -> None:
    """The next call to Dataverse gets this answer."""
    plan = FaultPlan()
    plan.queue.append(Fault.parse(fault, retry_after=0, hold_seconds=0))
    product.crm.faults = plan


@pytest.mark.parametrize("ending", ["declined", "destroyed", "canceled"])
async def test_a_guest_cancels_nothing(azurite: str, storage_names: StorageNames, ending: str) -> None:
    """A guest who declines or deletes their own copy leaves the organizer's meeting as it is."""
    async with installation(azurite, storage_names.queue("events"), SYNC_ON_CANCEL="cancel") as product:
        organizer = MeetingScript(17, resource="calendarEvent", meeting=5)
        guest = MeetingScript(18, resource="calendarEvent", meeting=5)
        await product.sync(organizer.booked(user=1), guest.booked(user=2, isOrganizer=False))
        await product.sync(getattr(guest, ending)())
        assert product.appointment.values["statecode"] == 0
        assert product.appointment.values["_ownerid_value"] == USER_IDS[0]
        await product.sync(getattr(organizer, ending)())
        assert product.appointment.values["statecode"] == 2


async def test_an_organizer_set_in_dynamics_stays_until_the_owner_changes(product: Installation) -> None:
    """An appointment has one organizer: a change of attendees leaves whom a person set, a change of owner does not."""
    script = MeetingScript(1)
    await product.sync(script.booked(user=1))
    product.edit(
        appointment_activity_parties=[
            {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({CONTACT_IDS[0]})"},
            {"participationtypemask": 7, "partyid_systemuser@odata.bind": f"/systemusers({USER_IDS[2]})"},
        ]
    )
    entry = await product.sync(
        script.changed(relationships={"prospects": (Target("prospect", 102),), "prospect": None})
    )
    assert entry["outcome"] == "updated"
    assert product.parties() == {(5, CONTACT_IDS[1]), (7, USER_IDS[2])}
    await product.sync(script.changed(relationships={"user": Target("user", 2)}))
    assert product.parties() == {(5, CONTACT_IDS[1]), (7, USER_IDS[1])}


async def test_a_booker_told_to_be_a_prospect(product: Installation) -> None:
    """In the flat form only `bookerType` tells that a booker is a prospect; user 2 must not be taken for prospect 2."""
    document = MeetingScript(1).booked(bookerType="Prospect").document
    document["data"]["relationships"]["booker"] = {"type": "booker", "id": 2}
    await product.sync(document)
    assert "MSCRMCallerID" not in product.writes()[0]["headers"]


async def test_events_of_one_trace_have_a_dead_letter_each(product: Installation) -> None:
    """Two events that came under one traceparent do not overwrite each other."""
    trace = new_trace()
    for title in ("One", "Two"):
        body = MeetingScript(1).booked(title=title, startTime="nonsense").body
        headers = {"outreach-webhook-signature": sign(body, SECRET)}
        await product.runtime.ingest.receive(body, headers=headers, trace=trace)
    await product.work()
    assert len(await product.dead_letters()) == 2


async def test_an_event_id_that_comes_twice_hides_no_event(product: Installation) -> None:
    """The header with it is not signed: two bodies under one id and one trace have a dead letter and a journal each."""
    trace = new_trace()
    for title in ("One", "Two"):
        body = MeetingScript(1).booked(title=title, startTime="nonsense").body
        headers = {"outreach-webhook-signature": sign(body, SECRET), "outreach-webhook-event-id": "the-one-id"}
        await product.runtime.ingest.receive(body, headers=headers, trace=trace)
    await product.work()
    dead_letters = product.runtime.dead_letters
    taken = [one async for page in dead_letters.take(correlation_ids=None) for one in page]
    assert {envelope.body["data"]["attributes"]["title"] for _, envelope in taken} == {"One", "Two"}
    entry = await product.correlation(trace.correlation_id)
    assert entry is not None
    assert len({entry["eventId"], *(other["eventId"] for other in entry["others"])}) == 2
    # However often they fail, they stay two.
    assert await product.runtime.admin.replay(None, by="_master") == [trace.correlation_id] * 2
    await product.work()
    assert len(await product.dead_letters()) == 2


async def test_overflowing_events_of_one_trace_that_cannot_be_read(product: Installation) -> None:
    """The sweep knows them by their place in the overflow table only: each has its dead letter, and keeps that one."""
    trace = new_trace()
    for title in ("One", "Two"):
        body = MeetingScript(1).booked(title=title, description="ab" * 60_000).body
        headers = {"outreach-webhook-signature": sign(body, SECRET)}
        await product.runtime.ingest.receive(body, headers=headers, trace=trace)
    table = product.runtime._table("spill")
    for row in await table.query("PartitionKey eq @spill", {"spill": "spill"}, limit=3):
        await table.put({**row, "data00": b"written by a newer version"})
    for days in (0, 2, 4):  # first by the pointers of ingest, then by those of the sweep
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        await product.work()
        assert len(await product.dead_letters()) == 2


async def test_a_failure_during_replay_stays(product: Installation) -> None:
    """A dead letter that was written again while it was being replayed is not forgotten."""
    await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    ((row, envelope),) = [one async for page in product.runtime.dead_letters.take(correlation_ids=None) for one in page]
    await product.runtime.carry_out(base64.b64decode(envelope.to_message()))
    await product.runtime.dead_letters.remove(row)
    assert len(await product.dead_letters()) == 1


async def test_poison_is_found_under_its_meeting(product: Installation) -> None:
    """A delivery that the trigger gave up on stands on its meeting's page."""
    await product.send(MeetingScript(1).booked())
    message = await product.queue.receive_message()
    assert message is not None
    await product.runtime.carry_out_poisoned(base64.b64decode(message.content))
    shown = await product.meeting("1")
    assert shown is not None
    assert (shown["state"], shown["lastError"]["code"]) == ("needs attention", "poison")


async def test_dead_letters_of_a_calendar_event_stand_under_its_meeting(product: Installation) -> None:
    """An event of a calendar event that belongs to a meeting fails, and is cleared, under the meeting."""
    script = MeetingScript(17, resource="calendarEvent", meeting=5)
    await product.sync(script.booked())
    later = MeetingScript(17, resource="calendarEvent", now=script._now)
    product.crm.plugins.registered.append(Plugin(message="No."))
    await product.sync(later.changed(title="New title"))
    (dead_letter,) = await product.dead_letters()
    assert dead_letter["meetingId"] == "meeting:5"
    product.crm.plugins.registered.clear()
    await product.sync(later.changed(endTime="2026-03-02T16:00:00Z"))
    assert await product.dead_letters() == []


async def test_a_calendar_event_told_the_news_and_a_link_tells_none(product: Installation) -> None:
    """What lay in the row of a calendar event goes out with the event that says whose it is, old as that may be."""
    meeting = MeetingScript(5)
    await product.sync(meeting.booked(title="Old title"))
    calendar_event = MeetingScript(17, resource="calendarEvent", now=meeting._now)
    link = calendar_event.changed(relationships={"meeting": Target("meeting", 5)}, title="Older title")
    entry = await product.sync(calendar_event.changed(title="New title"))
    assert entry["outcome"] == "parked"
    assert (await product.sync(link))["outcome"] == "updated"
    assert product.appointment.values["subject"] == "New title"


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_a_meeting_and_its_calendar_event_booked_apart(product: Installation, order: tuple[int, ...]) -> None:
    """In whatever order the two and the link between them come, one appointment is left, and it has the last word."""
    meeting = MeetingScript(5)
    booked = meeting.booked()
    calendar_event = MeetingScript(17, resource="calendarEvent", now=meeting._now)
    told = (
        booked,
        calendar_event.booked(),
        calendar_event.changed(relationships={"meeting": Target("meeting", 5)}, title="Last"),
    )
    notes = [note for number in order for note in (await product.sync(told[number]))["notes"]]
    left = [one for one in product.crm.appointments.values() if one.values["statecode"] == 0]
    assert [one.values["subject"] for one in left] == ["Last"]
    withdrawn = len(product.crm.appointments) - len(left)
    assert sum("second appointment" in note for note in notes) == withdrawn


async def test_a_second_appointment_that_cannot_be_canceled_keeps_no_news_out(
    product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is in Dynamics and a person is asked; once the app may cancel, the next event does; all is well."""
    meeting = MeetingScript(5)
    await product.sync(meeting.booked())
    calendar_event = MeetingScript(17, resource="calendarEvent", now=meeting._now)
    await product.sync(calendar_event.booked())
    own, surplus = product.crm.appointments
    read = AppointmentApi.read

    async def refuse(api: AppointmentApi, appointment_id: str, columns: Collection[str]) -> Actual | None:
        if appointment_id == surplus:
            raise Permanent("Not for this app.", service="dataverse", status=403)
        return await read(api, appointment_id, columns)

    named = {"meeting": Target("meeting", 5)}
    with monkeypatch.context() as refusing:
        refusing.setattr(AppointmentApi, "read", refuse)
        entry = await product.sync(calendar_event.changed(relationships=named, title="Later"))
    assert entry["outcome"] == "dead-lettered"
    assert product.crm.appointments[own].values["subject"] == "Later"
    await product.sync(calendar_event.changed(title="Later still"))
    assert product.crm.appointments[own].values["subject"] == "Later still"
    assert product.crm.appointments[surplus].values["statecode"] == 2
    assert await product.dead_letters() == []


async def test_one_of_two_appointments_deleted_by_a_person_leaves_the_other(
    azurite: str, storage_names: StorageNames, tmp_path: Path
) -> None:
    """Also where deleted appointments stay deleted: whoever saw two of one meeting and deleted one wanted one."""
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(mapping_content() | {"deleted_in_dynamics": "leave"}))
    async with installation(azurite, storage_names.queue("events"), MAPPING_FILE=str(path)) as product:
        meeting = MeetingScript(5)
        calendar_event = MeetingScript(17, resource="calendarEvent", now=meeting._now)
        await product.sync(meeting.booked(), calendar_event.booked())
        own, other = product.crm.appointments
        del product.crm.appointments[own]
        named = {"meeting": Target("meeting", 5)}
        await product.sync(calendar_event.changed(relationships=named, title="Last"))
        assert list(product.crm.appointments) == [other]
        assert product.appointment.values["statecode"] == 0
        assert product.appointment.values["subject"] == "Last"


async def test_times_cleared_in_outreach_stay_in_dynamics(product: Installation) -> None:
    """An appointment cannot be without a start: it stays, a note says so, and the rest goes on."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    start = product.appointment.values["scheduledstart"]
    entry = await product.sync(script.changed(startTime=None, title="No time yet"))
    assert entry["outcome"] == "updated"
    assert any("scheduledstart" in note for note in entry["notes"])
    await product.sync(script.changed(endTime="2020-01-01T00:00:00Z"))  # before the start that stays
    assert await product.dead_letters() == []
    assert product.appointment.values["scheduledstart"] == start
    assert product.appointment.values["subject"] == "No time yet"
    await product.sync(script.changed(startTime="2026-03-02T15:15:00Z", endTime="2026-03-02T15:30:00Z"))
    assert product.appointment.values["scheduledstart"] == "2026-03-02T15:15:00Z"


async def test_a_dead_letter_from_before_the_link_goes_with_the_meeting(
    product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A calendar event's dead letter stands under the meeting that it turned out to belong to, until that is right."""
    meeting = MeetingScript(5)
    await product.sync(meeting.booked())
    calendar_event = MeetingScript(17, resource="calendarEvent", now=meeting._now)

    async def refuses(*_: object, **__: object) -> None:
        raise Permanent("Outreach refused the app.", service="outreach", status=403, code="403")

    monkeypatch.setattr(CrmDirectory, "resolve", refuses)
    await product.sync(calendar_event.changed(startTime="2026-03-02T15:00:00Z", title="New title"))
    (dead_letter,) = await product.dead_letters()
    assert dead_letter["meetingId"] == "calendarEvent:17"
    named = {"meeting": Target("meeting", 5)}
    await product.sync(calendar_event.changed(relationships=named))
    shown = await product.meeting("5")
    assert shown is not None
    assert (shown["state"], shown["lastError"]["code"]) == ("needs attention", "403")
    monkeypatch.undo()
    await product.sync(calendar_event.changed(relationships=named, endTime="2026-03-02T16:30:00Z"))
    assert product.appointment.values["subject"] == "New title"
    assert await product.dead_letters() == []


async def test_an_event_that_others_overtook_while_it_waited_does_not_stand_as_being_written(
    product: Installation,
) -> None:
    """Its write failed; a later event wrote all of it; when it comes again the time line says how it ended."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    next_call_meets(product, kind="503")
    await product.send(script.changed(title="First"))
    await product.work(limit=1)
    waiting = await product.queue.receive_message()
    assert waiting is not None
    await product.sync(script.changed(title="Second"))
    shown = await product.meeting("1")
    assert shown is not None
    assert [event["outcome"] for event in shown["recent"]] == ["updated", "writing", "created"]
    await product.runtime.carry_out(base64.b64decode(waiting.content))
    shown = await product.meeting("1")
    assert shown is not None
    assert [event["outcome"] for event in shown["recent"]] == ["superseded", "updated", "created"]


async def test_an_event_that_had_to_wait_and_changes_no_column_does_not_stand_as_waiting(
    product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was remembered while nobody could say who the people are; when it comes again there is nothing to write."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    ask, answers = CrmDirectory.resolve, iter([False, True])

    async def answer_later(
        directory: CrmDirectory, wanted: Collection[Reference], *, refresh: bool = False
    ) -> dict[Reference, Person]:
        if next(answers):
            return await ask(directory, wanted, refresh=refresh)
        raise Transient("Not now.", service="outreach", status=503)

    monkeypatch.setattr(CrmDirectory, "resolve", answer_later)
    entry = await product.sync(script.changed(title="Intro call"))
    assert (entry["outcome"], entry["attempts"]) == ("merged", 2)
    shown = await product.meeting("1")
    assert shown is not None
    assert [event["outcome"] for event in shown["recent"]] == ["merged", "created"]


async def test_parked_under_an_older_instance(product: Installation) -> None:
    """An instance that still has the old settings looks at a parked meeting: the new ones send it on again."""
    await product.restart(SYNC_PUSHING="false")
    await product.sync(MeetingScript(1).booked())
    await product.restart(SYNC_PUSHING="true")
    await product.runtime.sweep.run()
    await product.restart(SYNC_PUSHING="false")
    await product.work()
    assert not product.crm.appointments
    await product.restart(SYNC_PUSHING="true")
    await product.runtime.sweep.run()
    await product.work()
    assert len(product.crm.appointments) == 1


@pytest.mark.parametrize("status", [400, 403])
async def test_a_wish_refused_in_any_way(product: Installation, status: int) -> None:
    """Whatever code Dataverse refuses Created On or Created By with, the appointment is written."""
    await product.sync(MeetingScript(2).booked())  # now everybody is known, and the next call is the create
    next_call_meets(product, status=status, code="0x80040225", message="The user is disabled.")
    entry = await product.sync(MeetingScript(1).booked())
    assert entry["outcome"] == "created"
    assert any("createdby" in note for note in entry["notes"])


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (408, "", "retrying"),
        (409, "", "retrying"),
        (500, "-2147204784", "retrying"),
        (429, "-2147015902", "retrying"),
        (412, "0x8006088d", "dead-lettered"),
        (412, "0x80060892", "dead-lettered"),
        (400, "0x80040203", "dead-lettered"),
    ],
)
async def test_what_may_pass(product: Installation, status: int, code: str, outcome: str) -> None:
    """Each of Dataverse's answers leads where its meaning says."""
    script = MeetingScript(1)
    await product.sync(script.booked(booker=None))
    next_call_meets(product, status=status, code=code, message="x")
    (receipt,) = await product.send(script.changed(title="Next"))
    await product.work(limit=1)
    entry = await product.journal(receipt)
    assert entry["outcome"] == outcome
    if "-" in code:
        assert entry["lastError"]["code"].startswith("0x80")


@pytest.mark.parametrize(
    "change",
    [
        {"meta": None},
        {"meta": {"eventName": "meeting.created", "deliveredAt": "2026-02-01 09:00:00 UTC"}},
        {"meta": {"eventName": "meeting.created", "deliveredAt": ""}},
    ],
    ids=str,
)
async def test_odd_members_cost_no_event(product: Installation, change: dict[str, Any]) -> None:
    """What nobody needs may have any form."""
    document = MeetingScript(1).booked().document | change
    document["data"]["relationships"] |= {
        "calendar": {"type": "calendar", "id": "somebody@example.com ü"},
        "x": {"id": ""},
    }
    await product.sync(document)
    assert len(product.crm.appointments) == 1


async def test_an_unreadable_relationship_that_counts_is_a_dead_letter(product: Installation) -> None:
    """Where the mapping needs it, an unreadable relationship is reported, not ignored."""
    document = MeetingScript(1).booked().document
    document["data"]["relationships"]["prospects"] = [{"type": "prospect", "id": 5.5}]
    entry = await product.sync(document)
    assert (entry["outcome"], entry["lastError"]["code"]) == ("dead-lettered", "wrong_type")


async def test_half_an_emoji(product: Installation) -> None:
    """A title that was cut in the middle of an emoji is taken, with the half replaced."""
    body = MeetingScript(1).booked(title="Demo HALF \U0001f642").body.replace(b"HALF", b"\\ud83d")
    await product.sync(json_body(body))
    assert product.appointment.values["subject"] == "Demo \ufffd \U0001f642"


def json_body(body: bytes) -> Any:
    """A delivery whose bytes are sent as they are."""
    return Delivery("meeting.created", body)


async def test_a_wrong_value_under_one_alias(product: Installation) -> None:
    """The sources are names that Outreach may use: one that holds something else gives way to the next."""
    document = MeetingScript(1).booked(completed="2026-01-01").document
    document["data"]["attributes"] |= {"title": {"html": "x"}, "subject": "The real one"}
    await product.sync(document)
    assert product.appointment.values["subject"] == "The real one"


async def test_far_days(product: Installation) -> None:
    """An all-day meeting beyond the calendar waits for times that an appointment can have."""
    entry = await product.sync(MeetingScript(1).booked(allDay=True, startTime="9999-12-31", endTime="9999-12-31"))
    assert (entry["outcome"], entry["attempts"]) == ("parked", 1)


def test_other_alphabets_fit_the_queue() -> None:
    """A message is not blown up by escapes: twenty thousand Cyrillic letters go by the queue."""
    envelope = Envelope(correlation_id="a" * 32, received_at="2026-01-01T00:00:00Z", body={"text": "ж" * 20_000})
    assert fits_queue(envelope.to_message())
    assert Envelope.from_message(base64.b64decode(envelope.to_message())) == envelope


async def test_duplicates_ask_nobody(product: Installation) -> None:
    """A repeat asks neither Outreach nor Dataverse, not even about somebody who was nobody."""
    booked = MeetingScript(1).booked(prospects=[108])
    await product.sync(booked)
    before = (product.crm.log.total, product.outreach.log.total)
    sync = product.runtime.sync
    sync._ports = replace(sync._ports, directory=None)  # type: ignore[arg-type]  # whoever asks fails
    assert (await product.sync(booked))["outcome"] == "duplicate"
    assert (product.crm.log.total, product.outreach.log.total) == before


async def test_events_of_one_meeting_do_not_hinder_each_other(product: Installation) -> None:
    """Eight changes at the same moment cost one call each at most, none of it refused by its version."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    before = product.crm.log.total
    await product.send(*(script.changed(title=f"Version {number}") for number in range(8)))
    messages = [message async for message in product.queue.receive_messages(max_messages=8)]
    await asyncio.gather(*(product.runtime.carry_out(base64.b64decode(message.content)) for message in messages))
    assert product.appointment.values["subject"] == "Version 7"
    asked = product.crm.log.last(product.crm.log.total - before)
    assert len(asked) <= 8
    assert all(request["status"] < 300 for request in asked)


async def test_concurrency_off_is_told(product: Installation) -> None:
    """With optimistic concurrency off for the table nothing can be fenced: a dead letter says what to do."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.crm.switches = replace(product.crm.switches, optimistic_concurrency=False)
    entry = await product.sync(script.changed(title="Next"))
    assert entry["outcome"] == "dead-lettered"
    assert "Optimistic concurrency" in entry["lastError"]["reason"]
    assert json.dumps(entry)

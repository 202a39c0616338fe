"""The preview says what the sync then does, and does nothing itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables.aio import TableServiceClient

from functions.views import dry_run_json
from sandbox.azurite import StorageNames
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.dataverse.people import qualify
from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, USER_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target
from shared.admin.dry_run import DryRun
from shared.errors import BadDelivery, Permanent, Transient
from shared.mapping_file import DEFAULT_MAPPING_FILE
from tests.product.bench import Installation, installation


async def preview(product: Installation, delivery: Delivery | dict[str, Any]) -> DryRun:
    body = delivery.document if isinstance(delivery, Delivery) else delivery
    return await product.runtime.dry_runner.run(body)


def column(found: DryRun, name: str) -> Any:
    return next(one for one in found.columns if one.column == name)


def sent(product: Installation, since: int) -> list[dict[str, Any]]:
    """The bodies that Dataverse got after the first `since` writes, without their headers."""
    return [{name: value for name, value in write.items() if name != "headers"} for write in product.writes()[since:]]


def story() -> list[Delivery]:
    """A meeting's life, with every kind of change."""
    script = MeetingScript(7)
    return [
        script.booked(opportunity=301, prospects=[101, 108], booker=2),
        script.changed(title="Later"),
        script.rescheduled(datetime(2026, 5, 4, 9, tzinfo=UTC)),
        script.changed(relationships={"prospects": (Target("prospect", 104),), "opportunity": None}),
        script.completed(),
        script.changed(title="After the meeting", description=None),
        script.destroyed(),
    ]


async def test_what_it_says_is_what_is_sent(product: Installation) -> None:
    """Event by event: outcome, written columns and every request body are those of the sync afterwards."""
    product.crm.switches.closed_rows = "lenient"
    for delivery in story():
        foreseen = await preview(product, delivery)
        before = len(product.writes())
        entry = await product.sync(delivery)
        assert foreseen.outcome == entry["outcome"]
        assert [dict(request.body) for request in foreseen.requests] == sent(product, before)
        said = {one.column for one in foreseen.columns if one.action == "write"}
        assert said - {"createdby"} == set(entry["columns"])


async def test_the_headers_that_decide_are_told(product: Installation) -> None:
    """A create tells its condition and whom it acts for, an update its fence."""
    script = MeetingScript(7)
    booked = script.booked(booker=2)
    (create,) = (await preview(product, booked)).requests
    assert create.headers == {"If-None-Match": "*", "MSCRMCallerID": USER_IDS[1]}
    await product.sync(booked)
    (update,) = (await preview(product, script.changed(title="Later"))).requests
    assert update.headers == {"If-Match": product.appointment.etag}


async def test_a_persons_edit_in_between_is_foreseen(product: Installation) -> None:
    """Where the appointment has changed in Dynamics, the preview goes round again, as the sync does."""
    script = MeetingScript(7)
    await product.sync(script.booked())
    product.edit(description="By a person")
    product.invite(6, CONTACT_IDS[5])
    later = script.changed(title="Later", relationships={"prospects": (Target("prospect", 102),)})
    foreseen = await preview(product, later)
    await product.sync(later)
    assert [dict(request.body) for request in foreseen.requests] == sent(product, 1)
    assert any(CONTACT_IDS[5] in json.dumps(request.body) for request in foreseen.requests)


async def test_nothing_is_written_anywhere(azurite: str, storage_names: StorageNames) -> None:
    """On a fresh account no table is made, nothing is queued, and Dataverse and Outreach get reads only."""
    async with installation(azurite, storage_names.queue("events")) as product:
        prefix = "".join(filter(str.isalnum, product.environment["SYNC_QUEUE_NAME"]))
        for delivery in story():
            await preview(product, delivery)
        async with TableServiceClient.from_connection_string(azurite) as tables:
            assert [table.name async for table in tables.list_tables() if table.name.startswith(prefix)] == []
        assert await product.runtime.queue.depth() == 0
        requests = [*product.crm.log.last(1000), *product.outreach.log.last(1000)]
        assert requests
        assert {request["method"] for request in requests} == {"GET"}


async def test_the_row_in_the_table_stays_as_it_was(product: Installation) -> None:
    """A preview of a known meeting leaves its row, version included."""
    script = MeetingScript(7)
    await product.sync(script.booked())
    key = (await preview(product, script.changed(title="Later"))).meeting
    before = await product.meeting(key)
    await preview(product, script.changed(title="Later still"))
    assert await product.meeting(key) == before


async def test_the_doors_refuse_a_write(product: Installation) -> None:
    """Should anybody ever try: a request that is no GET does not leave the preview's clients."""
    directory, outreach = product.runtime.dry_runner._look_up()
    for call in (
        outreach.request("POST", "/api/v2/webhooks", body={}),
        directory._dataverse.request("PATCH", "/appointments(1)", body={}),
    ):
        with pytest.raises(Permanent, match="must not change"):
            await call


async def test_each_column_has_its_way(product: Installation) -> None:
    """Source alias, origin, stamp, transform and result of a column stand together."""
    delivery = MeetingScript(7).booked(subject="By another name")
    found = column(await preview(product, delivery.document | _without(delivery, "title")), "subject")
    assert (found.source, found.origin, found.transform) == ("attributes.subject", "this delivery", "text")
    assert (found.value, found.result) == ("By another name", "By another name")
    assert found.changed_at == "2025-02-03T09:01:00.000000Z"
    assert found.action == "write"


def _without(delivery: Delivery, attribute: str) -> dict[str, Any]:
    data = delivery.document["data"]
    attributes = {name: value for name, value in data["attributes"].items() if name != attribute}
    return {"data": {**data, "attributes": attributes}}


async def test_whose_value_stands_is_told(product: Installation) -> None:
    """A column names the event that won: this one, an earlier one, a later one, or another field."""
    script = MeetingScript(7)
    await product.sync(script.booked())
    old = script.changed(title="Old title")
    await product.sync(script.changed(title="New title"))
    found = await preview(product, old)
    assert found.outcome == "superseded"
    assert (column(found, "subject").origin, column(found, "subject").result) == ("a later event", "New title")
    assert column(found, "location").origin == "an earlier event"
    assert column(found, "regardingobjectid").origin == "other fields"


async def test_a_word_of_something_else_is_told(product: Installation) -> None:
    """That a meeting is confirmed leaves it held: the preview says who said so, and that nothing is written."""
    script = MeetingScript(7)
    await product.sync(script.booked(), script.completed())
    found = column(await preview(product, script.changed(status="confirmed")), "statecode")
    assert (found.field, found.origin, found.action) == ("completed/state", "an earlier event", "keep")
    found = column(await preview(product, script.changed(state="scheduled")), "statecode")
    assert (found.field, found.origin, found.source, found.result) == (
        "completed/state",
        "this delivery",
        "attributes.state=completed|held",
        "open",
    )


async def test_attendees_name_all_their_sources(product: Installation) -> None:
    """Attendees are read from every alias, so every one is named."""
    found = await preview(product, MeetingScript(7).booked(prospects=[101, 102]))
    parties = column(found, "appointment_activity_parties")
    assert parties.source == "relationships.prospect, relationships.prospects"


async def test_people_and_how_they_were_found(product: Installation) -> None:
    """Connection, custom id, address, nobody: each is reported for whom it holds."""
    found = await preview(product, MeetingScript(7).booked(prospects=[101, 106, 107, 108, 999], user=4))
    how = {f"{one.reference.type} {one.reference.id}": one.how for one in found.people}
    assert "dataConnections" in how["prospect 101"]
    assert "custom id" in how["prospect 106"]
    assert "by its e-mail address" in how["prospect 107"]
    assert how["prospect 108"] == "Nobody in Dynamics has the address."
    assert "does not know this record" in how["prospect 999"]
    assert how["user 4"] == "Nobody in Dynamics has the address."


async def test_a_closed_appointment_is_pointed_out(product: Installation) -> None:
    """Whether the organisation lets closed rows be changed is not known before, so both ways are reported."""
    script = MeetingScript(7)
    await product.sync(script.booked())
    await product.sync(script.completed())
    found = await preview(product, script.changed(title="After the meeting"))
    assert [dict(request.body) for request in found.requests] == [{"subject": "After the meeting"}]
    assert any("opened first" in note for note in found.notes)


async def test_a_lead_that_was_qualified_is_told(product: Installation) -> None:
    """Whom Outreach is connected to need not be who it is now."""
    qualify(product.crm, {"lead": LEAD_IDS[0]})
    found = await preview(product, MeetingScript(7).booked(prospects=[104], user=None, booker=None))
    (person,) = found.people
    assert person.records[0].startswith("contact:")
    assert "merged, qualified or deleted" in person.how


async def test_what_an_action_says_by_itself_is_told(azurite: str, storage_names: StorageNames, tmp_path: Path) -> None:
    """A resource's action may set a field without any source; then the action is named."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    content["resources"]["kaiaRecording"]["enabled"] = True
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(content))
    recording = {
        "data": {"type": "kaiaRecording", "id": 3, "attributes": {"format": "meeting", "sourceId": 17}},
        "meta": {"eventName": "kaiaRecording.created"},
    }
    async with installation(azurite, storage_names.queue("events"), MAPPING_FILE=str(mapping)) as product:
        await product.sync(MeetingScript(17, resource="calendarEvent").booked())
        found = await preview(product, recording)
    assert found.outcome == "updated"
    assert column(found, "statecode").source == "resources.kaiaRecording.actions.created"


async def test_conditions_one_by_one(product: Installation) -> None:
    """Every condition is reported with whether it holds and whether it counts; the unmet one is the reason."""
    found = await preview(product, MeetingScript(7).booked(prospects=[], isOrganizer=False))
    unmet = {check.name: check.otherwise for check in found.checks if check.counts and not check.met}
    assert set(unmet) == {"prospects is set", "is_organizer is not false"}
    assert (found.outcome, found.reason) == ("parked", unmet["prospects is set"])
    assert {one.action for one in found.columns} <= {"wait", "none", "keep"}
    assert found.requests == ()


async def test_switches_count_where_they_decide(azurite: str, storage_names: StorageNames) -> None:
    """Outbound Create counts for a new appointment, Outbound Update for one that exists."""
    script = MeetingScript(7)
    async with installation(azurite, storage_names.queue("events")) as product:
        await product.sync(script.booked())
        await product.restart(SYNC_OUTBOUND_CREATE="false", SYNC_OUTBOUND_UPDATE="false")
        known = await preview(product, script.changed(title="Later"))
        new = await preview(product, MeetingScript(8).booked())
    assert known.reason == "Outbound Update is off (SYNC_OUTBOUND_UPDATE)."
    assert new.reason == "Outbound Create is off (SYNC_OUTBOUND_CREATE)."


async def test_a_calendar_event_is_previewed_with_its_meeting(product: Installation) -> None:
    """What the calendar event gathered before it named its meeting counts, as it will in the sync."""
    await product.sync(MeetingScript(17, resource="calendarEvent").booked(title="From the calendar"))
    named = MeetingScript(17, resource="calendarEvent", meeting=7, now=datetime(2025, 6, 1, tzinfo=UTC))
    delivery = named.booked(title="From the calendar", location="Room 1")
    found = await preview(product, delivery)
    before = len(product.writes())
    entry = await product.sync(delivery)
    assert (found.meeting, found.outcome) == ("meeting:7", entry["outcome"])
    assert found.appointment_id == product.appointment.id
    assert [dict(request.body) for request in found.requests] == sent(product, before)


async def test_what_stays_in_outreach_is_told(product: Installation) -> None:
    """Called off, and SYNC_ON_CANCEL says to leave that in Outreach: the state names the setting."""
    script = MeetingScript(7)
    await product.sync(script.booked())
    state = column(await preview(product, script.changed(canceled=True)), "statecode")
    assert (state.action, state.result) == ("keep", "open")
    assert "SYNC_ON_CANCEL" in state.why


async def test_unread_members_are_named(product: Installation) -> None:
    """An attribute that no alias reads is pointed out: it may be the one that somebody is missing."""
    found = await preview(product, MeetingScript(7).booked(mood="good"))
    assert found.unread == ("attributes.mood",)


async def test_what_cannot_be_read_is_a_dead_letter(product: Installation) -> None:
    """A wrong type is reported as the dead letter that it would become."""
    told = MeetingScript(7).booked(startTime="soon")
    wrong = await preview(product, told)
    assert (wrong.outcome, wrong.code) == ("dead-lettered", "wrong_type")
    entry = await product.sync(told)
    assert entry["lastError"] == {"code": wrong.code, "reason": wrong.reason}


async def test_impossible_times_wait_for_possible_ones(product: Installation) -> None:
    """Nothing else is wrong, and the sync says the same."""
    told = MeetingScript(8).booked(end=datetime(2026, 3, 2, 14, tzinfo=UTC))
    impossible = await preview(product, told)
    assert impossible.outcome == "parked"
    assert any("before it starts" in note for note in impossible.notes)
    assert {one.name for one in impossible.checks if not one.met} == {
        "scheduledstart is known",
        "scheduledend is known",
    }
    entry = await product.sync(told)
    assert (entry["outcome"], entry["lastError"]) == ("parked", {"code": "", "reason": impossible.reason})


@pytest.mark.parametrize(
    ("resource", "reason"),
    [("prospect", "has no resource prospect"), ("task", "is not enabled")],
)
async def test_what_does_not_count_is_ignored(product: Installation, resource: str, reason: str) -> None:
    """A delivery that ingest would forget is reported so, with the place in the mapping file."""
    found = await preview(product, {"data": {"type": resource, "id": 5}})
    assert (found.outcome, found.columns) == ("ignored", ())
    assert reason in found.reason


async def test_what_is_no_delivery_is_refused(product: Installation) -> None:
    """The error names the first wrong member, as ingest does."""
    with pytest.raises(BadDelivery, match=r"data\.id"):
        await preview(product, {"data": {"type": "meeting"}})


async def test_an_outage_is_told_and_not_guessed_around(product: Installation) -> None:
    """When nobody can say who somebody is, there is no preview."""
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("503", retry_after=0, hold_seconds=0),))
    with pytest.raises(Transient):
        await preview(product, MeetingScript(7).booked(prospects=[107]))


async def test_the_answer_is_plain_json(product: Installation) -> None:
    """Names are written as the other routes write them; bodies and headers stay what they are."""
    document = json.loads(json.dumps(dry_run_json(await preview(product, MeetingScript(7).booked()))))
    assert {"outcome", "sentence", "appointmentId", "columns", "checks", "people", "requests", "unread"} <= set(
        document
    )
    assert document["people"][0]["reference"] == "prospect:101"
    assert {"changedAt", "deliveredAt", "origin"} <= set(document["columns"][0])
    assert "ownerid@odata.bind" in document["requests"][0]["body"]

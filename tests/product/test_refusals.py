"""A refusal costs only what it refuses: never the rest of the meeting, the next event, or another meeting."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.dataverse.plugins import Plugin
from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.dataverse.store import Rights
from sandbox.outreach.deliveries import MeetingScript, Target
from shared.admin.admin import BY_KEY
from shared.timestamps import whole_seconds
from tests.product.bench import Installation, installation
from tests.samples import default_content

BOOKED = "2026-01-15T08:30:00Z"
PARTIES = "appointment_activity_parties"


def refuse(product: Installation, column: str = "", **plugin: Any) -> None:
    """From now on a plug-in refuses this column."""
    product.crm.plugins.registered.append(Plugin(column, **plugin))


def allow(product: Installation) -> None:
    """Nothing is refused any more."""
    product.crm.plugins.registered.clear()


def next_calls_meet(product: Installation, *faults: dict[str, Any]) -> None:
    """The next writes of appointments get these answers."""
    plan = FaultPlan()
    plan.queue.extend(
        Fault.parse(fault | {"method": "PATCH", "entity": "appointments"}, retry_after=0, hold_seconds=0)
        for fault in faults
    )
    product.crm.faults = plan


def creates(product: Installation) -> int:
    """How often an appointment was asked for."""
    return sum(one["headers"].get("If-None-Match") == "*" for one in product.crm.log.last(1000))


async def refused(product: Installation, meeting: str = "1") -> dict[str, str]:
    """The refused columns of a meeting, with their codes."""
    return {one["column"]: one["code"] for one in (await product.meeting(meeting))["refused"]}


async def write_again(product: Installation, meeting: str = "1") -> dict[str, Any]:
    """What the admin does once Dynamics was mended."""
    correlation_id = await product.runtime.admin.write(meeting, by=BY_KEY)
    assert correlation_id is not None
    await product.work()
    entry = await product.correlation(correlation_id)
    assert entry is not None
    return entry


class TestCreatedOnAndCreatedBy:
    @pytest.mark.parametrize("trouble", ["year 1", "plug-in", "booker"])
    async def test_trouble_of_one_booking_is_no_trouble_of_the_next(self, product: Installation, trouble: str) -> None:
        """A date that Dynamics cannot hold, a plug-in, a booker without rights: the next booking has both columns."""
        booked = MeetingScript(1).booked(bookedAt="0001-01-01T00:00:00Z" if trouble == "year 1" else BOOKED, booker=2)
        if trouble == "plug-in":
            next_calls_meet(product, {"status": 400, "code": "0x80040265", "message": "No."})
        if trouble == "booker":
            product.crm.rights[USER_IDS[1]] = Rights(no_access=frozenset({OPPORTUNITY_IDS[0]}))
        await product.sync(booked)
        entry = await product.sync(MeetingScript(2).booked(bookedAt=BOOKED, booker=2, opportunity=None))
        row = product.crm.appointments[entry["appointmentId"]]
        assert (row.values["createdon"], row.values["_createdby_value"]) == (BOOKED, USER_IDS[1])
        assert entry["notes"] == []

    async def test_a_booked_date_that_dynamics_cannot_hold_is_left_out(self, product: Installation) -> None:
        """One call, a note, and no word of a column that was not written; the preview says the same."""
        booked = MeetingScript(1).booked(bookedAt="0001-01-01T00:00:00Z")
        shown = await product.runtime.dry_runner.run(booked.document)
        entry = await product.sync(booked)
        assert creates(product) == 1
        assert "overriddencreatedon" not in entry["columns"]
        assert any(note.startswith("Booked Date") for note in entry["notes"])
        assert {one.action for one in shown.columns if one.column == "overriddencreatedon"} == {"none"}

    async def test_a_booked_date_to_come_is_now(self, product: Installation) -> None:
        """Dynamics refuses a Created On that is still to come; the preview shows what is written."""
        ahead = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        booked = MeetingScript(1).booked(bookedAt=ahead)
        shown = await product.runtime.dry_runner.run(booked.document)
        entry = await product.sync(booked)
        assert creates(product) == 1
        assert str(product.appointment.values["createdon"]) <= whole_seconds(datetime.now(UTC))
        assert "overriddencreatedon" in entry["columns"]
        assert any("still to come" in note for note in entry["notes"])
        (result,) = [one.result for one in shown.columns if one.column == "overriddencreatedon"]
        assert result <= whole_seconds(datetime.now(UTC))

    async def test_the_journal_lists_no_created_on_that_was_refused(self, product: Installation) -> None:
        """Nor one that was ignored."""
        product.crm.switches = replace(product.crm.switches, override_created_on="refuse")
        first = await product.sync(MeetingScript(1).booked())
        product.crm.switches = replace(product.crm.switches, override_created_on="ignore")
        await product.restart()
        second = await product.sync(MeetingScript(2).booked())
        assert not {"overriddencreatedon"} & {*first["columns"], *second["columns"]}

    @pytest.mark.parametrize("lacking", ["roles", "a privilege", "one record"])
    async def test_a_booker_who_may_not_costs_created_by_alone(self, product: Installation, lacking: str) -> None:
        """The appointment has Created On and its owner all the same, in two creates."""
        product.crm.rights[USER_IDS[1]] = {
            "roles": Rights(roles=False),
            "a privilege": Rights(missing_privileges=frozenset({"prvCreateActivity"})),
            "one record": Rights(no_access=frozenset({CONTACT_IDS[0]})),
        }[lacking]
        entry = await product.sync(MeetingScript(1).booked(bookedAt=BOOKED, booker=2, user=1, prospects=[101]))
        values = product.appointment.values
        assert (values["createdon"], values["_createdby_value"]) == (BOOKED, APP_USER_ID)
        assert values["_ownerid_value"] == USER_IDS[0]
        assert creates(product) == 2
        assert await refused(product) == {}
        assert any(note.startswith("createdby was refused") for note in entry["notes"])


class TestOwner:
    @pytest.mark.parametrize(
        ("code", "message"),
        [
            *((code, "Nein.") for code in ("0x80042f09", "0x80040220", "0x8004022b")),
            *((code, f"{USER_IDS[2]} may not.") for code in ("0x80042f09", "0x80040220", "0x8004022b", "0x80040225")),
        ],
    )
    async def test_an_owner_who_may_not_own_costs_the_owner(
        self, product: Installation, code: str, message: str
    ) -> None:
        """The rest is there, Created On and Created By too; the meeting names the column and says what to do."""
        status = 400 if code in {"0x8004022b", "0x80040225"} else 403
        refuse(product, "ownerid", value=USER_IDS[2], status=status, code=code, message=message)
        entry = await product.sync(MeetingScript(1).booked(user=3, booker=1, bookedAt=BOOKED))
        values = product.appointment.values
        assert entry["outcome"] == "created"
        assert (values["createdon"], values["_createdby_value"]) == (BOOKED, USER_IDS[0])
        assert values["_ownerid_value"] == USER_IDS[0]  # who creates it owns it
        assert await refused(product) == {"ownerid": code}
        assert creates(product) <= 3
        assert "Dynamics" in (await product.meeting("1"))["refused"][0]["advice"]
        assert any(note.startswith(f"ownerid was refused by Dynamics ({code})") for note in entry["notes"])
        assert not any(mask == 7 for mask, _ in product.parties())

    async def test_who_may_neither_own_nor_be_acted_for_costs_both(self, product: Installation) -> None:
        """A rep without roles has booked a meeting of their own."""
        product.crm.rights[USER_IDS[2]] = Rights(roles=False)
        await product.sync(MeetingScript(1).booked(user=3, booker=3, bookedAt=BOOKED))
        assert product.appointment.values["createdon"] == BOOKED
        assert product.appointment.values["_createdby_value"] == APP_USER_ID
        assert (await refused(product), creates(product)) == ({"ownerid": "0x80042f09"}, 3)

    async def test_a_new_owner_who_may_not_own_leaves_the_old_one(self, product: Installation) -> None:
        """Owner and organizer stay as they are; the rest of the event is written, and later ones do not try again."""
        script = MeetingScript(1)
        await product.sync(script.booked(user=1))
        product.crm.rights[USER_IDS[2]] = Rights(roles=False)
        await product.sync(script.changed(title="New", relationships={"user": Target("user", 3)}))
        assert product.appointment.values["subject"] == "New"
        assert product.appointment.values["_ownerid_value"] == USER_IDS[0]
        assert (7, USER_IDS[0]) in product.parties()
        entry = await product.sync(script.changed(title="Newer"))
        assert (entry["dataverseCalls"], entry["columns"]) == (1, ["subject"])

    async def test_once_the_owner_may_own_the_meeting_is_written_again(self, product: Installation) -> None:
        """Owner and organizer are as they should have been."""
        product.crm.rights[USER_IDS[2]] = Rights(roles=False)
        await product.sync(MeetingScript(1).booked(user=3))
        product.crm.rights.clear()
        entry = await write_again(product)
        assert entry["outcome"] == "updated"
        assert product.appointment.values["_ownerid_value"] == USER_IDS[2]
        assert (7, USER_IDS[2]) in product.parties()
        assert await refused(product) == {}


class TestOneColumn:
    @pytest.mark.parametrize("column", ["subject", "location", "description", "isalldayevent", "regardingobjectid"])
    async def test_a_new_appointment_is_made_without_it(self, product: Installation, column: str) -> None:
        """In two creates; everything else is there."""
        refuse(product, column)
        entry = await product.sync(MeetingScript(1).booked(location="Room 1", description="Agenda", prospects=[101]))
        assert (entry["outcome"], creates(product)) == ("created", 2)
        assert await refused(product) == {column: "0x80040265"}
        assert column not in entry["columns"]
        assert (await product.meeting("1"))["status"] == "in_dynamics"
        assert await product.dead_letters() == []

    async def test_a_list_of_parties_that_is_refused_as_a_whole(self, product: Installation) -> None:
        """Attendees and then the organizer; the owner stays."""
        refuse(product, PARTIES)
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[101], user=1))
        assert set(await refused(product)) == {PARTIES, "organizer"}
        assert product.appointment.values["_ownerid_value"] == USER_IDS[0]
        entry = await product.sync(script.changed(title="New"))
        assert (entry["dataverseCalls"], entry["columns"]) == (1, ["subject"])

    async def test_later_changes_do_not_take_it_along(self, product: Installation) -> None:
        """It is sent once; a change of something else costs one call, the same again none."""
        refuse(product, "location")
        script = MeetingScript(1)
        await product.sync(script.booked())
        changed = script.changed(location="Room 1", title="New")
        entry = await product.sync(changed)
        assert (entry["outcome"], product.appointment.values["subject"]) == ("updated", "New")
        assert await refused(product) == {"location": "0x80040265"}
        assert (await product.sync(script.changed(title="Newer")))["dataverseCalls"] == 1
        assert (await product.sync(changed))["dataverseCalls"] == 0

    async def test_its_next_value_is_tried(self, product: Installation) -> None:
        """And what Dynamics takes is not refused any more."""
        refuse(product, "location", value="Room 1")
        script = MeetingScript(1)
        await product.sync(script.booked(location="Room 1"))
        await product.sync(script.changed(location="Room 2"))
        assert product.appointment.values["location"] == "Room 2"
        assert await refused(product) == {}

    async def test_the_value_that_it_had_before_is_written_again(self, product: Installation) -> None:
        """There and back again, with a refusal in between."""
        refuse(product, "location", value="Room 2")
        script = MeetingScript(1)
        await product.sync(script.booked(location="Room 1"), script.changed(location="Room 2"))
        assert await refused(product) == {"location": "0x80040265"}
        await product.sync(script.changed(location="Room 1"))
        assert (product.appointment.values["location"], await refused(product)) == ("Room 1", {})

    async def test_it_is_tried_under_another_mapping(self, product: Installation, tmp_path: Path) -> None:
        """With the next run of the sweep already: nobody has to change the meeting in Outreach."""
        refuse(product, "location")
        await product.sync(MeetingScript(1).booked(location="Room 1"))
        allow(product)
        content = default_content()
        content["rows"][4]["max_length"] = 100
        mapping = tmp_path / "mapping.json"
        mapping.write_text(json.dumps(content), encoding="utf-8")
        await product.restart(MAPPING_FILE=str(mapping))
        await product.runtime.sweep.run()
        await product.work()
        assert (product.appointment.values["location"], await refused(product)) == ("Room 1", {})

    async def test_several_are_found_one_by_one(self, product: Installation) -> None:
        """Three creates at most for one attempt; what was found is remembered, and the next attempt goes on."""
        for column in ("subject", "location", "description", "isalldayevent"):
            refuse(product, column)
        receipt = (await product.send(MeetingScript(1).booked(location="Room 1", description="Agenda")))[0]
        await product.work(limit=1)
        assert creates(product) == 3
        assert (await product.journal(receipt))["outcome"] == "retrying"
        assert len(await refused(product)) == 3
        await product.work()
        assert creates(product) == 5
        assert len(product.crm.appointments) == 1
        assert set(await refused(product)) == {"subject", "location", "description", "isalldayevent"}

    async def test_a_refusal_that_names_nothing_is_a_dead_letter(self, product: Installation) -> None:
        """Nothing is left out at a guess; sent again once the plug-in is gone, all of it is written."""
        refuse(product, message="Computer says no.")
        entry = await product.sync(MeetingScript(1).booked(bookedAt=BOOKED))
        assert (entry["outcome"], creates(product)) == ("dead-lettered", 1)
        allow(product)
        await product.runtime.admin.replay(None, by=BY_KEY)
        await product.work()
        assert product.appointment.values["createdon"] == BOOKED
        assert await product.dead_letters() == []

    @pytest.mark.parametrize("code", ["0x80048d19", "0x8006088a"])
    async def test_a_column_that_the_table_does_not_have(
        self, azurite: str, storage_names: StorageNames, tmp_path: Path, code: str
    ) -> None:
        """A mapping names it, and the appointment is written without."""
        content = default_content()
        content["rows"].append(
            {"row": "Mood", "field": "mood", "column": "new_mood", "transform": "text", "sources": ["attributes.mood"]}
        )
        mapping = tmp_path / "mapping.json"
        mapping.write_text(json.dumps(content), encoding="utf-8")
        async with installation(azurite, storage_names.queue("events"), MAPPING_FILE=str(mapping)) as product:
            product.crm.switches = replace(product.crm.switches, unknown_column=code)  # type: ignore[arg-type]
            await product.sync(MeetingScript(1).booked(mood="good"))
            assert await refused(product) == {"new_mood": code}

    async def test_times_are_refused_together(self, product: Installation) -> None:
        """One alone could come to lie on the wrong side of the other. With new times both are tried."""
        script = MeetingScript(1)
        await product.sync(script.booked())
        start = product.appointment.values["scheduledstart"]
        refuse(product, "scheduledstart", value="2026-05-01T10:00:00Z")
        moved = script.changed(title="Moved", startTime="2026-05-01T10:00:00Z", endTime="2026-05-01T11:00:00Z")
        await product.sync(moved)
        values = product.appointment.values
        assert (values["subject"], values["scheduledstart"]) == ("Moved", start)
        assert set(await refused(product)) == {"scheduledstart", "scheduledend"}
        await product.sync(script.changed(startTime="2026-05-01T10:30:00Z"))
        values = product.appointment.values
        assert (values["scheduledstart"], values["scheduledend"]) == ("2026-05-01T10:30:00Z", "2026-05-01T11:00:00Z")
        assert await refused(product) == {}

    async def test_a_party_that_no_appointment_takes_costs_the_attendees(self, product: Installation) -> None:
        """An organisation takes no addresses: the code alone says what it is about."""
        product.crm.switches = replace(product.crm.switches, unresolved_parties="refuse")
        await product.sync(MeetingScript(1).booked(prospects=[101, 108], user=1))
        assert await refused(product) == {PARTIES: "0x80043506"}
        assert product.parties() == {(7, USER_IDS[0])}


class TestState:
    async def test_a_state_that_is_refused_costs_the_state(self, product: Installation) -> None:
        """The rest of the event is written, and a later change too."""
        refuse(product, "statecode", code="0x80048408", message="Nein.")
        script = MeetingScript(1)
        await product.sync(script.booked(), script.changed(state="completed", title="Held"))
        assert (product.appointment.values["subject"], product.appointment.values["statecode"]) == ("Held", 0)
        assert await refused(product) == {"statecode": "0x80048408"}
        assert (await product.sync(script.changed(title="Held indeed")))["dataverseCalls"] == 1
        allow(product)
        await write_again(product)
        assert (product.appointment.values["statecode"], await refused(product)) == (1, {})

    async def test_a_state_alone(self, product: Installation) -> None:
        """Nothing else changes, so nothing else is written, and the same again costs nothing."""
        refuse(product, "statecode", message="Nein.")
        script = MeetingScript(1)
        held = script.completed()
        await product.sync(script.booked(), held)
        assert await refused(product) == {"statecode": "0x80040265"}
        assert (await product.sync(held))["dataverseCalls"] == 0
        assert (await product.meeting("1"))["columnsInDoubt"] == []

    async def test_a_new_appointment_stays_open(self, product: Installation) -> None:
        """It is made in one create, and the refused state is a call of its own."""
        refuse(product, "statecode", message="Nein.")
        entry = await product.sync(MeetingScript(1).booked(state="completed"))
        assert (entry["outcome"], creates(product)) == ("created", 1)
        assert await refused(product) == {"statecode": "0x80040265"}


class TestTimes:
    @pytest.mark.parametrize(
        "impossible",
        [
            {"startTime": "2026-12-02T17:00:00Z"},
            {"startTime": "0001-01-01T00:00:00Z", "endTime": "0001-01-01T00:00:00Z"},
            {"endTime": "+275760-09-13T00:00:00Z"},
            {"startTime": "1752-12-31T23:59:59Z"},
        ],
    )
    async def test_impossible_times_freeze_nothing(self, product: Installation, impossible: dict[str, Any]) -> None:
        """They stay as they stand, with a note; title and state go on, and possible times are written."""
        script = MeetingScript(1)
        start = datetime(2026, 12, 2, 15, tzinfo=UTC)
        await product.sync(script.booked(start=start, end=start + timedelta(minutes=30)))
        entry = await product.sync(script.changed(**impossible))
        assert entry["notes"]
        await product.sync(script.changed(title="x"), script.completed())
        values = product.appointment.values
        assert (values["subject"], values["statecode"]) == ("x", 1)
        assert (values["scheduledstart"], values["scheduledend"]) == ("2026-12-02T15:00:00Z", "2026-12-02T15:30:00Z")
        assert await product.dead_letters() == []
        await product.sync(script.changed(startTime="2026-12-03T15:00:00Z", endTime="2026-12-03T15:30:00Z"))
        assert product.appointment.values["scheduledstart"] == "2026-12-03T15:00:00Z"

    async def test_a_time_that_does_not_fit_a_persons_freezes_nothing(self, product: Installation) -> None:
        """A person moved both, Outreach moves the end before that start: both are named as refused, no more."""
        script = MeetingScript(1)
        start = datetime(2026, 12, 3, 8, tzinfo=UTC)
        await product.sync(script.booked(start=start, end=start + timedelta(minutes=15)))
        product.edit(scheduledstart="2026-12-10T08:00:00Z", scheduledend="2026-12-10T09:00:00Z")
        entry = await product.sync(script.changed(endTime="2026-12-03T09:00:00Z", title="x"))
        assert (entry["outcome"], entry["columns"]) == ("updated", ["subject"])
        assert any("scheduledend" in note for note in entry["notes"])
        refused = ((await product.meeting("1")) or {})["refused"]
        assert [one["column"] for one in refused] == ["scheduledend", "scheduledstart"]
        await product.sync(script.changed(startTime="2026-12-04T08:00:00Z", endTime="2026-12-04T09:00:00Z"))
        values = product.appointment.values
        assert (values["scheduledstart"], values["scheduledend"]) == ("2026-12-04T08:00:00Z", "2026-12-04T09:00:00Z")
        assert await product.dead_letters() == []

    async def test_times_are_not_taken_for_what_was_wrong(self, product: Installation) -> None:
        """The code says so of other values too: where leaving the times out does not help, they are not remembered."""
        script = MeetingScript(1)
        await product.sync(script.booked())
        product.crm.plugins.registered.append(Plugin(column="subject", code="0x80040203", message="No."))
        entry = await product.sync(script.changed(title="x", endTime="2026-03-02T16:00:00Z"))
        assert entry["outcome"] == "dead-lettered"
        assert ((await product.meeting("1")) or {})["refused"] == []

    async def test_a_new_meeting_with_impossible_times_waits_for_possible_ones(self, product: Installation) -> None:
        """It is no dead letter; the meeting says what it waits for."""
        script = MeetingScript(1)
        entry = await product.sync(script.booked(end=datetime(2020, 1, 1, tzinfo=UTC)))
        assert entry["outcome"] == "parked"
        assert "times" in (await product.meeting("1"))["parked"]
        await product.sync(script.changed(startTime="2026-12-03T15:00:00Z", endTime="2026-12-03T15:30:00Z"))
        assert product.appointment.values["scheduledend"] == "2026-12-03T15:30:00Z"


class TestWriteAgain:
    async def test_what_differs_is_written_again(self, product: Installation) -> None:
        """What people changed of it too; what they added beside stays."""
        await product.sync(MeetingScript(1).booked(title="Ours", prospects=[101]))
        product.edit(subject="Theirs", category="Theirs")
        product.invite(5, LEAD_IDS[1])
        entry = await write_again(product)
        assert (entry["outcome"], entry["columns"], entry["by"]) == ("updated", ["subject"], BY_KEY)
        assert (product.appointment.values["subject"], product.appointment.values["category"]) == ("Ours", "Theirs")
        assert (5, LEAD_IDS[1]) in product.parties()

    async def test_what_is_right_is_not_written(self, product: Installation) -> None:
        """One look, and no write."""
        await product.sync(MeetingScript(1).booked())
        version = product.appointment.version
        entry = await write_again(product)
        assert (entry["outcome"], entry["columns"], entry["dataverseCalls"]) == ("duplicate", [], 1)
        assert product.appointment.version == version

    async def test_nobody_writes_what_is_not_known(self, product: Installation) -> None:
        """There is nothing to write."""
        assert await product.runtime.admin.write("404", by=BY_KEY) is None

    async def test_what_was_deleted_is_made_again(self, product: Installation) -> None:
        """A look shows that it is gone."""
        await product.sync(MeetingScript(1).booked())
        product.crm.appointments.clear()
        assert (await write_again(product))["outcome"] == "created"
        assert len(product.crm.appointments) == 1


@pytest.mark.parametrize("code", ["0x80044150", "0x80044151", "0x8004418d"])
async def test_trouble_that_passes_passes_whatever_its_status(product: Installation, code: str) -> None:
    """Sent as 400, it is no refusal: the event comes again, and nothing was learnt."""
    next_calls_meet(product, {"status": 400, "code": code, "message": "subject"})
    receipt = (await product.send(MeetingScript(1).booked(bookedAt=BOOKED)))[0]
    await product.work(limit=1)
    assert (await product.journal(receipt))["outcome"] == "retrying"
    await product.work()
    assert product.appointment.values["createdon"] == BOOKED
    assert await refused(product) == {}


async def test_a_link_that_does_not_fit_into_the_location_is_in_the_description(product: Installation) -> None:
    """People who join from the appointment find the whole of it."""
    link = "https://meet.example.com/j/" + "0123456789" * 20
    entry = await product.sync(MeetingScript(1).booked(location=link, description="Agenda"))
    assert product.appointment.values["description"] == f"Agenda\n\n{link}"
    assert any("cut at 200 characters" in note for note in entry["notes"])

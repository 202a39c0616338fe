"""A meeting that is in Dynamics already, made by the plugin or tracked from Outlook, gets no second appointment."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach.deliveries import MeetingScript
from shared.meeting.adopt import global_object_ids
from tests.outreach.samples import mapping_content
from tests.product.bench import Installation, installation

TIMES = {"scheduledstart": "2026-03-02T15:00:00Z", "scheduledend": "2026-03-02T15:30:00Z"}
BOOKED = "2025-02-01T09:00:00Z"
UID = "abc@google.com"


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation that adopts; Outreach tells the iCal id."""
    async with installation(azurite, storage_names.queue("events"), MAPPING_FILE=adopting(tmp_path)) as made:
        yield made


def adopting(folder: Path, **existing: str) -> str:
    """The default mapping with `existing`, as a file."""
    content = mapping_content()
    content["existing"] = existing or {"adopt": "always"}
    content["signals"].append({"field": "ical_uid", "kind": "text", "sources": ["attributes.iCalUid"]})
    path = folder / "adopting.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


async def made(product: Installation, **columns: Any) -> str:
    """An appointment as the plugin leaves it, or somebody else; returns its id."""
    parties = [
        {"participationtypemask": 7, "partyid_systemuser@odata.bind": f"/systemusers({USER_IDS[0]})"},
        {"participationtypemask": 6, "partyid_contact@odata.bind": f"/contacts({CONTACT_IDS[0]})"},
        {"participationtypemask": 5, "partyid_contact@odata.bind": f"/contacts({CONTACT_IDS[5]})"},
    ]
    body = {
        "subject": "Intro call",
        "ownerid@odata.bind": f"/systemusers({USER_IDS[0]})",
        "appointment_activity_parties": parties,
        **TIMES,
        **columns,
    }
    url = product.environment["DATAVERSE_URL"]
    async with httpx.AsyncClient(base_url=f"{url}/api/data/v9.2", trust_env=False) as client:
        answer = await client.post("/appointments", json=body, headers={"Authorization": "Bearer people"})
    assert answer.status_code == 204, answer.text
    return answer.headers["OData-EntityId"].rpartition("(")[2].strip(")")


def booked(script: MeetingScript, **attributes: Any) -> Any:
    """The meeting of `made`, with one attendee more."""
    return script.booked(prospects=[101, 102], location="Room 1", **attributes)


async def test_a_row_of_the_plugin_is_taken_over(product: Installation) -> None:
    """Nothing is made; what is empty is filled, what holds something else stays, attendees are united."""
    there = await made(product, description="What the rep wrote")
    entry = await product.sync(booked(MeetingScript(1), description="What Outreach says"))
    assert (entry["outcome"], entry["appointmentId"]) == ("updated", there)
    shown = await product.meeting("1")
    assert shown["takenOver"] == {
        "madeBy": APP_USER_ID,
        "madeOn": product.appointment.values["createdon"],
        "tracked": False,
    }
    assert product.appointment.values["location"] == "Room 1"
    assert product.appointment.values["description"] == "What the rep wrote"
    assert product.parties() == {(7, USER_IDS[0]), (6, CONTACT_IDS[0]), (5, CONTACT_IDS[1]), (5, CONTACT_IDS[5])}
    assert entry["columns"] == ["appointment_activity_parties", "location", "regardingobjectid"]
    assert any(note.startswith(f"Took over appointment {there}, made by user ") for note in entry["notes"])
    assert (
        "description already holds something else there, and stays so until it changes in Outreach." in entry["notes"]
    )


async def test_what_was_kept_changes_with_outreach(product: Installation) -> None:
    """A column that stayed is written when Outreach changes that field, and no sooner."""
    await made(product, description="What the rep wrote")
    script = MeetingScript(1)
    await product.sync(booked(script, description="What Outreach says"))
    assert (await product.sync(script.changed(title="Second call")))["columns"] == ["subject"]
    assert product.appointment.values["description"] == "What the rep wrote"
    await product.sync(script.changed(description="Something new"))
    assert product.appointment.values["description"] == "Something new"


@pytest.mark.parametrize(
    "columns",
    [{"subject": "Another call"}, {"scheduledend": "2026-03-02T16:00:00Z"}, {"ownerid": USER_IDS[1]}],
    ids=lambda columns: next(iter(columns)),
)
async def test_another_meeting_is_left_alone(product: Installation, columns: dict[str, str]) -> None:
    """Owner, times and subject all have to be the same."""
    if "ownerid" in columns:
        columns = {"ownerid@odata.bind": f"/systemusers({columns['ownerid']})"}
    there = await made(product, **columns)
    assert (await product.sync(booked(MeetingScript(1))))["outcome"] == "created"
    assert product.crm.appointments.keys() > {there}


async def test_letter_case_does_not_count(product: Installation) -> None:
    """Dynamics compares text so, the plugin did, and we do; the subject stays as it is written there."""
    there = await made(product, subject="INTRO CALL")
    assert (await product.sync(booked(MeetingScript(1))))["appointmentId"] == there
    assert product.appointment.values["subject"] == "INTRO CALL"


@pytest.mark.parametrize("state", [(1, 3), (2, 4)])
async def test_what_is_over_is_left_alone(product: Installation, state: tuple[int, int]) -> None:
    """A completed or canceled row is nobody's any more."""
    there = await made(product)
    product.edit(statecode=state[0], statuscode=state[1])
    entry = await product.sync(booked(MeetingScript(1)))
    assert (entry["outcome"], entry["appointmentId"] == there) == ("created", False)


async def test_a_scheduled_row_is_taken_over_and_stays_busy(product: Installation) -> None:
    """Busy is an open state like any other."""
    there = await made(product)
    product.edit(statecode=3, statuscode=5)
    assert (await product.sync(booked(MeetingScript(1))))["appointmentId"] == there
    assert product.appointment.values["statuscode"] == 5


@pytest.mark.parametrize("form", [0, 1])
async def test_outlooks_row_is_found_by_the_ical_id(product: Installation, form: int) -> None:
    """Whatever it is called and whenever it is there; and what Outlook carries stays Outlook's for ever."""
    known = global_object_ids(UID)[form].lower()
    there = await made(product, subject="As Outlook has it", scheduledend="2026-03-02T17:00:00Z", globalobjectid=known)
    script = MeetingScript(1)
    booking = booked(script, iCalUid=UID, description="From Outreach")
    entry = await product.sync(booking)
    assert entry["appointmentId"] == there
    assert entry["columns"] == ["regardingobjectid"]
    assert (await product.sync(script.changed(title="Second")))["columns"] == []
    await product.sync(script.completed())
    now = product.appointment.values
    assert (now["subject"], now["location"], now["description"], now["statecode"]) == (
        "As Outlook has it",
        None,
        None,
        1,
    )
    assert now["scheduledend"] == "2026-03-02T17:00:00Z"
    assert product.parties() == {(7, USER_IDS[0]), (6, CONTACT_IDS[0]), (5, CONTACT_IDS[5])}


async def test_regarding_is_ours_in_outlooks_row(product: Installation) -> None:
    """Outlook knows nothing of opportunities."""
    await made(product, globalobjectid=global_object_ids(UID)[1])
    entry = await product.sync(MeetingScript(1).booked(prospects=[101], opportunity=301, iCalUid=UID))
    assert entry["columns"] == ["regardingobjectid"]
    assert product.appointment.values["_regardingobjectid_value"] == OPPORTUNITY_IDS[0]


async def test_two_meetings_never_share_a_row(product: Installation) -> None:
    """The second one that fits gets an appointment of its own, and neither takes what we made."""
    there = await made(product)
    entries = [await product.sync(booked(MeetingScript(number))) for number in (1, 2, 3)]
    assert [entry["outcome"] for entry in entries] == ["updated", "created", "created"]
    assert entries[0]["appointmentId"] == there
    assert len({entry["appointmentId"] for entry in entries}) == len(product.crm.appointments) == 3


async def test_one_question_before_a_create_and_no_other(product: Installation) -> None:
    """Nothing else asks for what is there."""
    script = MeetingScript(1)
    entry = await product.sync(booked(script))
    assert entry["outcome"] == "created"
    assert len(questions(product)) == 1
    await product.sync(script.changed(title="Second"), script.changed(title="Second"), script.completed())
    assert len(questions(product)) == 1


async def test_without_the_key_nothing_is_asked(azurite: str, storage_names: StorageNames) -> None:
    """A mapping file of before means what it meant: a second appointment, and no call more."""
    async with installation(azurite, storage_names.queue("events")) as product:
        await made(product)
        assert (await product.sync(booked(MeetingScript(1))))["outcome"] == "created"
        assert questions(product) == []
        assert len(product.crm.appointments) == 2
        assert (await product.meeting("1"))["takenOver"] is None


async def test_a_meeting_booked_after_the_move_is_not_looked_for(product: Installation, tmp_path: Path) -> None:
    """With a time, only what was booked before it, or nobody heard the booking of."""
    await made(product)
    await product.restart(MAPPING_FILE=adopting(tmp_path, adopt="booked_before", booked_before="2025-02-02T00:00:00Z"))
    entry = await product.sync(booked(MeetingScript(1), bookedAt="2025-02-02T00:00:00Z"))
    assert (entry["outcome"], questions(product)) == ("created", [])
    assert (await product.sync(booked(MeetingScript(2), bookedAt="2025-02-01T23:59:59Z")))["outcome"] == "updated"


async def test_a_deleted_row_that_was_taken_over_is_made_anew(product: Installation) -> None:
    """What is made in its place is ours, with all columns, under an id of ours."""
    there = await made(product, globalobjectid=global_object_ids(UID)[1])
    script = MeetingScript(1)
    await product.sync(booked(script, iCalUid=UID))
    del product.crm.appointments[there]
    await product.sync(script.completed(), script.changed(title="Second"))
    assert product.appointment.id != there
    assert (product.appointment.values["subject"], product.appointment.values["location"]) == ("Second", "Room 1")


async def test_a_dry_run_says_so_and_claims_nothing(product: Installation) -> None:
    """It finds the same row, and leaves it for whoever comes."""
    there = await made(product)
    found = await product.runtime.dry_runner.run(booked(MeetingScript(1)).document)
    assert (found.outcome, found.appointment_id) == ("updated", there)
    assert any(note.startswith("Took over appointment") for note in found.notes)
    assert (await product.sync(booked(MeetingScript(2))))["appointmentId"] == there
    again = await product.runtime.dry_runner.run(booked(MeetingScript(1)).document)
    assert again.outcome == "created"


def questions(product: Installation) -> list[str]:
    """The addresses of every search for an appointment."""
    return [
        request["path"]
        for request in product.crm.log.last(1000)
        if request["method"] == "GET" and request["path"].split("?")[0].endswith("/appointments")
    ]

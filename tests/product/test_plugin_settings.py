"""The plugin settings with the plugin's meaning: what is switched off is kept and goes out when it is switched on."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox.dataverse import people
from sandbox.dataverse.plugins import Plugin
from sandbox.dataverse.seed import LEAD_IDS
from sandbox.outreach.deliveries import MeetingScript, Target
from shared.mapping_file import DEFAULT_MAPPING_FILE
from tests.product.bench import Installation


async def swept(product: Installation) -> None:
    """Let the timer run once and carry out what it sent on."""
    await product.runtime.sweep.run()
    await product.work()


def mapping_file(folder: Path, **changes: Any) -> str:
    """The default mapping with `changes`, as a file."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8")) | changes
    path = folder / "mapping.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


async def test_what_went_out_is_parked_no_more(product: Installation) -> None:
    """An event that meets the condition takes the meeting out of the number that waits."""
    meeting = MeetingScript(1)
    await product.sync(meeting.booked(prospects=()), MeetingScript(2).booked(prospects=()))
    assert await product.runtime.meetings.parked.count(limit=10) == 2
    prospect = Target("prospect", 101)
    entry = await product.sync(meeting.changed(relationships={"prospects": (prospect,), "prospect": prospect}))
    assert entry["outcome"] == "created"
    assert await product.runtime.meetings.parked.count(limit=10) == 1


async def test_pushing_off(product: Installation) -> None:
    """With Pushing off nothing goes out; with it on again everything does, without a new event."""
    await product.restart(SYNC_PUSHING="false")
    script = MeetingScript(1)
    entry = await product.sync(script.booked(), script.changed(title="While off"))
    assert (entry["outcome"], entry["lastError"]["reason"]) == ("parked", "Pushing is off (SYNC_PUSHING).")
    assert product.crm.log.total == 0 or not product.writes()
    await product.restart(SYNC_PUSHING="true")
    await swept(product)
    assert product.appointment.values["subject"] == "While off"


async def test_outbound_create_off(product: Installation) -> None:
    """With Outbound Create off existing appointments change and new ones wait."""
    old, new = MeetingScript(1), MeetingScript(2)
    await product.sync(old.booked())
    await product.restart(SYNC_OUTBOUND_CREATE="false")
    assert (await product.sync(old.changed(title="Changed")))["outcome"] == "updated"
    assert (await product.sync(new.booked()))["outcome"] == "parked"
    assert len(product.crm.appointments) == 1
    await product.restart(SYNC_OUTBOUND_CREATE="true")
    await swept(product)
    assert len(product.crm.appointments) == 2


async def test_outbound_update_off(product: Installation) -> None:
    """With Outbound Update off new appointments are made and existing ones stay as they are."""
    old, new = MeetingScript(1), MeetingScript(2)
    await product.sync(old.booked(title="Before"))
    await product.restart(SYNC_OUTBOUND_UPDATE="false")
    assert (await product.sync(old.changed(title="After"), old.completed()))["outcome"] == "parked"
    assert product.appointment.values["subject"] == "Before"
    assert (await product.sync(new.booked()))["outcome"] == "created"
    await product.restart(SYNC_OUTBOUND_UPDATE="true")
    await swept(product)
    first = product.crm.appointments[(await product.meeting("1") or {})["appointmentId"]]
    assert (first.values["subject"], first.values["statecode"]) == ("After", 1)


async def test_a_meeting_without_prospect_does_not_sync(product: Installation) -> None:
    """The first default condition: only meetings with a prospect; one that gets a prospect later goes out then."""
    script = MeetingScript(1)
    entry = await product.sync(script.booked(prospects=[]))
    assert (entry["outcome"], entry["lastError"]["reason"]) == ("parked", "The meeting has no prospect.")
    await product.sync(script.changed(relationships={"prospect": Target("prospect", 101)}))
    assert len(product.crm.appointments) == 1


async def test_only_the_organizer_creates(product: Installation) -> None:
    """The second default condition: where the event says whose calendar it is, only the organizer's creates."""
    assert (await product.sync(MeetingScript(1).booked(isOrganizer=False)))["outcome"] == "parked"
    booked = MeetingScript(2).booked()
    del (document := booked.document)["data"]["attributes"]["isOrganizer"]
    assert (await product.sync(document))["outcome"] == "created"


async def test_own_conditions(product: Installation, tmp_path: Path) -> None:
    """A condition of the admin's own holds meetings back, and they go out when the mapping changes."""
    condition = {"field": "title", "is": "not_equal", "value": "Lunch", "otherwise": "Lunches stay out."}
    await product.restart(MAPPING_FILE=mapping_file(tmp_path, create_conditions=[condition]))
    entry = await product.sync(MeetingScript(1).booked(title="Lunch"))
    assert (entry["outcome"], entry["lastError"]["reason"]) == ("parked", "Lunches stay out.")
    await product.restart(MAPPING_FILE="")
    await swept(product)
    assert product.appointment.values["subject"] == "Lunch"


async def test_the_sweep_leaves_alone_what_still_waits(product: Installation) -> None:
    """A meeting parked under the rules that still hold is not sent round again by every sweep."""
    await product.sync(MeetingScript(1).booked(prospects=[]))
    assert (await product.runtime.sweep.run()).sent("parked") == 0


async def test_parked_meeting_that_fails_when_it_is_sent_on(product: Installation) -> None:
    """It is a dead letter, and the sweep has done with it: it does not make another one every hour."""
    product.crm.plugins.registered.append(Plugin(message="No."))
    await product.restart(SYNC_PUSHING="false")
    await product.sync(MeetingScript(1).booked())
    await product.restart(SYNC_PUSHING="true")
    await swept(product)
    (dead_letter,) = await product.dead_letters()
    product.runtime.later = timedelta(hours=2)
    assert (await product.runtime.sweep.run()).sent("parked") == 0
    product.crm.plugins.registered.clear()
    assert await product.runtime.admin.replay(None, by="_master") == [dead_letter["correlationId"]]
    await product.work()
    assert len(product.crm.appointments) == 1
    assert await product.runtime.meetings.parked.count(limit=10) == 0


async def test_contact_before_lead_is_a_choice(product: Installation, tmp_path: Path) -> None:
    """Somebody who is both can be invited as a lead, and people without a record can be left out."""
    attendees = {"order": ["lead", "contact"], "unresolved": "skip"}
    await product.restart(MAPPING_FILE=mapping_file(tmp_path, attendees=attendees))
    await product.sync(MeetingScript(1).booked(prospects=[105, 108]))
    assert {party for party in product.parties() if party[0] == 5} == {(5, LEAD_IDS[1])}


async def test_deleted_in_dynamics_may_stay_deleted(product: Installation, tmp_path: Path) -> None:
    """With deleted_in_dynamics=leave what a person deleted stays away, and the journal says so."""
    await product.restart(MAPPING_FILE=mapping_file(tmp_path, deleted_in_dynamics="leave"))
    script = MeetingScript(1)
    first = await product.sync(script.booked())
    people.delete(product.crm, {"id": first["appointmentId"]})
    assert (await product.sync(script.changed(title="Again")))["outcome"] == "left"
    assert not product.crm.appointments

"""Each row of the mapping table, on the wire: what reaches Dataverse when that field is set, changed and cleared."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach.deliveries import Form, MeetingScript, Target
from tests.product.bench import Installation, installation


async def test_booked_date_becomes_created_on(product: Installation) -> None:
    """Booked Date goes out as overriddencreatedon with the create only, and Dynamics shows it as Created On."""
    script = MeetingScript(1)
    await product.sync(script.booked(bookedAt="2026-01-15T08:30:00.000Z"))
    await product.sync(script.changed(bookedAt="2026-01-16T08:30:00.000Z", title="Later"))
    created, updated = product.writes()
    assert created["overriddencreatedon"] == "2026-01-15T08:30:00Z"
    assert "overriddencreatedon" not in updated
    assert product.appointment.values["createdon"] == "2026-01-15T08:30:00Z"


async def test_booked_date_is_the_calendars_own(product: Installation) -> None:
    """When the meeting was made in the calendar counts, where Outreach tells, and not when Outreach learnt of it."""
    booked = json.loads(MeetingScript(1).booked(externalCreatedAt="2025-01-10T08:30:00.000Z").body)
    del booked["data"]["attributes"]["bookedAt"]
    assert booked["data"]["attributes"]["createdAt"] > "2025-01-10T08:30:00.000Z"
    await product.sync(booked)
    (created,) = product.writes()
    assert created["overriddencreatedon"] == "2025-01-10T08:30:00Z"


async def test_booker_becomes_created_by(product: Installation) -> None:
    """The booker is impersonated on create, so Dynamics shows them as Created By, and on no later write."""
    script = MeetingScript(1)
    await product.sync(script.booked(booker=2, user=1))
    await product.sync(script.changed(title="Later"))
    created, updated = product.writes()
    assert created["headers"]["MSCRMCallerID"] == USER_IDS[1]
    assert "MSCRMCallerID" not in updated["headers"]
    assert product.appointment.values["_createdby_value"] == USER_IDS[1]


async def test_booker_who_is_a_prospect(product: Installation) -> None:
    """A prospect who booked by link is nobody's user: the app's user creates, and the journal says so."""
    entry = await product.sync(MeetingScript(1).booked(booker=Target("prospect", 101)))
    assert product.appointment.values["_createdby_value"] == APP_USER_ID
    assert any("Booker" in note for note in entry["notes"])


async def test_title_becomes_subject(product: Installation) -> None:
    """Title is the subject, cut at 200 characters."""
    script = MeetingScript(1)
    await product.sync(script.booked(title="T" * 250))
    assert product.appointment.values["subject"] == "T" * 200
    await product.sync(script.changed(title="Short"))
    assert product.writes()[-1] == {"subject": "Short", "headers": product.writes()[-1]["headers"]}
    assert product.appointment.values["subject"] == "Short"


async def test_text_is_made_fit_for_dynamics(product: Installation) -> None:
    """Emojis count twice, as Dynamics counts, and characters that it refuses are left out."""
    await product.sync(MeetingScript(1).booked(title="🙂" * 150, location="Room\x00\x0b 1\ufffe\tleft"))
    assert product.appointment.values["subject"] == "🙂" * 100
    assert product.appointment.values["location"] == "Room 1\tleft"


async def test_description(product: Installation) -> None:
    """Description is carried whole, and null clears it."""
    script = MeetingScript(1)
    text = "Agenda\n" + "point ä 🙂\n" * 500
    await product.sync(script.booked(description=text))
    assert product.appointment.values["description"] == text
    await product.sync(script.changed(description=None))
    assert product.appointment.values["description"] is None


async def test_location(product: Installation) -> None:
    """Location is carried, cut at 200 characters, and absent means unchanged."""
    script = MeetingScript(1)
    await product.sync(script.booked(location="Room 1"))
    await product.sync(script.changed(title="Other"))
    assert product.appointment.values["location"] == "Room 1"
    await product.sync(script.changed(location="R" * 201))
    assert product.appointment.values["location"] == "R" * 200


async def test_all_day(azurite: str, storage_names: StorageNames) -> None:
    """An all-day meeting runs from midnight to midnight of the configured zone."""
    queue = storage_names.queue("events")
    async with installation(azurite, queue, SYNC_ALL_DAY_TIME_ZONE="Europe/Berlin") as product:
        booked = MeetingScript(1).booked(allDay=True, startTime="2026-07-01", endTime="2026-07-03")
        await product.sync(booked)
        values = product.appointment.values
        assert values["isalldayevent"] is True
        assert (values["scheduledstart"], values["scheduledend"]) == ("2026-06-30T22:00:00Z", "2026-07-02T22:00:00Z")


async def test_start_and_end(product: Installation) -> None:
    """Start and end are sent as UTC instants, and no duration is."""
    start, end = datetime(2026, 5, 4, 9, 30, tzinfo=UTC), datetime(2026, 5, 4, 10, 15, tzinfo=UTC)
    await product.sync(MeetingScript(1).booked(start=start, end=end))
    (created,) = product.writes()
    assert (created["scheduledstart"], created["scheduledend"]) == ("2026-05-04T09:30:00Z", "2026-05-04T10:15:00Z")
    assert "scheduleddurationminutes" not in created


@pytest.mark.parametrize(
    ("prospect", "record"),
    [
        (101, CONTACT_IDS[0]),
        (102, CONTACT_IDS[1]),
        (103, CONTACT_IDS[2]),
        (104, LEAD_IDS[0]),
        (105, CONTACT_IDS[3]),
        (106, CONTACT_IDS[4]),
        (107, CONTACT_IDS[5]),
        (109, LEAD_IDS[2]),
        (110, LEAD_IDS[3]),
    ],
)
async def test_prospect_becomes_attendee(product: Installation, prospect: int, record: str) -> None:
    """A prospect is a required attendee as its contact, else its lead, in whatever form Outreach tells which."""
    await product.sync(MeetingScript(1).booked(prospects=[prospect]))
    assert (5, record) in product.parties()


async def test_unknown_prospect_is_invited_by_address(product: Installation) -> None:
    """Somebody without a record in Dynamics becomes a party with an address only, and the journal says so."""
    entry = await product.sync(MeetingScript(1).booked(prospects=[101, 108]))
    assert {(5, CONTACT_IDS[0]), (5, "newcomer@example.com")} <= product.parties()
    assert any("108" in note for note in entry["notes"])


@pytest.mark.parametrize(
    "address",
    ["o'brien@example.com", "x' or 1 eq 1 or 'a' eq '@example.com", "a@b.c')/contacts?$select=*", "x" * 400 + "@a.b"],
)
async def test_addresses_cannot_change_the_query(product: Installation, address: str) -> None:
    """An address with a quote finds only its own person, and nonsense is not asked for at all."""
    product.outreach.records["prospect"][108].attributes["emails"] = [address]
    entry = await product.sync(MeetingScript(1).booked(prospects=[108, 101]))
    assert entry["outcome"] == "created"
    expected = {(5, CONTACT_IDS[0])} | ({(5, address)} if address.startswith("o'brien") else set())
    assert {party for party in product.parties() if party[0] == 5} == expected


async def test_prospects_change(product: Installation) -> None:
    """A new list of prospects replaces ours, and an attendee whom somebody added in Dynamics stays."""
    script = MeetingScript(1)
    await product.sync(script.booked(prospects=[101, 102]))
    product.invite(6, CONTACT_IDS[5])
    await product.sync(script.changed(relationships={"prospects": (Target("prospect", 102), Target("prospect", 104))}))
    expected = {(5, CONTACT_IDS[1]), (5, LEAD_IDS[0]), (6, CONTACT_IDS[5]), (7, USER_IDS[0])}
    assert product.parties() == expected


async def test_owner(product: Installation) -> None:
    """The owner owns the appointment and is its organizer; a new owner takes over both."""
    script = MeetingScript(1)
    await product.sync(script.booked(user=1, booker=None))
    assert product.appointment.values["_ownerid_value"] == USER_IDS[0]
    assert (7, USER_IDS[0]) in product.parties()
    await product.sync(script.changed(relationships={"user": Target("user", 2)}))
    assert product.appointment.values["_ownerid_value"] == USER_IDS[1]
    assert {party for party in product.parties() if party[0] == 7} == {(7, USER_IDS[1])}


async def test_opportunity_is_regarding(product: Installation) -> None:
    """The opportunity is what the appointment is about; without one it is the contact or lead."""
    script = MeetingScript(1)
    await product.sync(script.booked(opportunity=301, prospects=[104]))
    assert product.appointment.values["_regardingobjectid_value"] == OPPORTUNITY_IDS[0]
    await product.sync(script.changed(relationships={"opportunity": None}))
    assert product.appointment.values["_regardingobjectid_value"] == LEAD_IDS[0]


@pytest.mark.parametrize("form", [Form(), Form("wrapped", "text"), Form("flat", "text", 2)], ids=str)
async def test_every_recorded_form_is_read(product: Installation, form: Form) -> None:
    """Flat or wrapped relationships, numbers or texts as ids: the appointment is the same."""
    await product.sync(MeetingScript(1, form=form).booked(opportunity=301))
    values = product.appointment.values
    assert values["_ownerid_value"] == USER_IDS[0]
    assert values["_regardingobjectid_value"] == OPPORTUNITY_IDS[0]
    assert (5, CONTACT_IDS[0]) in product.parties()

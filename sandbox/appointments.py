"""What an appointment in the Dataverse stand-in must hold, compared column by column.

The expectation is written out by whoever tells the story, never computed with the app's own code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import httpx

REQUIRED_ATTENDEE = 5
ORGANIZER = 7
# The stand-in answers with all of them at once, which may be tens of thousands.
STATE_SECONDS = 120
OPEN, COMPLETED, CANCELED = (0, 1), (1, 3), (2, 4)


@dataclass(frozen=True, slots=True)
class Appointment:
    """The columns that the mapping table names. People are GUIDs; an attendee without a record is an e-mail address."""

    subject: str | None
    description: str | None
    location: str | None
    is_all_day: bool
    start: datetime
    end: datetime
    created_on: datetime
    created_by: str
    owner: str
    regarding: str | None
    attendees: frozenset[str]
    organizer: str
    state: tuple[int, int] = OPEN


def read_appointment(row: Mapping[str, Any]) -> Appointment:
    """The appointment in a row of the stand-in's state."""
    parties = row["appointment_activity_parties"]
    people = {
        mask: [
            str(party["_partyid_value"] or party["addressused"])
            for party in parties
            if party["participationtypemask"] == mask
        ]
        for mask in (REQUIRED_ATTENDEE, ORGANIZER)
    }
    return Appointment(
        subject=row["subject"],
        description=row["description"],
        location=row["location"],
        is_all_day=bool(row["isalldayevent"]),
        start=datetime.fromisoformat(row["scheduledstart"]),
        end=datetime.fromisoformat(row["scheduledend"]),
        created_on=datetime.fromisoformat(row["createdon"]),
        created_by=row["_createdby_value"],
        owner=row["_ownerid_value"],
        regarding=row["_regardingobjectid_value"],
        attendees=frozenset(people[REQUIRED_ATTENDEE]),
        organizer=", ".join(people[ORGANIZER]),
        state=(row["statecode"], row["statuscode"]),
    )


def differences(actual: Appointment, wanted: Appointment) -> list[str]:
    """One sentence for every column that is not as it must be."""
    return [
        f"{field.name} is {shown(found)}, must be {shown(must)}"
        for field in fields(Appointment)
        if (found := getattr(actual, field.name)) != (must := getattr(wanted, field.name))
    ]


async def all_appointments(dataverse_url: str) -> dict[str, Appointment]:
    """Every appointment in the stand-in, by its id."""
    async with httpx.AsyncClient(timeout=STATE_SECONDS) as client:
        response = await client.get(f"{dataverse_url}/__sandbox/state", params={"entity_set": "appointments"})
    response.raise_for_status()
    return {row["activityid"]: read_appointment(row) for row in response.json()["appointments"]}


def utc(moment: datetime) -> datetime:
    """To the second in UTC, which is what Dataverse keeps."""
    return moment.astimezone(UTC).replace(microsecond=0)


def shown(value: object) -> str:
    """A value for people: a time, names in order, or a text that is not too long."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(sorted(map(str, value))) or "nobody"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"

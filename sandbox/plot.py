"""The story that the demo tells: what happens in Outreach, what the app must say to it, how each appointment must end.

`story` runs it. Everything that must come out is written down here by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sandbox.appointments import CANCELED, COMPLETED, Appointment, utc
from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach.deliveries import Delivery, Form, MeetingScript, Target
from sandbox.outreach.seed import NEWCOMER, NEWCOMER_EMAIL

ACCEPTED: Final = 202
WRONG_SIGNATURE: Final = 401
# Far above what a queue message holds (64 KiB), far below what ingest takes (1 MiB).
LONG_TEXT: Final = " ".join(f"Line {number} of a long agenda." for number in range(4_000))


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery. `outcome`: what the journal must say of it; `None`: the app must not take it at all."""

    what: str
    meeting: str
    delivery: Delivery
    outcome: str | None
    status: int = ACCEPTED
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """Some steps under the same settings of the app."""

    title: str
    settings: Mapping[str, str]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """The chapters, and by meeting the appointment that there must be in the end. No other may be there."""

    chapters: tuple[Chapter, ...]
    appointments: Mapping[str, Appointment]


def write_plot(now: datetime) -> Plot:
    """The story as of `now` (aware): the meetings were booked within the last hours and are to be held tomorrow."""
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(15), tzinfo=UTC)
    begin = utc(now - timedelta(hours=3))
    held, held_appointment = _held(begin, tomorrow)
    early, early_appointment = _out_of_order(begin, tomorrow)
    kept, kept_appointment = _called_off_quietly(begin, tomorrow)
    off_booked, off_canceled, off_appointment = _called_off(begin, tomorrow)
    large, large_appointment = _large(begin, tomorrow)
    intruder = Step(
        "booked, with a wrong signature",
        "666",
        MeetingScript(666, now=begin).booked(title="Not from Outreach"),
        outcome=None,
        status=WRONG_SIGNATURE,
        secret="somebody else's secret",
    )
    return Plot(
        chapters=(
            Chapter("as delivered", {}, (*held, *early, *kept, *off_booked, *large, intruder)),
            Chapter("with SYNC_ON_CANCEL=cancel", {"SYNC_ON_CANCEL": "cancel"}, off_canceled),
        ),
        appointments={
            "5001": held_appointment,
            "5002": early_appointment,
            "5003": kept_appointment,
            "5004": off_appointment,
            "5005": large_appointment,
        },
    )


def _usual(begin: datetime, start: datetime) -> Appointment:
    """The appointment of a meeting booked by default: by rep one with contact one, half an hour."""
    return Appointment(
        subject="Intro call",
        description=None,
        location=None,
        is_all_day=False,
        start=start,
        end=start + timedelta(minutes=30),
        created_on=begin + timedelta(minutes=1),
        created_by=USER_IDS[0],
        owner=USER_IDS[0],
        regarding=CONTACT_IDS[0],
        attendees=frozenset({CONTACT_IDS[0]}),
        organizer=USER_IDS[0],
    )


def _held(begin: datetime, start: datetime) -> tuple[tuple[Step, ...], Appointment]:
    script = MeetingScript(5001, now=begin)
    booked = script.booked(start=start, booker=2, opportunity=301, location="Room 1")
    titled = script.changed(title="Intro call with pricing")
    moved = script.rescheduled(start + timedelta(hours=1))
    older = script.changed(description="An agenda")
    newer = script.changed(description="A better agenda")
    steps = (
        Step("booked", "5001", booked, "created"),
        Step("title changed", "5001", titled, "updated"),
        Step("rescheduled: the same appointment moves", "5001", moved, "updated"),
        Step("the same delivery once more", "5001", moved, "duplicate"),
        Step("description changed for the second time", "5001", newer, "updated"),
        Step("its first change, arriving late", "5001", older, "superseded"),
        Step("held", "5001", script.completed(), "updated"),
        Step("location changed after it was held", "5001", script.changed(location="Room 2"), "updated"),
    )
    appointment = replace(
        _usual(begin, start + timedelta(hours=1)),
        subject="Intro call with pricing",
        description="A better agenda",
        location="Room 2",
        created_by=USER_IDS[1],
        regarding=OPPORTUNITY_IDS[0],
        state=COMPLETED,
    )
    return steps, appointment


def _out_of_order(begin: datetime, start: datetime) -> tuple[tuple[Step, ...], Appointment]:
    script = MeetingScript(5002, form=Form(relationships="wrapped", ids="text"), now=begin)
    booked = script.booked(start=start, prospects=(104, NEWCOMER), booker=Target("prospect", 104), user=3)
    moved = script.rescheduled(start + timedelta(days=1))
    steps = (
        Step("rescheduled, before anything else is known", "5002", moved, "parked"),
        Step("booked by a prospect, arriving late", "5002", booked, "created"),
    )
    appointment = replace(
        _usual(begin, start + timedelta(days=1)),
        created_by=APP_USER_ID,
        owner=USER_IDS[2],
        regarding=LEAD_IDS[0],
        attendees=frozenset({LEAD_IDS[0], NEWCOMER_EMAIL}),
        organizer=USER_IDS[2],
    )
    return steps, appointment


def _called_off_quietly(begin: datetime, start: datetime) -> tuple[tuple[Step, ...], Appointment]:
    script = MeetingScript(7003, resource="calendarEvent", meeting=5003, now=begin)
    steps = (
        Step("booked, told as a calendar event", "5003", script.booked(start=start, prospects=(107,)), "created"),
        Step("canceled: stays in Outreach only", "5003", script.canceled(), "merged"),
    )
    six = CONTACT_IDS[5]
    return steps, replace(_usual(begin, start), regarding=six, attendees=frozenset({six}))


def _called_off(begin: datetime, start: datetime) -> tuple[tuple[Step, ...], tuple[Step, ...], Appointment]:
    script = MeetingScript(5004, now=begin)
    booked = (Step("booked", "5004", script.booked(start=start), "created"),)
    canceled = (Step("canceled: the appointment too", "5004", script.canceled(), "updated"),)
    return booked, canceled, replace(_usual(begin, start), state=CANCELED)


def _large(begin: datetime, start: datetime) -> tuple[tuple[Step, ...], Appointment]:
    midnight = start.replace(hour=0)
    script = MeetingScript(5005, now=begin)
    booked = script.booked(
        start=midnight, end=midnight + timedelta(days=1), allDay=True, prospects=(106,), description=LONG_TEXT
    )
    steps = (Step("booked for all day, too large for the queue", "5005", booked, "created"),)
    five = CONTACT_IDS[4]
    appointment = replace(
        _usual(begin, midnight),
        description=LONG_TEXT,
        is_all_day=True,
        end=midnight + timedelta(days=1),
        regarding=five,
        attendees=frozenset({five}),
    )
    return steps, appointment

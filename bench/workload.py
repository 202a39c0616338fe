"""Meetings and what happens to them: the same deliveries for both builds, and what must be in Dynamics in the end.

What must come out is written down while the deliveries are written, never computed with the product's own code.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from sandbox.appointments import COMPLETED, OPEN, Appointment
from sandbox.dataverse.seed import CONTACT_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target

# Outreach prospects that are contacts in Dynamics, with the contact that each one is (sandbox/outreach/seed.py).
CONTACT_OF: Final = dict(zip((101, 102, 103, 105, 106, 107), CONTACT_IDS, strict=True))
USERS: Final = (1, 2, 3)
OPPORTUNITIES: Final = (301, 302, 303)
CHANGES: Final = range(1, 5)
# One change in twenty-five invites more people.
INVITING: Final = 0.04
HELD: Final = 0.3
REPEATED: Final = 0.1
LATE: Final = 0.1
# How many places lie between two events of one meeting, and how many a delivery may come late.
_APART, _MOST_LATE = 30, 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one meeting's appointment must be in the end."""

    subject: str | None
    location: str | None
    start: datetime
    state: tuple[int, int]
    attendees: frozenset[str]

    @classmethod
    def of(cls, found: Appointment) -> Wanted:
        """The same of an appointment that is there."""
        return cls(found.subject, found.location, found.start, found.state, found.attendees)


@dataclass(frozen=True, slots=True)
class Meeting:
    """One meeting: all that is delivered about it, oldest first, and what must come of that."""

    number: int
    deliveries: tuple[Delivery, ...]
    wanted: Wanted


def meetings(numbers: range, *, seed: int = 1, changes: range = CHANGES, inviting: float = INVITING) -> list[Meeting]:
    """A meeting for each of `numbers`: booked, changed so often, and a part of them held.

    `inviting`: which part of the changes invites more people.
    """
    chance = random.Random(seed)  # noqa: S311 - a repeatable workload, not a secret
    return [_meeting(number, chance, chance.choice(changes), inviting) for number in numbers]


def hurried(number: int, *, many: int) -> tuple[Delivery, list[Delivery]]:
    """A meeting that is booked, and then `many` changes of its title within as many minutes."""
    script = _script(number)
    booked = _booked(script, number)
    return booked, [script.changed(title=f"Meeting {number}, version {change}") for change in range(many)]


def warming(first: int) -> list[Meeting]:
    """As many meetings as it takes to name every person once, numbered from `first`."""
    return [
        Meeting(number, (delivery,), _wanted(number))
        for number in range(first, first + len(CONTACT_OF))
        for delivery in [_booked(_script(number), number)]
    ]


def invitations(first: int) -> list[Delivery]:
    """Everybody is invited to each meeting of `warming(first)`."""
    deliveries = []
    for number in range(first, first + len(CONTACT_OF)):
        script = _script(number)
        _booked(script, number)
        deliveries.append(_inviting(script))
    return deliveries


def in_turn(many: Sequence[Meeting]) -> list[Delivery]:
    """All first deliveries, then all second ones, and so on, so that events of one meeting are far apart."""
    return list(chain.from_iterable(step_by_step(many)))


def step_by_step(many: Sequence[Meeting]) -> list[list[Delivery]]:
    """The first delivery of every meeting, the second of every meeting that has one, and so on."""
    longest = max(len(meeting.deliveries) for meeting in many)
    return [[meeting.deliveries[step] for meeting in many if step < len(meeting.deliveries)] for step in range(longest)]


def in_disorder(many: Sequence[Meeting], *, seed: int = 1) -> list[Delivery]:
    """As the network brings them: meetings side by side, a tenth of all deliveries twice, a tenth late."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable workload, not a secret
    total = sum(len(meeting.deliveries) for meeting in many)
    placed: list[tuple[float, Delivery]] = []
    for meeting in many:
        begin = chance.uniform(0, total)
        for step, delivery in enumerate(meeting.deliveries):
            place = begin + step * _APART + (chance.uniform(0, _MOST_LATE) if chance.random() < LATE else 0)
            placed.append((place, delivery))
            if chance.random() < REPEATED:
                placed.append((place + chance.uniform(0, _APART), delivery))
    placed.sort(key=lambda item: item[0])
    return [delivery for _, delivery in placed]


def _meeting(number: int, chance: random.Random, changes: int, inviting: float) -> Meeting:
    script = _script(number)
    deliveries = [_booked(script, number)]
    wanted = _wanted(number)
    subject, location, start, state, attendees = wanted.subject, None, wanted.start, OPEN, wanted.attendees
    for change in range(1, changes + 1):
        kind = chance.random()
        if kind < inviting:
            attendees = frozenset(CONTACT_OF.values())
            deliveries.append(_inviting(script))
        elif kind < 0.4:
            start += timedelta(days=1)
            deliveries.append(script.rescheduled(start))
        elif kind < 0.7:
            subject = f"Meeting {number}, version {change}"
            deliveries.append(script.changed(title=subject))
        else:
            location = f"Room {change}"
            deliveries.append(script.changed(location=location, description=f"Agenda, version {change}. " * 20))
    if chance.random() < HELD:
        state = COMPLETED
        deliveries.append(script.completed())
    return Meeting(number, tuple(deliveries), Wanted(subject, location, start, state, attendees))


def _script(number: int) -> MeetingScript:
    return MeetingScript(number, now=datetime(2026, 2, 1, 9, tzinfo=UTC))


def _booked(script: MeetingScript, number: int) -> Delivery:
    prospect = tuple(CONTACT_OF)[number % len(CONTACT_OF)]
    user = USERS[number % len(USERS)]
    wanted = _wanted(number)
    return script.booked(
        title=str(wanted.subject),
        start=wanted.start,
        user=user,
        booker=user,
        prospects=[prospect],
        opportunity=OPPORTUNITIES[number % len(OPPORTUNITIES)],
        description="What we want to talk about. " * 20,
    )


def _inviting(script: MeetingScript) -> Delivery:
    everybody = tuple(Target("prospect", prospect) for prospect in CONTACT_OF)
    return script.changed(relationships={"prospects": everybody})


def _wanted(number: int) -> Wanted:
    start = datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(minutes=15 * (number % 1000))
    contact = tuple(CONTACT_OF.values())[number % len(CONTACT_OF)]
    return Wanted(f"Meeting {number}", None, start, OPEN, frozenset({contact}))

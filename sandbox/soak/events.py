"""The deliveries of a soak in the order of sending, and what each of them says."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.appointments import COMPLETED, OPEN
from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target
from sandbox.soak.plan import Plan
from sandbox.soak.promised import Life, Said

# Whom prospects 101 to 105 are in Dynamics (`sandbox/outreach/seed.py`).
_IN_DYNAMICS: Final = (*CONTACT_IDS[:3], LEAD_IDS[0], CONTACT_IDS[3])
BOOKED: Final = datetime(2026, 2, 1, 9, tzinfo=UTC)
STEP: Final = timedelta(minutes=1)
LENGTH: Final = timedelta(minutes=30)
DAY: Final = timedelta(days=1)
DUPLICATE_RATE: Final = 0.1


def write_events(plan: Plan) -> tuple[list[Delivery], dict[int, Life]]:
    """The deliveries in the order of sending, with repeats and disorder, and the life of each meeting."""
    chance = random.Random(plan.seed)
    placed: list[tuple[float, Delivery]] = []
    lives: dict[int, Life] = {}
    number, total = 0, 0
    originals = round(plan.events / (1 + DUPLICATE_RATE))
    while total < originals:
        number += 1
        life = _Script(number, chance)
        begin = chance.uniform(0, originals)
        for step, delivery in enumerate(life.deliveries):
            place = begin + step * 3 + chance.uniform(0, plan.disorder) if plan.disorder else chance.random()
            placed.append((place, delivery))
            if chance.random() < DUPLICATE_RATE:
                placed.append((place + chance.uniform(0, 4 * plan.disorder), delivery))
        lives[number] = Life(tuple(life.said))
        total += len(life.deliveries)
    placed.sort(key=lambda item: item[0])
    return [delivery for _, delivery in placed], lives


class _Script:
    """The life of one meeting: what is delivered, and what each delivery says."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.deliveries: list[Delivery] = []
        self.said: list[Said] = []
        self._number = number
        self._chance = chance
        self._script = MeetingScript(number, now=BOOKED - STEP, step=STEP)
        self._start = datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(minutes=15 * (number % 1000))
        self._booked()
        for change in range(chance.randint(1, 6)):
            self._changed(change)
        if chance.random() < 0.3:
            self._says(self._script.completed(), {"state": COMPLETED})

    def _says(self, delivery: Delivery, columns: Mapping[str, object]) -> None:
        self.deliveries.append(delivery)
        self.said.append(Said(delivery.event_id, columns))

    def _booked(self) -> None:
        prospect, user = self._number % len(_IN_DYNAMICS), self._number % len(USER_IDS)
        people: dict[str, Any] = {"prospects": [101 + prospect], "user": 1 + user, "opportunity": 301}
        title = f"Meeting {self._number}"
        columns = {
            "subject": title,
            "description": None,
            "location": None,
            "is_all_day": False,
            "start": self._start,
            "end": self._start + LENGTH,
            "owner": USER_IDS[user],
            "organizer": USER_IDS[user],
            "regarding": OPPORTUNITY_IDS[0],
            "attendees": frozenset({_IN_DYNAMICS[prospect]}),
            "state": OPEN,
        }
        self._says(self._script.booked(title=title, start=self._start, booker=1, **people), columns)

    def _changed(self, change: int) -> None:
        match self._chance.randrange(6):
            case 0:
                title = f"Meeting {self._number}, version {change}"
                self._says(self._script.changed(title=title), {"subject": title})
            case 1:
                self._says(self._script.changed(location=f"Room {change}"), {"location": f"Room {change}"})
            case 2:
                self._start += DAY
                times = {"start": self._start, "end": self._start + LENGTH}
                self._says(self._script.rescheduled(self._start), times)
            case 3:
                agenda = f"Agenda {change}"
                columns = {"location": None, "description": agenda}
                self._says(self._script.changed(location=None, description=agenda), columns)
            case 4:
                user = self._chance.randrange(len(USER_IDS))
                owner = {"owner": USER_IDS[user], "organizer": USER_IDS[user]}
                self._says(self._script.changed(relationships={"user": Target("user", 1 + user)}), owner)
            case _:
                prospect = self._chance.randrange(len(_IN_DYNAMICS))
                target = Target("prospect", 101 + prospect)
                invited = {"attendees": frozenset({_IN_DYNAMICS[prospect]})}
                related = self._script.changed(relationships={"prospect": target, "prospects": (target,)})
                self._says(related, invited)

"""Random histories. Equal numbers give equal histories, on every machine."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.differential.steps import Allow, Delete, Edit, History, Outage, Refuse, Restart, Say, Step, Wait

_WORDS = ("Intro", "Demo", "Review", "Kick-off", "Follow-up", "Pricing", "A last look 🎉")
_PROSPECTS = tuple(range(101, 111))
_FIRST_START = datetime(2026, 12, 2, 8, tzinfo=UTC)
_TROUBLE = ("503", "500", "429", "not_sent", "not_answered", "not_answered")
_REFUSED = ("description", "location", "regarding", "subject")
# Free, tentative, busy, completed, canceled.
_STATES = ((0, 1), (0, 2), (3, 5), (1, 3), (2, 4))


class _Dice(random.Random):
    def now_and_then(self, share: float) -> bool:
        """True in this share of all cases."""
        return self.random() < share


class _Told:
    """What Outreach tells of the meetings of one history, in the order in which it happens."""

    def __init__(self, dice: _Dice, meetings: int) -> None:
        self._dice = dice
        self._minute = 0
        # Most meetings tell of themselves; of some their calendar events do, or both.
        own = {number: 10 * number for number in range(1, meetings + 1)}
        self._calendars: dict[int, tuple[int, ...]] = {
            number: dice.choices(((), (0, one), (one, one + 1)), (7, 2, 2))[0] for number, one in own.items()
        }
        self.starts = {number: _FIRST_START + timedelta(days=number) for number in range(1, meetings + 1)}

    def booked(self, meeting: int) -> Say:
        """It is booked, with all or nearly all there is to say."""
        dice = self._dice
        attributes: dict[str, Any] = {
            "title": self._text(),
            "description": dice.choice((None, self._text())),
            "location": dice.choice((None, "Room 1", "https://meet.example.com/1")),
            "allDay": False,
            **self._times(meeting),
            "bookedAt": f"2026-02-{dice.randint(1, 20):02}T09:00:00Z",
            "isOrganizer": True,
        }
        related: dict[str, Any] = {
            "prospects": self._people(1),
            "user": dice.randint(1, 3),
            "booker": dice.randint(1, 3),
        }
        if dice.now_and_then(0.3):
            related["opportunity"] = dice.randint(301, 304)
        for name in ("prospects", "startTime", "bookedAt", "isOrganizer", "booker", "user", "title"):
            if dice.now_and_then(0.05):
                attributes.pop(name, None)
                related.pop(name, None)
        return self._says(meeting, attributes, related, "created")

    def changed(self, meeting: int) -> Say:
        """One or two things are otherwise, or the meeting is held, called off, deleted."""
        dice = self._dice
        changes = dice.choices(
            (
                self._renamed,
                self._described,
                self._moved,
                self._moved_end,
                self._all_day,
                self._other_people,
                self._one_more,
                self._other_owner,
                self._other_opportunity,
                self._other_state,
                self._other_booking,
                self._odd_times,
            ),
            (8, 6, 8, 2, 2, 6, 2, 5, 3, 7, 1, 2),
            k=dice.choice((1, 1, 2)),
        )
        attributes: dict[str, Any] = {}
        related: dict[str, Any] = {}
        action = "updated"
        for change in changes:
            action = change(meeting, attributes, related) or action
        return self._says(meeting, attributes, related, action)

    def _says(self, meeting: int, attributes: Mapping[str, Any], related: Mapping[str, Any], action: str) -> Say:
        self._minute += 1
        claims = ""
        if self._dice.now_and_then(0.04):
            claims = self._dice.choice(("2031-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "soon"))
        calendar = self._dice.choice(self._calendars[meeting]) if self._calendars[meeting] else 0
        return Say(meeting, self._minute, dict(attributes), dict(related), action, calendar, claims)

    def _text(self) -> str:
        dice = self._dice
        text = f"{dice.choice(_WORDS)} {dice.randint(1, 9)}"
        return text * 40 if dice.now_and_then(0.03) else text

    def _people(self, least: int) -> tuple[int, ...]:
        return tuple(sorted(self._dice.sample(_PROSPECTS, self._dice.randint(least, 3))))

    def _times(self, meeting: int) -> dict[str, str]:
        start = self.starts[meeting]
        end = start + timedelta(minutes=self._dice.choice((15, 30, 60)))
        return {"startTime": _iso(start), "endTime": _iso(end)}

    # Each change adds to what the delivery says; it returns the action where that is not `updated`.

    def _renamed(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, related
        attributes[self._dice.choice(("title", "title", "subject"))] = self._text()
        return None

    def _described(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, related
        attributes["location"] = self._dice.choice((None, "Room 1", "Room 2", self._text()))
        if self._dice.now_and_then(0.5):
            attributes["description"] = self._dice.choice((None, self._text()))
        return None

    def _moved(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del related
        self.starts[meeting] += timedelta(hours=self._dice.choice((-1, 1, 24, 48)))
        attributes |= {**self._times(meeting), "allDay": False}
        return self._dice.choice((None, None, "rescheduled"))

    def _moved_end(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del related
        attributes["endTime"] = _iso(self.starts[meeting] + timedelta(hours=self._dice.choice((1, 2))))
        return None

    def _all_day(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del related
        midnight = self.starts[meeting].replace(hour=self._dice.choice((0, 5, 8, 15, 23)), minute=0)
        days = self._dice.randint(1, 2)
        attributes |= {"allDay": True, "startTime": _iso(midnight), "endTime": _iso(midnight + timedelta(days=days))}
        return None

    def _other_people(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, attributes
        related["prospects"] = self._people(0)
        return None

    def _one_more(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, attributes
        related["prospect"] = self._dice.choice((*_PROSPECTS, None))
        return None

    def _other_owner(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, attributes
        related[self._dice.choice(("user", "owner"))] = self._dice.choice((1, 2, 3, 1, 2, 3, 4, None))
        return None

    def _other_opportunity(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, attributes
        related["opportunity"] = self._dice.choice((301, 302, 303, 304, None))
        return None

    def _other_state(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting, related
        action, said = self._dice.choice(
            (
                (None, {"state": "completed"}),
                ("completed", {}),
                (None, {"completedAt": "2026-12-03T10:00:00Z"}),
                (None, {"completed": False}),
                (None, {"state": "confirmed"}),
                (None, {"state": "canceled"}),
                (None, {"canceled": True}),
                (None, {"canceled": False}),
                (None, {"canceledAt": None}),
                ("canceled", {}),
                ("declined", {}),
                (None, {"status": "declined"}),
                (None, {"noShow": True}),
                ("destroyed", {}),
            )
        )
        attributes |= said
        return action

    def _other_booking(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del meeting
        attributes["bookedAt"] = "2026-02-21T09:00:00Z"
        related["booker"] = self._dice.choice((1, 2, 3, 4, None))
        return None

    def _odd_times(self, meeting: int, attributes: dict[str, Any], related: dict[str, Any]) -> str | None:
        del related
        start = self.starts[meeting]
        attributes |= self._dice.choice(
            (
                {"startTime": _iso(start + timedelta(days=9))},
                {"endTime": _iso(start - timedelta(days=9))},
                {"startTime": None},
                {"endTime": None},
                {"startTime": "0001-01-01T00:00:00Z", "endTime": "0001-01-01T00:00:00Z"},
                {"startTime": "1752-06-01T08:00:00Z"},
            )
        )
        return None


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def history(number: int) -> History:
    """History number `number`."""
    dice = _Dice(number)
    meetings = dice.choice((1, 1, 1, 2, 3))
    told = _Told(dice, meetings)
    says = [told.booked(meeting) for meeting in range(1, meetings + 1)]
    says += [told.changed(dice.randint(1, meetings)) for _ in range(dice.randint(1, 8))]
    steps: list[Step] = list(_arrivals(says, dice))
    for _ in range(dice.randint(0, 4)):
        act = dice.choices((_edit, _delete, _refuse, _wait, _restart), (8, 1, 2, 2, 1))[0]
        act(steps, dice, meetings)
    return History(tuple(steps), dice.choice(("ignore", "cancel")), dice.now_and_then(0.7))


def _arrivals(says: list[Say], dice: _Dice) -> list[Step]:
    """The deliveries as they come in: mostly in order, some late, some twice, some into trouble."""
    places = [(place + (dice.uniform(0, 6) if dice.now_and_then(0.15) else 0), say) for place, say in enumerate(says)]
    places += [(place + dice.uniform(0, 6), say) for place, say in enumerate(says) if dice.now_and_then(0.1)]
    arriving = [say for _, say in sorted(places, key=lambda one: one[0])]
    if dice.now_and_then(0.1):
        dice.shuffle(arriving)
    steps: list[Step] = []
    while arriving:
        if dice.now_and_then(0.04):
            many = dice.randint(1, 3)
            steps.append(Outage(dice.choice(("dataverse", "outreach")), tuple(arriving[:many])))
            del arriving[:many]
            continue
        say = arriving.pop(0)
        if dice.now_and_then(0.1):
            say = replace(say, trouble=tuple(dice.choices(_TROUBLE, k=dice.randint(1, 3))))
        steps.append(say)
    return steps


def _put(steps: list[Step], step: Step, dice: _Dice) -> None:
    steps.insert(dice.randint(1, len(steps)), step)


def _edit(steps: list[Step], dice: _Dice, meetings: int) -> None:
    meeting = dice.randint(1, meetings)
    start = _FIRST_START + timedelta(days=dice.randint(5, 9))
    made: Callable[[], Edit] = dice.choice(
        (
            lambda: Edit(meeting, {"subject": "A person's subject"}),
            lambda: Edit(meeting, {"location": "A person's room", "description": "A person's words"}),
            lambda: Edit(meeting, {"start": _iso(start), "end": _iso(start + timedelta(hours=1))}),
            lambda: Edit(meeting, owner=dice.randint(1, 3)),
            lambda: Edit(meeting, state=dice.choice(_STATES)),
            lambda: Edit(meeting, guest=dice.choice((1, 6))),
            lambda: Edit(meeting, roles={number: dice.choice((5, 6, 6, None)) for number in (1, 2, 3)}),
        )
    )
    _put(steps, made(), dice)


def _delete(steps: list[Step], dice: _Dice, meetings: int) -> None:
    _put(steps, Delete(dice.randint(1, meetings)), dice)


def _refuse(steps: list[Step], dice: _Dice, meetings: int) -> None:
    del meetings
    begins = dice.randint(0, len(steps))
    steps.insert(
        begins, Refuse(dice.choice(_REFUSED)) if dice.now_and_then(0.6) else Refuse("owner", dice.randint(1, 3))
    )
    steps.insert(dice.randint(begins + 1, len(steps)), Allow())


def _wait(steps: list[Step], dice: _Dice, meetings: int) -> None:
    del meetings
    _put(steps, Wait(dice.choice((2, 20, 120))), dice)


def _restart(steps: list[Step], dice: _Dice, meetings: int) -> None:
    del meetings
    if dice.now_and_then(0.5):
        _put(steps, Restart(), dice)
        return
    place = dice.randint(1, len(steps))
    steps.insert(place, Restart(pushing=False))
    steps.insert(dice.randint(place + 1, len(steps)), Restart())
    steps.append(Wait(5))

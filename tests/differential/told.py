"""What Outreach has said of one meeting, and the appointment that it wants by that: the README's table, row by row.

Nothing of the product is imported here. Of each field the later change counts; one that a delivery does not name is as
it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.differential.steps import Related, Say

# Minute 0 of a history; its deliveries were sent before the app begins to work, two days later.
EPOCH = datetime(2026, 2, 27, 12, tzinfo=UTC)
# A change happens before its delivery, but for what clocks differ; and not before there was Outreach.
BELIEVED_AHEAD = timedelta(minutes=5)
OUTREACH_BEGAN = datetime(2011, 1, 1, tzinfo=UTC)


def _record(prefix: int, number: int) -> str:
    return f"{prefix}0000000-0000-4000-8000-{number:012}"


USERS = {number: _record(1, number) for number in (1, 2, 3)}
CONTACTS = {number: _record(2, number) for number in range(1, 7)}
LEADS = {number: _record(3, number) for number in range(1, 5)}
OPPORTUNITIES = {number: _record(4, number - 300) for number in (301, 302, 303)}
# Who Outreach's prospects are in Dynamics: a contact before a lead, an address for want of both.
PROSPECTS = {
    101: CONTACTS[1],
    102: CONTACTS[2],
    103: CONTACTS[3],
    104: LEADS[1],
    105: CONTACTS[4],
    106: CONTACTS[5],
    107: CONTACTS[6],
    108: "newcomer@example.com",
    109: LEADS[3],
    110: LEADS[4],
}

# Fields, and the attributes that may hold each: the first one that is there counts.
TEXTS = {
    "subject": ("title", "subject", "name", "summary"),
    "description": ("description", "body", "notes"),
    "location": ("location",),
}
VALUES = {
    **TEXTS,
    "all_day": ("allDay", "isAllDay", "all_day"),
    "starts": ("startTime", "startAt", "startsAt", "start", "start_time"),
    "ends": ("endTime", "endAt", "endsAt", "end", "end_time"),
    "booked": (
        "bookedAt",
        "booked_at",
        "bookedDate",
        "externalCreatedAt",
        "external_created_at",
        "createdAt",
        "created_at",
    ),
    "is_organizer": ("isOrganizer",),
}
# Fields that name one record, and the relationships that may hold each.
RECORDS = {
    "booker": ("booker", "bookedBy"),
    "opportunity": ("opportunity",),
    "owner": ("owner", "user", "organizer"),
}
# Of these every calendar's copy of a meeting speaks for itself.
APART = frozenset({"owner", "canceled", "declined", "destroyed", "is_organizer"})
LONGEST = {"subject": 200, "location": 200, "description": 1048576}
# Attributes whose words may say that a flag is up.
WORDS = ("state", "status")


class Flag(NamedTuple):
    """What says so: the event's name, an attribute that is true, one that holds a time, a word of `WORDS`."""

    actions: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


FLAGS = {
    "completed": Flag(
        ("completed", "held"), ("completed", "isCompleted", "held"), ("completedAt", "heldAt"), ("completed", "held")
    ),
    "canceled": Flag(
        ("canceled", "cancelled"),
        ("canceled", "cancelled", "isCanceled"),
        ("canceledAt",),
        ("canceled", "cancelled"),
    ),
    "declined": Flag(("declined",), ("declined", "isDeclined"), ("declinedAt",), ("declined",)),
    "destroyed": Flag(("destroyed", "deleted")),
}

Stamp = tuple[datetime, datetime]
_DAY = timedelta(days=1)


class Name(NamedTuple):
    """What was said: the field, the attribute or relationship and the calendar event where these matter."""

    field: str
    source: str = ""
    calendar: int = 0


@dataclass
class Told:
    """All that was said of one meeting: the values with their stamps."""

    said: dict[Name, tuple[Stamp, Any]] = field(default_factory=dict)

    def hear(self, say: Say) -> None:
        """Whatever is later than what was said before counts from now on."""
        stamp = stamp_of(say)
        for name, value in dict(sayings(say)).items():
            if name not in self.said or self.said[name][0] < stamp:
                self.said[name] = stamp, value

    def wanted(self, *, cancels: bool) -> dict[str, Any]:
        """The columns of the appointment of which Outreach has a wish. `cancels`: whether what is off is canceled."""
        wanted: dict[str, Any] = {
            name: _cut(self._value(name), LONGEST[name]) for name in TEXTS if Name(name) in self.said
        }
        if Name("all_day") in self.said:
            wanted["is_all_day"] = bool(self._value("all_day"))
        if (times := self.times) is not None:
            wanted["start"], wanted["end"] = times
        prospects = self.prospects
        invited = [PROSPECTS[number] for number in prospects or ()]
        if prospects is not None:
            wanted["attendees"] = frozenset(invited)
        if prospects is not None or Name("opportunity") in self.said:
            records = (who for who in invited if "@" not in who)
            wanted["regarding"] = _known(self._value("opportunity"), OPPORTUNITIES) or next(records, None)
        if owner := _known(self._apart("owner"), USERS):
            wanted["owner"] = owner
        if any(name.field in FLAGS for name in self.said):
            wanted["state"] = self._state(cancels=cancels)
        return wanted

    @property
    def times(self) -> tuple[datetime, datetime] | None:
        """When it begins and ends; None: not known, or no appointment can have such times, so that those there stay."""
        start, end = read_time(self._value("starts")), read_time(self._value("ends"))
        if start is None or end is None:
            return None
        if self._value("all_day"):
            start, end = _days(start, end)
        return (start, end) if start <= end and start.year >= 1753 else None

    @property
    def prospects(self) -> tuple[int, ...] | None:
        """The list of all of them, and one who was named alone later; None: nobody was spoken of."""
        one, everybody = self.said.get(Name("prospects", "prospect")), self.said.get(Name("prospects", "prospects"))
        if one is None or everybody is None:
            told = one or everybody
            return None if told is None else told[1]
        return (*one[1], *everybody[1]) if one[0] >= everybody[0] else everybody[1]

    @property
    def may_be_made(self) -> bool:
        """Whether there may be an appointment: its times are known and the conditions hold."""
        return self.times is not None and bool(self.prospects) and self._apart("is_organizer") is not False

    @property
    def created(self) -> tuple[datetime | None, str | None]:
        """Created On and Created By, as far as Outreach says."""
        return read_time(self._value("booked")), _known(self._value("booker"), USERS)

    def _value(self, name: str, calendar: int = 0) -> Any:
        return self.said.get(Name(name, calendar=calendar), (None, None))[1]

    def _state(self, *, cancels: bool) -> str:
        if self._flag("completed", {name.calendar for name in self.said}):
            return "completed"
        off = any(self._apart(name) for name in ("canceled", "declined", "destroyed"))
        return "canceled" if off and cancels else "open"

    def _flag(self, name: str, calendars: Collection[int]) -> bool | None:
        """Whether it is so, as far as these calendars say; None: they say nothing.

        A word says so until the flag itself is told later; another word takes back only what the same attribute said.
        """
        said = [(key, one) for key, one in self.said.items() if key.field == name and key.calendar in calendars]
        if not said:
            return None
        plain = max((one for key, one in said if not key.source), default=None)
        by_word = any(value and (plain is None or stamp > plain[0]) for key, (stamp, value) in said if key.source)
        return by_word or (plain is not None and plain[1] is True)

    def _apart(self, name: str) -> Any:
        """The value of a field of which each calendar speaks for itself."""
        speaker = self._speaker(name)
        is_flag = name in FLAGS or name == "is_organizer"
        return self._flag(name, {speaker}) if is_flag else self._value(name, speaker)

    def _speaker(self, name: str) -> int:
        """Whose word counts: 0 is the meeting itself.

        The organizer's, unless the meeting said something later; where no organizer is known the meeting itself, then
        the calendar event with the lowest id.
        """
        calendars = sorted({key.calendar for key in self.said} - {0})
        organizers = [one for one in calendars if self._flag("is_organizer", {one})]
        spoken = {key.calendar for key in self.said if key.field == name}
        speaker = next((one for one in organizers or calendars if one in spoken), 0)
        own, theirs = self._heard(name, 0), self._heard(name, speaker)
        later = bool(organizers) and own is not None and theirs is not None and theirs >= own
        return speaker if own is None or later else 0

    def _heard(self, name: str, calendar: int) -> Stamp | None:
        """When this calendar last said something of it; a word that says nothing of it does not count."""
        of_it = [(key, one) for key, one in self.said.items() if key.field == name and key.calendar == calendar]
        return max((stamp for key, (stamp, value) in of_it if value or not key.source), default=None)


def stamp_of(say: Say) -> Stamp:
    """When the change counts from: a claim that cannot be true counts from the delivery."""
    changed = EPOCH + timedelta(minutes=say.minute)
    delivered = changed + timedelta(seconds=1)
    if say.claims:
        claim = read_time(say.claims)
        changed = claim if claim and OUTREACH_BEGAN <= claim <= delivered + BELIEVED_AHEAD else delivered
    return changed, delivered


def sayings(say: Say) -> Iterator[tuple[Name, Any]]:
    """What a delivery says; of several values for one name the last counts."""

    def name(of: str) -> Name:
        return Name(of, calendar=say.calendar if of in APART else 0)

    for of, attributes in VALUES.items():
        yield from ((name(of), say.attributes[one]) for one in attributes[::-1] if one in say.attributes)
    for of, relationships in RECORDS.items():
        yield from ((name(of), _many(say.related[one])) for one in relationships[::-1] if one in say.related)
    for one in ("prospect", "prospects"):
        if one in say.related:
            yield Name("prospects", one), _many(say.related[one])
    for of, flag in FLAGS.items():
        plain = _plain(flag, say)
        if plain:
            yield name(of), plain[0]
        for one in WORDS:
            if flag.words and one in say.attributes:
                yield Name(of, one, say.calendar), str(say.attributes[one]).lower() in flag.words


def _plain(flag: Flag, say: Say) -> list[Any]:
    """What says by itself whether a flag is up, the first one first."""
    said: list[Any] = [True] if say.action in flag.actions else []
    said += [say.attributes[one] for one in flag.truths if one in say.attributes]
    return said + [bool(say.attributes[one]) for one in flag.times if one in say.attributes]


def read_time(text: str | None) -> datetime | None:
    """The time in a text; None: there is none."""
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return None


def _many(related: Related) -> tuple[int, ...]:
    if related is None:
        return ()
    return (related,) if isinstance(related, int) else tuple(sorted(related))


def _known(numbers: Collection[int] | None, records: Mapping[int, str]) -> str | None:
    return next((records[one] for one in numbers or () if one in records), None)


def _cut(text: str | None, longest: int) -> str | None:
    """Dynamics counts UTF-16 units, and takes no half of a character."""
    return None if text is None else text.encode("utf-16-le")[: 2 * longest].decode("utf-16-le", "ignore")


def _days(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """From midnight to midnight in UTC: whole days begin at the sender's midnight, anything else on the day in UTC."""
    length = end - start
    days = round(length / _DAY)
    if length <= timedelta() or (days and abs(length - days * _DAY) <= timedelta(hours=2, minutes=1)):
        first = _midnight(start) + (_DAY if start.hour >= 13 else timedelta())
        return first, first + max(days, 1) * _DAY
    after = _midnight(end) + (_DAY if end != _midnight(end) else timedelta())
    return _midnight(start), max(after, _midnight(start) + _DAY)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)

"""The transforms: each is one class, a row of the mapping that reads one kind of value and writes one column.

A class says what it reads (`kind`), which types of column it can write (`types`, or `only` one column), which records
it needs to know first (`needs`), what it contributes to the appointment (`part`), how that goes over the wire (`wire`)
and how it is shown to people (`shown`). Its fields are its keys in the mapping file.

To add one, write its class here, name it in `TRANSFORMS`, test it in `tests/meeting/test_transforms.py`, and add a line
to the table in `docs/mapping.md`. A transform does no I/O: whom it has to ask for it names in `needs`, and finds the
answers in `Given.people`.
"""

from __future__ import annotations

import difflib
import math
import re
import string
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from shared.errors import Unmappable
from shared.meeting.all_day import day_after, first_day
from shared.meeting.delivery import Reference
from shared.meeting.identity import guid
from shared.meeting.parties import each_once
from shared.meeting.people import CrmRecord, Party, People, Person, Role, RowKey, is_address
from shared.meeting.sources import Source, Sources
from shared.meeting.texts import clean, cut, lost_links, shortened
from shared.meeting.wire import Choices, Day, Lookup, Moment, Parties, Plain, RowLookup, Wire
from shared.timestamps import beyond_the_calendar, is_day, parse_time, whole_seconds

PARTIES = "appointment_activity_parties"
REGARDING = "regardingobjectid"
OWNER = "ownerid"
ORGANIZER = "organizer"
STATE = "statecode"
# Written as it stands, where an appointment needs a new version and nothing else: Dataverse has it "for internal use
# only", so it is on no form, and no synchronisation with Exchange or Outlook carries it.
# https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/appointment
FENCE = "timezoneruleversionnumber"

# Columns that belong to the life cycle or to Dataverse itself; a row of the mapping may not write them.
RESERVED_COLUMNS = frozenset(
    {
        "activityid",
        STATE,
        "statuscode",
        "createdon",
        "modifiedon",
        "modifiedby",
        "versionnumber",
        "globalobjectid",
        FENCE,
    }
)

# The times that a column of Dataverse holds: https://learn.microsoft.com/power-apps/developer/data-platform/behavior-format-date-time-attribute
_EARLIEST, _LATEST = "1753-01-01T00:00:00Z", "9999-12-30T23:59:59Z"
_EXACT = 2**53  # up to here a float holds every integer
_NUMBER = re.compile(r"[+-]?(\d+)(\.\d+)?([eE][+-]?\d+)?")
_OPTION = re.compile(r"(-?\d{1,10})(\.0+)?")
_BETWEEN_TEXTS = re.compile("[;,]")


class Kind(StrEnum):
    """What type of value a row or signal reads; `user`, `prospect` and `opportunity` are records of Outreach."""

    TEXT = "text"
    TEXTS = "texts"
    FLAG = "flag"
    INSTANT = "instant"
    NUMBER = "number"
    USER = "user"
    PROSPECT = "prospect"
    OPPORTUNITY = "opportunity"

    @property
    def is_reference(self) -> bool:
        """Whether it is read from relationships, else from attributes."""
        return self not in _READERS

    @property
    def is_many(self) -> bool:
        """Whether it holds a list: it can be set, and compared with nothing."""
        return self.is_reference or self is Kind.TEXTS

    @property
    def literal(self) -> str:
        """How a value to compare with is written in the mapping file."""
        return _COMPARED_WITH.get(self, _TEXT)[1]

    def is_compared_with(self, value: object) -> bool:
        """Whether `value` is of the type that a value of this kind has."""
        types = _COMPARED_WITH.get(self, _TEXT)[0]
        return isinstance(value, types) and isinstance(value, bool) == (bool in types)

    def read(self, value: object, name: str) -> Any:
        """What a delivery says of field `name`, as plain JSON. Raises `Unmappable` for another type."""
        return _READERS[self](value, name)

    def check(self, sources: Sequence[Source]) -> None:
        """Raise `ValueError` for a source that can never give such a value: each event that has it would fail."""
        for source in sources:
            name = f"{source.place}.{source.name}"
            if self.is_reference and source.place != "relationships":
                raise ValueError(f"a {self} is read from relationships.NAME only, not from {name}")
            if not self.is_reference and source.place == "relationships":
                raise ValueError(
                    f"{name} gives records, where a value of kind {self} was expected; write attributes.NAME"
                )
            if not self.is_reference and self is not Kind.FLAG and source.says_whether:
                raise ValueError(
                    f"{name} gives true or false here, where a value of kind {self} was expected; write attributes.NAME"
                )


def _text(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unmappable("wrong_type", f"{name}: text was expected.")
    if isinstance(value, float) and not math.isfinite(value):  # 1e999 is a number in JSON
        raise Unmappable("wrong_type", f"{name}: text was expected, not a number that is too large to be read.")
    return str(value)


def _texts(value: object, name: str) -> list[str]:
    """The texts of a list, or of a text with commas or semicolons between; each once and sorted: a set has no order."""
    found = value if isinstance(value, list) else _BETWEEN_TEXTS.split(_text(value, name))
    return sorted({text for one in found if one is not None and (text := _text(one, name).strip())})


def _flag(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if value in (0, 1):
        return bool(value)
    raise Unmappable("wrong_type", f"{name}: true or false was expected.")


def _instant(value: object, name: str) -> str | None:
    """A day as `2026-01-05`, or an instant in ISO form with the offset it came with."""
    if value == "":
        return None
    try:
        moment = parse_time(value)
    except ValueError as error:
        if (beyond := beyond_the_calendar(value)) is not None:
            return beyond.isoformat()
        raise Unmappable("wrong_type", f"{name}: an ISO 8601 time was expected.") from error
    return moment.date().isoformat() if is_day(str(value)) else moment.isoformat()


def _number(value: object, name: str) -> int | float | None:
    """A number, or a text that is one. A whole one is an integer: a column of integers takes no other."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        found = _NUMBER.fullmatch(text)
        value = None if found is None else float(text) if found[2] or found[3] else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unmappable("wrong_type", f"{name}: a number was expected.")
    return int(value) if value == int(value) and abs(value) <= _EXACT else value


_READERS: Mapping[Kind, Callable[[object, str], Any]] = {
    Kind.TEXT: _text,
    Kind.TEXTS: _texts,
    Kind.FLAG: _flag,
    Kind.INSTANT: _instant,
    Kind.NUMBER: _number,
}

_TEXT = ((str,), "text in quotes")
_COMPARED_WITH: Mapping[Kind, tuple[tuple[type, ...], str]] = {
    Kind.FLAG: ((bool,), "true or false without quotes"),
    Kind.NUMBER: ((int, float), "a number without quotes"),
}


TEXTS = frozenset({"String", "Memo"})
NUMBERS = frozenset({"Integer", "BigInt", "Decimal", "Double", "Money"})
MANY_CHOICES = frozenset({"MultiSelectPicklist"})
FIELD = r"^[a-z][a-z0-9_]*$"
_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
# More than any column holds that somebody would look rows up by: a key of Dataverse has 450 characters at most.
_LONGEST_KEY = 450

_Limit = Annotated[int | float, Field(allow_inf_nan=False)]
_OptionNumber = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]


_NO_NUMBERS = (math.inf, -math.inf)


def _constant(value: object) -> object:
    numbers = isinstance(value, list) and bool(value) and all(type(one) is int for one in value)
    if not numbers and (not isinstance(value, str | bool | int | float) or value == "" or value in _NO_NUMBERS):
        raise ValueError("a text in quotes, a number, true, false, or a list of whole numbers was expected")
    return value


def _template(text: str) -> str:
    if not any(name for _, name in _pieces(text)):
        raise ValueError("a template names at least one field in braces, as {title}; a fixed text is a constant")
    return text


def _pieces(template: str) -> tuple[tuple[str, str], ...]:
    """Each literal with the field that follows it; the last one may have none. Raises `ValueError` for another form."""
    pieces = []
    for literal, name, form, conversion in string.Formatter().parse(template):
        if form or conversion or (name is not None and not re.fullmatch(FIELD, name)):
            raise ValueError(f"{{{name}}} is no field; write its name alone, as {{title}}")
        pieces.append((literal, name or ""))
    return tuple(pieces)


class Strict(BaseModel):
    """An object of the mapping file: a member that it does not know is a mistake. `about` is for the file's reader."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    # Not among what makes a mapping another one: to write a sentence into the file changes nothing.
    about: Annotated[str, Field(repr=False)] = ""

    @classmethod
    def members(cls) -> frozenset[str]:
        """What an object may hold, as the file calls it; those of more special objects too."""
        own = (information.alias or name for name, information in cls.model_fields.items())
        return frozenset(own).union(*(special.members() for special in cls.__subclasses__()))


class Attendees(Strict):
    """Who a prospect is in Dynamics: the order of preference, and what becomes of people without a record."""

    order: Annotated[tuple[Literal["contact", "lead"], ...], Field(min_length=1)] = ("contact", "lead")
    unresolved: Literal["address", "skip"] = "address"


@dataclass(frozen=True, slots=True)
class Given:
    """What a row may look at: all merged values by field, the other rows, and who people are in Dynamics.

    `zone`: where all-day meetings begin at midnight. `kinds`: what type of value each field has.
    """

    values: Mapping[str, Any]
    rows: Sequence[Row]
    people: People
    attendees: Attendees
    zone: tzinfo
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def feeding(self, column: str) -> Any:
        """The value that feeds `column`; None where no event has named it."""
        return next((self.values.get(row.field) for row in self.rows if row.column == column), None)


@dataclass(frozen=True, slots=True)
class Part:
    """What one row contributes to the appointment.

    `organizer`: goes with the column of the row. `invited`: the attendee that each record of Outreach is. `links`:
    those that were cut off with the end of a text.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    organizer: Party | None = None
    invited: Mapping[Reference, CrmRecord | str] = field(default_factory=dict)
    links: tuple[str, ...] = ()


class Row(Strict):
    """One row of the table: an Outreach field, where it stands in deliveries, and the column it becomes.

    kind       what type of value it reads
    types      the types of column that it can write, as Dataverse's metadata calls them; a choice of several is a
               `MultiSelectPicklist` here, and a day without time a `DateOnly`
    only       the one column that it writes; None: any of those types
    on_create  Dynamics takes it with the create only
    """

    kind: ClassVar[Kind]
    types: ClassVar[frozenset[str]]
    only: ClassVar[str | None] = None
    on_create: ClassVar[bool] = False

    row: str
    field: Annotated[str, Field(pattern=FIELD)]
    column: Annotated[str, Field(pattern=FIELD)]
    transform: str
    sources: Sources
    max_length: Annotated[int, Field(gt=0, le=1_048_576)] | None = None
    per_calendar: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.only is not None and self.column != self.only:
            raise ValueError(f"transform {self.transform} writes column {self.only}, not {self.column}")
        taken = {transform.only for transform in TRANSFORMS.values()} | RESERVED_COLUMNS
        if self.only is None and self.column in taken:
            raise ValueError(f"column {self.column} cannot be written with transform {self.transform}")
        self.kind.check(self.sources)
        return self

    @property
    def column_types(self) -> frozenset[str]:
        """The types of column that this row can write."""
        return self.types

    @property
    def wire(self) -> Wire:
        """How the column goes over the wire."""
        return Plain()

    @property
    def looks_up(self) -> bool:
        """Whether records have to be known first (see `needs`)."""
        return self.kind.is_reference

    def reads(self, rows: Sequence[Row]) -> frozenset[str]:  # noqa: ARG002 - most read no field but their own
        """The fields that it is made of; `rows` are all rows of the mapping."""
        return frozenset({self.field})

    def needs(self, values: Mapping[str, Any], rows: Sequence[Row] = ()) -> frozenset[Reference]:
        """The records whose counterparts in Dynamics must be known first; `rows` are all rows of the mapping."""
        if not self.kind.is_reference:
            return frozenset()
        return frozenset(target for name in self.reads(rows) for target in targets(values, name))

    def part(self, given: Given) -> Part:
        """What the row contributes: without a column where this stays as it is."""
        if self.field not in given.values:
            return Part()
        value = given.values[self.field]
        return Part({self.column: None if value is None else self.converted(value, given)})

    def converted(self, value: Any, given: Given) -> Any:  # noqa: ARG002 - most need no more than the value
        """The column's value for a field's."""
        return value

    def shown(self, value: Any) -> str:
        """The column's value as people read it."""
        return "" if value is None else str(value)


class TextRow(Row):
    """Any column of text, cut at `max_length`."""

    kind = Kind.TEXT
    types = TEXTS

    def part(self, given: Given) -> Part:
        """The text as Dataverse takes it, and what did not fit."""
        value = given.values.get(self.field)
        if value is None:
            return super().part(given)
        whole = clean(value)
        return _of_text(self, whole, cut(whole, self.max_length))


class BooleanRow(Row):
    """Any column of two options."""

    kind = Kind.FLAG
    types = frozenset({"Boolean"})


class NumberRow(Row):
    """Any column of numbers, within what it holds.

    minimum, maximum  the limits of the column; a number beyond them leaves it as it is
    decimals          so many digits behind the point, halves up; 0 for a column of whole numbers
    """

    kind = Kind.NUMBER
    types = NUMBERS

    minimum: _Limit | None = None
    maximum: _Limit | None = None
    decimals: Annotated[int, Field(strict=True, ge=0, le=10)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self

    def part(self, given: Given) -> Part:
        """The number as the column takes it. One that it does not hold leaves it as it is."""
        value = given.values.get(self.field)
        if value is None:
            return super().part(given)
        kept = _rounded(value, self.decimals)
        if (self.minimum is not None and kept < self.minimum) or (self.maximum is not None and kept > self.maximum):
            return Part(notes=(f"{self.row}: the number is beyond what {self.column} holds, which stays as it is.",))
        note = f"{self.row}: rounded to {self.decimals} decimals, as {self.column} holds it."
        return Part({self.column: kept}, notes=() if kept == value else (note,))


class OptionsRow(Row):
    """Options of a choice column.

    values     the option's number for each text; letter case and spaces around make no difference. Without, and for a
               number that is one of them, the number itself counts
    otherwise  the option for a text that is not among them; without: none
    """

    values: dict[str, _OptionNumber] = {}
    otherwise: _OptionNumber | None = None

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        folded = [_folded(text) for text in self.values]
        if twice := sorted({text for text in folded if folded.count(text) > 1}):
            raise ValueError(f"values has {', '.join(map(repr, twice))} twice: letter case makes no difference")
        return self

    def option(self, text: str) -> int | None:
        """The number for a text of Outreach; None for a text that the mapping does not know."""
        known = {_folded(name): number for name, number in self.values.items()}
        if (number := known.get(_folded(text))) is not None:
            return number
        found = _OPTION.fullmatch(text.strip())
        return int(found[1]) if found and (not known or int(found[1]) in known.values()) else None

    @property
    def _unknown(self) -> str:
        """What people should know of a text that is not among `values`; the text itself may be anything."""
        known = f"it has {', '.join(self.values)}" if self.values else "it has none, so numbers alone count"
        return f"{self.row}: the values of the mapping have no such text ({known}); {self.column} gets "


class ChoiceRow(OptionsRow):
    """Any choice column: one option, by text or number."""

    kind = Kind.TEXT
    types = frozenset({"Picklist"})

    def part(self, given: Given) -> Part:
        """The option; `otherwise`, with a note, for a text that the mapping does not know."""
        value = given.values.get(self.field)
        if value is None or not value.strip():
            return Part({self.column: None}) if self.field in given.values else Part()
        if (option := self.option(value)) is not None:
            return Part({self.column: option})
        gets = "nothing" if self.otherwise is None else str(self.otherwise)
        return Part({self.column: self.otherwise}, notes=(f"{self._unknown}{gets}.",))


class ChoicesRow(OptionsRow):
    """Any column of several choices: the options of a list of texts or numbers, or of a text with commas between."""

    kind = Kind.TEXTS
    types = MANY_CHOICES

    @property
    def wire(self) -> Wire:
        """Numbers with commas between."""
        return Choices()

    def part(self, given: Given) -> Part:
        """The options that the mapping knows, and `otherwise`, with a note, for the rest."""
        texts = given.values.get(self.field)
        if texts is None:
            return super().part(given)
        options = [self.option(text) for text in texts]
        chosen = [self.otherwise if option is None else option for option in options]
        gets = "no option for it" if self.otherwise is None else f"{self.otherwise} for it"
        notes = (f"{self._unknown}{gets}.",) if None in options else ()
        return Part({self.column: Choices.text(option for option in chosen if option is not None)}, notes=notes)


class InstantRow(Row):
    """Any column of date and time. A day begins at midnight in the zone of all-day meetings."""

    kind = Kind.INSTANT
    types = frozenset({"DateTime"})

    @property
    def wire(self) -> Wire:
        """UTC, to the second."""
        return Moment()

    def part(self, given: Given) -> Part:
        """UTC, to the second. A time that Dynamics cannot hold leaves the column as it is."""
        value = given.values.get(self.field)
        if value is None:
            return super().part(given)
        moment = self.moment(value, given)
        if moment is not None:
            return Part({self.column: moment})
        return Part(notes=(f"{self.row}: Dynamics cannot hold such a time; {self.column} stays as it is.",))

    def moment(self, value: str, given: Given) -> str | None:
        """The column's value; None for a time that Dynamics cannot hold."""
        try:
            moment = self._moment(value, given)
        except OverflowError:  # no calendar has such a day
            return None
        return moment if _EARLIEST[: len(moment)] <= moment <= _LATEST[: len(moment)] else None

    def _moment(self, value: str, given: Given) -> str:
        moment = parse_time(value)
        return whole_seconds(moment.replace(tzinfo=given.zone) if is_day(value) else moment)


class DateRow(InstantRow):
    """Any column of a day without time: that of a time is the day in the zone of all-day meetings."""

    types = frozenset({"DateOnly"})

    @property
    def wire(self) -> Wire:
        """A day."""
        return Day()

    def _moment(self, value: str, given: Given) -> str:
        moment = parse_time(value)
        return (moment if is_day(value) else moment.astimezone(given.zone)).date().isoformat()


class _BoundRow(InstantRow):
    """Start or end: for an all-day meeting the midnight of a day, in the zone of all-day meetings."""

    def _moment(self, value: str, given: Given) -> str:
        if given.feeding("isalldayevent") is not True:
            return super()._moment(value, given)
        return whole_seconds(datetime.combine(self._day(value, given), time(), tzinfo=given.zone))

    @abstractmethod
    def _day(self, value: str, given: Given) -> date:
        """The day on whose first midnight an all-day meeting starts or ends."""


class StartRow(_BoundRow):
    """When it starts."""

    only = "scheduledstart"

    def _day(self, value: str, given: Given) -> date:
        return first_day(value, given.feeding(EndRow.only), given.zone)


class EndRow(_BoundRow):
    """When it ends."""

    only = "scheduledend"

    def _day(self, value: str, given: Given) -> date:
        return day_after(given.feeding(StartRow.only), value, given.zone)


class CreatedOnRow(InstantRow):
    """Created On: when the meeting was booked."""

    only = "overriddencreatedon"
    on_create = True

    def part(self, given: Given) -> Part:
        """A wish; without one Dynamics says when the appointment was created."""
        value = given.values.get(self.field)
        if not value:
            return Part()
        moment = self.moment(value, given)
        if moment is not None:
            return Part({self.column: moment})
        return Part(notes=(f"{self.row}: Dynamics cannot hold such a time and says itself when it was created.",))


class _UserRow(Row):
    """A user of Outreach, as the user of Dynamics."""

    kind = Kind.USER

    def user(self, given: Given) -> tuple[CrmRecord | None, Person, tuple[str, ...]]:
        """The user's record, the user, and a note where there is none; a prospect who books is nobody's user."""
        notes: list[str] = []
        for target in targets(given.values, self.field):
            if target.type == "prospect":
                return None, Person(), (*notes, f"{self.row}: a prospect booked; Dynamics knows no user for it.")
            person = given.people[target]
            if record := person.record("systemuser"):
                return record, person, tuple(notes)
            notes.append(f"{self.row}: user {target.id} is no user in Dynamics.")
        return None, Person(), tuple(notes)


class CreatedByRow(_UserRow):
    """Created By: no column that is written, but whom the create is made for."""

    only = "createdby"
    types = frozenset({"Lookup"})
    on_create = True

    def needs(self, values: Mapping[str, Any], rows: Sequence[Row] = ()) -> frozenset[Reference]:
        """The user; a prospect who books is nobody's user."""
        return frozenset(target for target in super().needs(values, rows) if target.type != "prospect")

    def part(self, given: Given) -> Part:
        """The user's id alone."""
        user, _, notes = self.user(given)
        return Part({self.column: user.id} if user else {}, notes=notes)


class OwnerRow(_UserRow):
    """The owner, who is the organizer too."""

    only = OWNER
    types = frozenset({"Owner", "Lookup"})

    @property
    def wire(self) -> Wire:
        """One bind for users and teams."""
        return Lookup("ownerid")

    def part(self, given: Given) -> Part:
        """Owner and organizer; without a user neither, and whoever owns the appointment stays."""
        if self.field not in given.values:
            return Part()
        user, person, notes = self.user(given)
        if user is None:
            return Part(notes=notes)
        return Part({self.column: str(user)}, notes, Party(Role.ORGANIZER, user, _known_as(person)))


class AttendeesRow(Row):
    """The prospects, as required attendees."""

    kind = Kind.PROSPECT
    types = frozenset({"PartyList"})
    only = PARTIES

    @property
    def wire(self) -> Wire:
        """Rows of their own."""
        return Parties()

    def part(self, given: Given) -> Part:
        """One party for everybody who can be invited; somebody whom several records name, by the best known one."""
        if self.field not in given.values:
            return Part()
        who, notes = self.who(given)
        parties = [Party(Role.REQUIRED, one, _known_as(given.people[target])) for target, one in who.items()]
        parties.sort(key=lambda party: _rank(party.who, given.attendees))
        return Part({self.column: sorted(each_once(parties), key=str)}, notes, invited=who)

    def who(self, given: Given) -> tuple[dict[Reference, CrmRecord | str], tuple[str, ...]]:
        """Everybody who can be invited, in order, by record or address; and notes on who has no record."""
        who: dict[Reference, CrmRecord | str] = {}
        notes = []
        for target in targets(given.values, self.field):
            found, note = _attendee(given.people[target], given.attendees)
            who |= {target: found} if found else {}
            notes += [f"{target.type} {target.id} is nobody in Dynamics; {note}."] if note else []
        return who, tuple(notes)

    def shown(self, value: Any) -> str:
        """Who, and in which role."""
        return ", ".join(f"{party.who} ({party.role.words})" for party in value or ())


class RegardingRow(Row):
    """What the appointment is about: the opportunity, else the first attendee with a record."""

    kind = Kind.OPPORTUNITY
    types = frozenset({"Lookup"})
    only = REGARDING

    @property
    def wire(self) -> Wire:
        """A bind for each table that it may point at."""
        return Lookup("regardingobjectid_{table}_appointment", clears="opportunity")

    def reads(self, rows: Sequence[Row]) -> frozenset[str]:
        """The opportunity and the attendees."""
        return super().reads(rows) | {row.field for row in rows if isinstance(row, AttendeesRow)}

    def part(self, given: Given) -> Part:
        """The record; nothing where no event has named opportunity or attendees."""
        notes: list[str] = []
        for target in targets(given.values, self.field):
            if record := given.people[target].record("opportunity"):
                return Part({self.column: str(record)}, notes=tuple(notes))
            notes.append(f"opportunity {target.id} is not known in Dynamics.")
        rows = [row for row in given.rows if isinstance(row, AttendeesRow) and row.field in given.values]
        if not rows and self.field not in given.values:
            return Part()
        known = (str(who) for row in rows for who in row.who(given)[0].values() if isinstance(who, CrmRecord))
        return Part({self.column: next(known, None)}, notes=tuple(notes))


class LookupRow(Row):
    """Any lookup column: the row of another table that a text names.

    table  the table's entity set, as in an address: `new_sequences`
    bind   the lookup's navigation property, letter case as in Dynamics: `new_Sequence_Appointment`
    by     the column of text that names the row; null: the text is its GUID
    """

    kind = Kind.TEXT
    types = frozenset({"Lookup"})

    table: Annotated[str, Field(pattern=_NAME)]
    bind: Annotated[str, Field(pattern=_NAME)]
    by: Annotated[str, Field(pattern=FIELD)] | None

    @property
    def wire(self) -> Wire:
        """A bind to the table."""
        return RowLookup(self.bind, self.table)

    @property
    def looks_up(self) -> bool:
        """Unless the text is the GUID."""
        return self.by is not None

    def needs(self, values: Mapping[str, Any], rows: Sequence[Row] = ()) -> frozenset[Reference]:  # noqa: ARG002
        """The row that the text names, where it can name one."""
        key = self._key(values.get(self.field))
        return frozenset() if key is None else frozenset({key.reference})

    def part(self, given: Given) -> Part:
        """The row's GUID. Where none is found the column stays as it is."""
        text = (given.values.get(self.field) or "").strip()
        if not text:
            return Part({self.column: None}) if self.field in given.values else Part()
        found, why = self._found(text, given.people)
        if found is not None:
            return Part({self.column: found})
        return Part(notes=(f"{self.row}: {why}; {self.column} stays as it is.",))

    def _key(self, value: str | None) -> RowKey | None:
        text = (value or "").strip()
        return RowKey(self.table, self.by, text) if self.by and 0 < len(text) <= _LONGEST_KEY else None

    def _found(self, text: str, people: People) -> tuple[str | None, str]:
        """The GUID, and why there is none."""
        if self.by is None:
            return guid(text), "the text is no GUID"
        key = self._key(text)
        person = Person() if key is None else people[key.reference]
        why = person.note or f"{self.table} has no row with such a text in {self.by}"
        return next((record.id for record in person.records), None), why


class ConstantRow(Row):
    """Any column of texts, numbers, choices or two options: always the same value, which no event has to name."""

    kind = Kind.TEXT
    types = frozenset({"Boolean", "Picklist"}) | TEXTS | NUMBERS | MANY_CHOICES

    field: Annotated[str, Field(pattern=FIELD)] = ""
    sources: tuple[()] = ()
    constant: Annotated[Any, BeforeValidator(_constant), Field(alias="value")]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if isinstance(self.constant, str) and cut(clean(self.constant), self.max_length) != self.constant:
            raise ValueError("value is longer than max_length, or holds a character that Dynamics does not take")
        return self

    @property
    def column_types(self) -> frozenset[str]:
        """Those that take a value of this type."""
        match self.constant:
            case bool():
                return frozenset({"Boolean"})
            case int():
                return NUMBERS | {"Picklist"}
            case float():
                return NUMBERS - {"Integer", "BigInt"}
            case str():
                return TEXTS
        return MANY_CHOICES

    @property
    def wire(self) -> Wire:
        """As the column with such values."""
        return Choices() if isinstance(self.constant, list) else Plain()

    def part(self, given: Given) -> Part:  # noqa: ARG002 - the same for every meeting
        """The value."""
        value = Choices.text(self.constant) if isinstance(self.constant, list) else self.constant
        return Part({self.column: value})


class TemplateRow(Row):
    """Any column of text, made of other fields: `{title} / {meeting_type}`. Two braces stand for one."""

    kind = Kind.TEXT
    types = TEXTS

    field: Annotated[str, Field(pattern=FIELD)] = ""
    sources: tuple[()] = ()
    template: Annotated[str, AfterValidator(_template)]

    def reads(self, rows: Sequence[Row]) -> frozenset[str]:  # noqa: ARG002 - those that it names
        """The fields that it names."""
        return frozenset(name for _, name in _pieces(self.template) if name)

    def check(self, kinds: Mapping[str, Kind]) -> None:
        """Raise `ValueError` for a field that no text can be made of; `kinds`: those of all fields."""
        for name in sorted(self.reads(())):
            if name not in kinds:
                raise ValueError(f"{self.row}: the template names field {name}, which no row or signal reads")
            if kinds[name].is_reference:
                raise ValueError(f"{self.row}: the template names field {name}, which gives records and no text")

    def part(self, given: Given) -> Part:
        """The text, from its first field on that some event has named; nothing stands where a field has no value."""
        if not self.reads(given.rows) & given.values.keys():
            return Part()
        words = {name: _in_words(given.values.get(name), given, name) for name in self.reads(given.rows)}
        if not any(words.values()):
            return Part({self.column: None})
        whole = clean("".join(literal + words.get(name, "") for literal, name in _pieces(self.template))).strip()
        return _of_text(self, whole, shortened(whole, self.max_length))


# An appointment has both, or Dynamics refuses it (0x80040275).
TIMES = ("scheduledstart", "scheduledend")

TRANSFORMS: Mapping[str, type[Row]] = {
    "text": TextRow,
    "boolean": BooleanRow,
    "number": NumberRow,
    "choice": ChoiceRow,
    "choices": ChoicesRow,
    "instant": InstantRow,
    "date": DateRow,
    "start": StartRow,
    "end": EndRow,
    "created_on": CreatedOnRow,
    "created_by": CreatedByRow,
    "attendees": AttendeesRow,
    "owner": OwnerRow,
    "regarding": RegardingRow,
    "lookup": LookupRow,
    "constant": ConstantRow,
    "template": TemplateRow,
}


def targets(values: Mapping[str, Any], field_name: str) -> tuple[Reference, ...]:
    """The records of Outreach that a field names."""
    return tuple(Reference(target["type"], target["id"]) for target in values.get(field_name) or ())


def _of_text(row: Row, whole: str, kept: str) -> Part:
    """A text of which `kept` fits the column, with a note and the links that were cut off where that is not all."""
    if kept == whole:
        return Part({row.column: kept})
    note = f"{row.row}: cut at {row.max_length} characters, where {row.column} ends."
    return Part({row.column: kept}, notes=(note,), links=lost_links(whole, kept))


def _rounded(value: float, decimals: int | None) -> float:
    if decimals is None or abs(value) >= _EXACT:  # from there on a float has no digits behind the point
        return value
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return int(rounded) if rounded == int(rounded) else float(rounded)


def _folded(text: str) -> str:
    return text.strip().casefold()


def _in_words(value: Any, given: Given, name: str) -> str:
    """A field's value within a text: a time to the minute, in the zone of all-day meetings."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value)
        case str() if given.kinds[name] is Kind.INSTANT and not is_day(value):
            return _local(value, given.zone)
    return str(value)


def _local(value: str, zone: tzinfo) -> str:
    try:
        return parse_time(value).astimezone(zone).isoformat(" ", "minutes")[:16]
    except OverflowError:  # no calendar of that zone has such a day
        return ""


def _attendee(person: Person, rules: Attendees) -> tuple[CrmRecord | str | None, str]:
    """The record or the address to invite somebody by, and a note where there is no record."""
    for table in rules.order:
        if record := person.record(table):
            return record, ""
    if rules.unresolved == "address" and person.email and is_address(person.email):
        return person.email.lower(), "invited by address"
    return None, "left out"


def _known_as(person: Person) -> frozenset[CrmRecord | str]:
    return frozenset(person.records).union([person.email.lower()] if person.email else [])


def _rank(who: CrmRecord | str, rules: Attendees) -> int:
    """How far from the best way to name somebody."""
    tables: list[str] = list(rules.order)
    return len(tables) if isinstance(who, str) else tables.index(who.table)


def _unknown(name: str) -> str:
    meant = difflib.get_close_matches(name, TRANSFORMS, n=1)
    raise ValueError(
        f"there is no transform {name!r}; " + (f"is {meant[0]!r} meant?" if meant else "docs/mapping.md lists them")
    )


class _UnknownRow(Row):
    """A row whose transform is missing or misspelt: its other mistakes are reported too."""

    transform: Annotated[str, AfterValidator(_unknown)]


class ByTransform:
    """Reads an object of the mapping file as the class that its transform names."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One schema per transform."""
        rows = {**TRANSFORMS, "": _UnknownRow}
        return core_schema.tagged_union_schema(
            {name: handler.generate_schema(row) for name, row in rows.items()}, discriminator=_transform_of
        )


def _transform_of(content: object) -> str:
    name = content.get("transform") if isinstance(content, Mapping) else None
    return name if isinstance(name, str) and name in TRANSFORMS else ""

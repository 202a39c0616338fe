"""The mapping file: which Outreach field feeds which appointment column, as data.

`shared/mapping.json` is the default and is the table of Outreach's help article row by row. An admin copies it, changes
it and names the copy in `MAPPING_FILE`. Everything is checked when it is read: a typing mistake stops the start with a
sentence that names the place.

A *source* (`sources.py`) says where a value stands in a delivery, a *transform* (`transforms.py`) what becomes of it.

The first source that is present wins, with two exceptions. The sources of attendees, from the one prospect to the list
of all, count together, and each is merged for itself. So is an attribute that is compared with words: that `status` is
`confirmed` takes back that the same attribute of the same record was `completed`, and nothing that was said elsewhere.

A *resource* is a kind of Outreach record whose events count. Either its records are meetings, or it is a *witness*: it
tells something of a meeting that it names (a recording, a task, an entry of the events API). `Resource` says what can
be set for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from shared.errors import BadMapping, problem_in_words
from shared.meeting.sources import KeySource, Source, Sources
from shared.meeting.transforms import (
    FENCE,
    PARTIES,
    Attendees,
    ByTransform,
    CreatedOnRow,
    Kind,
    Row,
    Strict,
    TemplateRow,
)
from shared.meeting.wire import Parties, Plain, Wire
from shared.timestamps import has_zone, parse_time


class Signal(Strict):
    """A field that no column shows but that the life cycle or a condition reads."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Kind
    sources: Sources
    per_calendar: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.kind.check(self.sources)
        return self


class Resource(Strict):
    """What the app does with the events of one Outreach resource.

    enabled    whether its events count at all
    witness    its records are no meetings, but tell of one that `key` names
    remembers  which meeting a record named is remembered, for its events that do not name it again
    key        where the meeting is named; without, or where it is not named, the record is the meeting
    when       conditions that must all hold; a value that the event does not carry does not hold
    actions    the actions that count (`created` of `task.created`), each with flags that it sets; without: all
    fields     the fields that may be read from its events; without: all
    lenient    a value of the wrong type is left out, instead of making the event a dead letter
    """

    enabled: bool = True
    witness: bool = False
    remembers: bool = False
    key: tuple[Annotated[KeySource, BeforeValidator(KeySource.parse)], ...] = ()
    when: tuple[Annotated[Source, BeforeValidator(Source.parse)], ...] = ()
    actions: dict[str, dict[str, bool]] | None = None
    fields: tuple[str, ...] | None = None
    lenient: bool = False

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.witness and not self.key:
            raise ValueError("a witness needs a key: where does it name its meeting?")
        if self.remembers and not self.witness:
            raise ValueError("only a witness can remember which meeting it named")
        return self


_COMPARING = frozenset({"equal", "not_equal"})
_OF_FLAGS = frozenset({"true", "not_true", "false", "not_false"})


def _plain(value: object) -> object:
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError("text in quotes, or a number, true or false without, was expected")
    return value


class Condition(Strict):
    """One condition under Outbound Create. `otherwise` is the sentence the admin reads when it is not met."""

    field: str
    is_: Annotated[
        Literal["set", "not_set", "true", "false", "not_true", "not_false", "equal", "not_equal"],
        Field(alias="is"),
    ]
    value: Annotated[str | bool | int | float | None, BeforeValidator(_plain)] = None
    otherwise: str

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.value is not None) != (self.is_ in _COMPARING):
            raise ValueError("equal and not_equal need a value to compare with; the others take none")
        return self

    @property
    def words(self) -> str:
        """The condition in words: `prospects is set`."""
        words = self.is_.replace("_", " ")
        return f"{self.field} is {words}" + (f" to {self.value!r}" if "equal" in words else "")

    def check(self, kind: Kind) -> None:
        """Raise `ValueError` where a field of `kind` could never meet the condition, or never fail to."""
        if self.is_ in _OF_FLAGS and kind is not Kind.FLAG:
            raise ValueError(f"a condition says {self.field} is {self.is_}, but it is no flag; ask whether it is set")
        if self.is_ in _COMPARING:
            if kind.is_many:
                raise ValueError(f"a condition compares {self.field}, which is of kind {kind}; ask whether it is set")
            if not kind.is_compared_with(self.value):
                raise ValueError(
                    f"a condition compares {self.field}, which is of kind {kind}, so its value must be {kind.literal}"
                )


LIFECYCLE_FIELDS = ("completed", "canceled", "declined", "destroyed")

# The signal that gives the id of the meeting in every calendar.
ICAL_UID = "ical_uid"


def _moment(text: object) -> object:
    if isinstance(text, str):
        parse_time(text)
        if not has_zone(text):
            raise ValueError("a time needs its zone, as in 2026-01-05T00:00:00Z")
    return text


class Existing(Strict):
    """Whether a meeting that is about to get an appointment takes over one that is there already.

    adopt          never; always; or for meetings that were booked before `booked_before` only
    booked_before  when the plugin stopped, say
    """

    adopt: Literal["never", "always", "booked_before"] = "never"
    booked_before: Annotated[str | None, BeforeValidator(_moment)] = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.adopt == "booked_before" and self.booked_before is None:
            raise ValueError("adopt is booked_before, so booked_before must say a time")
        return self


class MappingFile(Strict):
    """The whole file, checked. `declared` has every resource of the file, `resources` those that are enabled."""

    version: Literal[1]
    declared: Annotated[dict[str, Resource], Field(min_length=1, alias="resources")]
    rows: Annotated[tuple[Annotated[Row, ByTransform()], ...], Field(min_length=1)]
    signals: tuple[Signal, ...] = ()
    create_conditions: tuple[Condition, ...] = ()
    attendees: Attendees = Attendees()
    deleted_in_dynamics: Literal["recreate", "leave"] = "recreate"
    existing: Existing = Existing()

    @property
    def resources(self) -> Mapping[str, Resource]:
        """The resources whose events count."""
        return {name: resource for name, resource in self.declared.items() if resource.enabled}

    @cached_property
    def wires(self) -> Mapping[str, Wire]:
        """How each column goes over the wire, those that no row writes included."""
        return {PARTIES: Parties(), FENCE: Plain(), **{row.column: row.wire for row in self.rows}}

    @cached_property
    def digest(self) -> str:
        """Another one for a file that says anything else."""
        return sha256(repr(self).encode()).hexdigest()

    @property
    def inputs(self) -> tuple[Row | Signal, ...]:
        """Every field that is read from deliveries."""
        return (*(row for row in self.rows if row.sources), *self.signals)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """What type of value each field has."""
        return {item.field: item.kind for item in self.inputs}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [item.field for item in self.inputs]
        columns = [row.column for row in self.rows]
        for what, found in (("field", names), ("column", columns)):
            twice = sorted({name for name in found if found.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {', '.join(twice)} is there twice")
        unknown = sorted({condition.field for condition in self.create_conditions} - set(names))
        if unknown:
            raise ValueError(f"a condition reads field {', '.join(unknown)}, which no row or signal has")
        for condition in self.create_conditions:
            condition.check(self.kinds[condition.field])
        for row in self.rows:
            if isinstance(row, TemplateRow):
                row.check(self.kinds)
        wrong = [s.field for s in self.signals if s.field in LIFECYCLE_FIELDS and s.kind is not Kind.FLAG]
        if wrong:
            raise ValueError(f"signal {', '.join(wrong)} must be of kind flag")
        missing = sorted({"scheduledstart", "scheduledend"} - set(columns))
        if missing:
            raise ValueError(f"no row writes {', '.join(missing)}, which every appointment needs")
        if all(resource.witness for resource in self.resources.values()):
            raise ValueError("no enabled resource is a meeting; enable meeting or calendarEvent")
        return self

    @model_validator(mode="after")
    def _existing_fits(self) -> Self:
        if any(signal.field == ICAL_UID and signal.kind is not Kind.TEXT for signal in self.signals):
            raise ValueError(f"signal {ICAL_UID} must be of kind text")
        booked = any(row.column == CreatedOnRow.only for row in self.rows)
        if self.existing.adopt == "booked_before" and not booked:
            raise ValueError(f"existing asks when a meeting was booked, and no row writes {CreatedOnRow.only}")
        return self

    @model_validator(mode="after")
    def _resources_fit(self) -> Self:
        names = {item.field for item in self.inputs}
        flags = {signal.field for signal in self.signals if signal.kind is Kind.FLAG}
        for name, resource in self.resources.items():
            set_by_actions = {field for constants in (resource.actions or {}).values() for field in constants}
            if wrong := sorted(set_by_actions - flags):
                raise ValueError(f"resource {name}: an action sets {', '.join(wrong)}, which no signal of kind flag is")
            if wrong := sorted(set(resource.fields or ()) - names):
                raise ValueError(f"resource {name}: no row or signal has field {', '.join(wrong)}")
        return self


def parse_mapping(content: Any, *, origin: str) -> MappingFile:
    """The mapping in `content`. Raises `BadMapping` with one sentence per problem, each naming its place."""
    try:
        return MappingFile.model_validate(content)
    except ValidationError as error:
        problems = []
        found = error.errors(include_url=False, include_context=False)
        # A list whose every item is wrong is called too short as well; one sentence a mistake.
        within = {one["loc"][:-1] for one in found}
        for one in found:
            if one["type"] == "too_short" and one["loc"] in within:
                continue
            where = ".".join(str(part) for part in _place(one["loc"])) or "the file"
            problems.append(f"{origin}: {where}: {problem_in_words(one)}{_meant(one)}")
        raise BadMapping(problems) from error


def _meant(problem: Mapping[str, Any]) -> str:
    """Which member a misspelt one may be."""
    if problem["type"] != "extra_forbidden":
        return ""
    found = get_close_matches(str(problem["loc"][-1]), sorted(Strict.members()), n=1)
    return f"; is {found[0]!r} meant?" if found else ""


def _place(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where a mistake stands in the file. pydantic names the class of a row too, after the row's number."""
    return loc[:2] + loc[3:] if loc[:1] == ("rows",) else loc

"""The mapping file: which Outreach field feeds which appointment column, as data.

`shared/mapping.json` is the default and is the table of Outreach's help article row by row. An admin copies it, changes
it and names the copy in `MAPPING_FILE`. Everything is checked when it is read: a typing mistake stops the start with a
sentence that names the place.

A *source* says where a value stands in a delivery:

    attributes.title            the value itself
    attributes.state=a|b        true when the value is `a` or `b` (letter case aside); another value takes that back
    attributes.canceledAt?      true when the value is there and not null
    relationships.prospect      the records of a relationship, in whichever form
    action=completed            true when the event is `<resource>.completed`; says nothing otherwise

The first source that is present wins, with two exceptions. The sources of attendees, from the one prospect to the list
of all, count together, and each is merged for itself. So is an attribute that is compared with words: that `status` is
`confirmed` takes back that the same attribute of the same record was `completed`, and nothing that was said elsewhere.

A *resource* is a kind of Outreach record whose events count. Either its records are meetings, or it is a *witness*: it
tells something of a meeting that it names (a recording, a task, an entry of the events API). `Resource` says what can
be set for one. Its `key` says where the meeting is named, in one of these forms:

    relationships.meeting                        the record is a meeting
    relationships.subject=meeting|calendarEvent  only a record of one of these types counts, and that is what it is
    attributes.sourceId as calendarEvent         the value is the id of a calendar event
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.errors import BadMapping, told

Kind = Literal["text", "flag", "instant", "user", "prospect", "opportunity"]
Transform = Literal[
    "text",
    "boolean",
    "instant",
    "start",
    "end",
    "created_on",
    "created_by",
    "attendees",
    "owner",
    "regarding",
]

REFERENCE_KINDS: frozenset[Kind] = frozenset({"user", "prospect", "opportunity"})

# What a transform reads, and the one column that it can write (None: any column of that type).
TRANSFORMS: Mapping[str, tuple[Kind, str | None]] = {
    "text": ("text", None),
    "boolean": ("flag", None),
    "instant": ("instant", None),
    "start": ("instant", "scheduledstart"),
    "end": ("instant", "scheduledend"),
    "created_on": ("instant", "overriddencreatedon"),
    "created_by": ("user", "createdby"),
    "attendees": ("prospect", "appointment_activity_parties"),
    "owner": ("user", "ownerid"),
    "regarding": ("opportunity", "regardingobjectid"),
}

# Columns that belong to the life cycle or to Dataverse itself; a row of the mapping may not write them.
RESERVED_COLUMNS = frozenset(
    {
        "activityid",
        "statecode",
        "statuscode",
        "createdon",
        "modifiedon",
        "modifiedby",
        "versionnumber",
        "globalobjectid",
    }
)

_SOURCE = re.compile(r"(attributes|relationships)\.(\w+)(\?|=([^=]+))?|action=(\w+)")
_KEY_SOURCE = re.compile(r"(?:(attributes)\.(\w+)|(relationships)\.(\w+)(?:=(\w+(?:\|\w+)*))?)(?: as (\w+))?")


@dataclass(frozen=True, slots=True)
class Source:
    """One place in a delivery. `place`: `attributes`, `relationships` or `action`; `equals`: lower-case texts."""

    place: str
    name: str
    equals: tuple[str, ...] = ()
    presence: bool = False

    @classmethod
    def parse(cls, text: object) -> Self:
        """The source in `text`; raises `ValueError` that shows the forms there are."""
        found = _SOURCE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(
                f"{text!r} is not a source; write attributes.NAME, attributes.NAME?, attributes.NAME=VALUE, "
                "relationships.NAME or action=NAME"
            )
        place, name, suffix, values, action = found.groups()
        if action:
            return cls("action", action.lower())
        if suffix and place == "relationships":
            raise ValueError(f"{text!r}: a relationship takes neither ? nor =")
        equals = tuple(value.strip().lower() for value in values.split("|")) if values else ()
        if not all(equals):
            raise ValueError(f"{text!r}: one of its values is empty")
        return cls(place, name, equals, presence=suffix == "?")


@dataclass(frozen=True, slots=True)
class KeySource:
    """One place where an event may name its meeting.

    `types`: the record's type must be one of these (none: any will do); `names`: what the record is (empty: its type).
    """

    place: str
    name: str
    types: tuple[str, ...] = ()
    names: str = "meeting"

    @classmethod
    def parse(cls, text: object) -> Self:
        """The key source in `text`; raises `ValueError` that shows the forms there are."""
        found = _KEY_SOURCE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(
                f"{text!r} does not say where the meeting is named; write relationships.NAME, "
                "relationships.NAME=TYPE|TYPE or attributes.NAME, each with or without ' as RESOURCE'"
            )
        attributes, attribute, relationships, relationship, types, names = found.groups()
        allowed = tuple(types.split("|")) if types else ()
        default = "" if allowed else "meeting"
        return cls(attributes or relationships, attribute or relationship, allowed, names or default)


Sources = Annotated[
    tuple[Annotated[Source, BeforeValidator(Source.parse)], ...],
    Field(min_length=1),
]


def _check_sources(kind: Kind, sources: tuple[Source, ...]) -> None:
    """Raise `ValueError` for a source that can never give a value of `kind`: each event that has it would fail."""
    for source in sources:
        name = f"{source.place}.{source.name}"
        if kind in REFERENCE_KINDS and source.place != "relationships":
            raise ValueError(f"a {kind} is read from relationships.NAME only, not from {name}")
        if kind not in REFERENCE_KINDS and source.place == "relationships":
            raise ValueError(f"{name} gives records, where a value of kind {kind} was expected; write attributes.NAME")
        if kind in {"text", "instant"} and (source.place == "action" or source.equals or source.presence):
            raise ValueError(
                f"{name} gives true or false here, where a value of kind {kind} was expected; write attributes.NAME"
            )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Row(_Strict):
    """One row of the table: an Outreach field, where it stands in deliveries, and the column it becomes."""

    row: str
    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    column: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    transform: Transform
    sources: Sources
    max_length: Annotated[int, Field(gt=0, le=1_048_576)] | None = None
    per_calendar: bool = False

    @property
    def kind(self) -> Kind:
        """What type of value the row reads."""
        return TRANSFORMS[self.transform][0]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        only = TRANSFORMS[self.transform][1]
        if only is not None and self.column != only:
            raise ValueError(f"transform {self.transform} writes column {only}, not {self.column}")
        bound = {column for _, column in TRANSFORMS.values() if column}
        if only is None and self.column in bound | RESERVED_COLUMNS:
            raise ValueError(f"column {self.column} cannot be written with transform {self.transform}")
        _check_sources(self.kind, self.sources)
        return self


class Signal(_Strict):
    """A field that no column shows but that the life cycle or a condition reads."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Kind
    sources: Sources
    per_calendar: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_sources(self.kind, self.sources)
        return self


class Resource(_Strict):
    """What the app does with the events of one Outreach resource.

    about      a sentence for the reader of the file
    enabled    whether its events count at all
    witness    its records are no meetings, but tell of one that `key` names
    remembers  which meeting a record named is remembered, for its events that do not name it again
    key        where the meeting is named; without, or where it is not named, the record is the meeting
    when       conditions that must all hold; a value that the event does not carry does not hold
    actions    the actions that count (`created` of `task.created`), each with flags that it sets; without: all
    fields     the fields that may be read from its events; without: all
    lenient    a value of the wrong type is left out, instead of making the event a dead letter
    """

    about: str = ""
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


def _text_or_flag(value: object) -> object:
    if value is not None and not isinstance(value, str | bool):
        raise ValueError("text in quotes, or true or false without, was expected")
    return value


class Condition(_Strict):
    """One condition under Outbound Create. `otherwise` is the sentence the admin reads when it is not met."""

    field: str
    is_: Annotated[
        Literal["set", "not_set", "true", "false", "not_true", "not_false", "equal", "not_equal"],
        Field(alias="is"),
    ]
    value: Annotated[str | bool | None, BeforeValidator(_text_or_flag)] = None
    otherwise: str

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.value is not None) != (self.is_ in _COMPARING):
            raise ValueError("equal and not_equal need a value to compare with; the others take none")
        return self

    def check(self, kind: Kind) -> None:
        """Raise `ValueError` where a field of `kind` could never meet the condition, or never fail to."""
        if self.is_ in _OF_FLAGS and kind != "flag":
            raise ValueError(f"a condition says {self.field} is {self.is_}, but it is no flag; ask whether it is set")
        if self.is_ in _COMPARING:
            if kind in REFERENCE_KINDS:
                raise ValueError(f"a condition compares {self.field}, which is of kind {kind}; ask whether it is set")
            if isinstance(self.value, bool) != (kind == "flag"):
                wanted = "true or false without quotes" if kind == "flag" else "text in quotes"
                raise ValueError(
                    f"a condition compares {self.field}, which is of kind {kind}, so its value must be {wanted}"
                )


class Attendees(_Strict):
    """Who a prospect is in Dynamics: the order of preference, and what becomes of people without a record."""

    order: Annotated[tuple[Literal["contact", "lead"], ...], Field(min_length=1)] = ("contact", "lead")
    unresolved: Literal["address", "skip"] = "address"


LIFECYCLE_FIELDS = ("completed", "canceled", "declined", "destroyed")


class MappingFile(_Strict):
    """The whole file, checked. `declared` has every resource of the file, `resources` those that are enabled."""

    version: Literal[1]
    declared: Annotated[dict[str, Resource], Field(min_length=1, alias="resources")]
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    signals: tuple[Signal, ...] = ()
    create_conditions: tuple[Condition, ...] = ()
    attendees: Attendees = Attendees()
    deleted_in_dynamics: Literal["recreate", "leave"] = "recreate"

    @property
    def resources(self) -> Mapping[str, Resource]:
        """The resources whose events count."""
        return {name: resource for name, resource in self.declared.items() if resource.enabled}

    @property
    def inputs(self) -> tuple[Row | Signal, ...]:
        """Every field that is read from deliveries."""
        return (*self.rows, *self.signals)

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
        kinds = {item.field: item.kind for item in self.inputs}
        for condition in self.create_conditions:
            condition.check(kinds[condition.field])
        wrong = [s.field for s in self.signals if s.field in LIFECYCLE_FIELDS and s.kind != "flag"]
        if wrong:
            raise ValueError(f"signal {', '.join(wrong)} must be of kind flag")
        missing = sorted({"scheduledstart", "scheduledend"} - set(columns))
        if missing:
            raise ValueError(f"no row writes {', '.join(missing)}, which every appointment needs")
        if all(resource.witness for resource in self.resources.values()):
            raise ValueError("no enabled resource is a meeting; enable meeting or calendarEvent")
        return self

    @model_validator(mode="after")
    def _resources_fit(self) -> Self:
        names = {item.field for item in self.inputs}
        flags = {signal.field for signal in self.signals if signal.kind == "flag"}
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
            where = ".".join(str(part) for part in one["loc"]) or "the file"
            problems.append(f"{origin}: {where}: {told(one)}")
        raise BadMapping(problems) from error

"""The mapping file: which Outreach field feeds which appointment column, as data.

`shared/mapping.json` is the default and is the table of Outreach's help article row by row. An admin copies it, changes
it and names the copy in `MAPPING_FILE`. Everything is checked when it is read: a typing mistake stops the start with a
sentence that names the place.

A *source* says where a value stands in a delivery:

    attributes.title            the value itself
    attributes.state=a|b        true when the value is `a` or `b` (letter case aside), false when it is something else
    attributes.canceledAt?      true when the value is there and not null
    relationships.prospect      the records of a relationship, in whichever form
    action=completed            true when the event is `<resource>.completed`; says nothing otherwise

The first source that is present wins. Attendees are the exception: all their sources together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.core.errors import BadMapping

DEFAULT_MAPPING_FILE = Path(__file__).resolve().parent.parent / "mapping.json"

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
        return cls(place, name, equals, presence=suffix == "?")


Sources = Annotated[
    tuple[Annotated[Source, BeforeValidator(Source.parse)], ...],
    Field(min_length=1),
]


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
        return self


class Signal(_Strict):
    """A field that no column shows but that the life cycle or a condition reads."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Kind
    sources: Sources
    per_calendar: bool = False


class Resource(_Strict):
    """An Outreach resource whose deliveries are meetings. `key`: where the meeting is named; else its own id."""

    key: tuple[Annotated[Source, BeforeValidator(Source.parse)], ...] = ()


class Condition(_Strict):
    """One condition under Outbound Create. `otherwise` is the sentence the admin reads when it is not met."""

    field: str
    is_: Annotated[
        Literal["set", "not_set", "true", "false", "not_true", "not_false", "equal", "not_equal"],
        Field(alias="is"),
    ]
    value: str | bool | None = None
    otherwise: str


class Attendees(_Strict):
    """Who a prospect is in Dynamics: the order of preference, and what becomes of people without a record."""

    order: Annotated[tuple[Literal["contact", "lead"], ...], Field(min_length=1)] = ("contact", "lead")
    unresolved: Literal["address", "skip"] = "address"


LIFECYCLE_FIELDS = ("completed", "canceled", "declined", "destroyed")


class MappingFile(_Strict):
    """The whole file, checked."""

    version: Literal[1]
    resources: Annotated[dict[str, Resource], Field(min_length=1)]
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    signals: tuple[Signal, ...] = ()
    create_conditions: tuple[Condition, ...] = ()
    attendees: Attendees = Attendees()
    deleted_in_dynamics: Literal["recreate", "leave"] = "recreate"

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
        wrong = [s.field for s in self.signals if s.field in LIFECYCLE_FIELDS and s.kind != "flag"]
        if wrong:
            raise ValueError(f"signal {', '.join(wrong)} must be of kind flag")
        missing = sorted({"scheduledstart", "scheduledend"} - set(columns))
        if missing:
            raise ValueError(f"no row writes {', '.join(missing)}, which every appointment needs")
        return self


def parse_mapping(content: Any, *, origin: str) -> MappingFile:
    """The mapping in `content`. Raises `BadMapping` with one sentence per problem, each naming its place."""
    try:
        return MappingFile.model_validate(content)
    except ValidationError as error:
        problems = []
        for one in error.errors(include_url=False, include_context=False):
            where = ".".join(str(part) for part in one["loc"]) or "the file"
            problems.append(f"{origin}: {where}: {one['msg'].removeprefix('Value error, ')}")
        raise BadMapping(problems) from error


def load_mapping(path: Path) -> MappingFile:
    """Read and check the file at `path`. Raises `BadMapping`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadMapping(
            [f"{path}: cannot be read ({error.strerror}). Set MAPPING_FILE to an existing file."]
        ) from error
    except ValueError as error:
        raise BadMapping([f"{path}: is not JSON: {error}"]) from error
    return parse_mapping(content, origin=str(path))

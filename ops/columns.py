"""The appointment's columns as Dynamics has them, and whether the mapping fits them.

Read from a live organisation, or from a file: its `$metadata` (EDMX), or JSON of `EntityDefinitions(LogicalName=
'appointment')` with its attributes. https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard
from xml.etree import ElementTree as ET

from ops.findings import Finding, State
from ops.report import USAGE, Refused
from shared.dataverse.client import Dataverse, document, rows
from shared.dataverse.odata import quoted
from shared.meeting.mapping import MappingFile
from shared.meeting.ports import TargetMissing
from shared.meeting.transforms import (
    MANY_CHOICES,
    NUMBERS,
    PARTIES,
    TEXTS,
    TRANSFORMS,
    ConstantRow,
    CreatedByRow,
    LookupRow,
    NumberRow,
    OptionsRow,
    Row,
)

AREA = "Mapping"
_DEFINITION = "/EntityDefinitions(LogicalName='appointment')"
_CAST = "Microsoft.Dynamics.CRM."
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
# EDMX names fewer types than Dataverse has: a choice is an Edm.Int32 too, several are an Edm.String, and money is an
# Edm.Decimal.
_EDM_TYPES = {
    "Edm.String": "String",
    "Edm.Boolean": "Boolean",
    "Edm.DateTimeOffset": "DateTime",
    "Edm.Date": "DateOnly",
    "Edm.Int32": "Integer",
    "Edm.Int64": "BigInt",
    "Edm.Decimal": "Decimal",
    "Edm.Double": "Double",
}
_OF_CHOICES = ("Picklist", "MultiSelectPicklist")
_WHOLE = frozenset({"Integer", "BigInt"})
# Of what the types themselves allow, the narrowest: whole numbers have 32 bits.
_WIDEST = 2**31 - 1
_ALSO = {"Integer": frozenset({"Picklist"}), "String": MANY_CHOICES}
# What Dataverse or the life cycle fills in.
_FILLED = frozenset({"activityid", "ownerid", "statecode", "statuscode", "isdraft", "activitytypecode"})


@dataclass(frozen=True, slots=True)
class Target:
    """A table that a lookup may point at. `types`: by the columns that a row of the mapping looks by, their type."""

    entity_set: str
    types: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is Dataverse's own name of it, but for a `MultiSelectPicklist` and a `DateOnly`.

    `also`: what it may be too, as far as the file tells.
    `least`, `most`: the limits of a number; `precision`: its digits behind the point; `options`: the label of each
    number of a choice; `binds`: the tables of a lookup by navigation property. They, `max_length`, `required` and what
    may be written are None where the file does not tell.
    """

    name: str
    type: str
    max_length: int | None = None
    required: bool | None = None
    creatable: bool | None = None
    updatable: bool | None = None
    least: float | None = None
    most: float | None = None
    precision: int | None = None
    options: Mapping[int, str] | None = None
    also: frozenset[str] = frozenset()
    binds: Mapping[str, Target] | None = None

    def is_one_of(self, types: Collection[str]) -> bool:
        """Whether it is, or may be, of one of these types."""
        return not {self.type, *self.also}.isdisjoint(types)


Columns = Mapping[str, Column]


async def read_live(dataverse: Dataverse, mapping: MappingFile) -> Columns:
    """The columns of the organisation. Those of choices are asked for once more: options come with their own type.

    So are the tables behind the lookups that `mapping` writes.
    """
    columns = _from_definitions(rows(await dataverse.request("GET", f"{_DEFINITION}/Attributes")))
    for kind in _OF_CHOICES:
        path = f"{_DEFINITION}/Attributes/{_CAST}{kind}AttributeMetadata"
        options = {"$select": "LogicalName", "$expand": "OptionSet($select=Options),GlobalOptionSet($select=Options)"}
        for one in rows(await dataverse.request("GET", path, params=options)):
            name = one["LogicalName"]
            columns[name] = replace(columns[name], options=_options(one))
    lookups = [row for row in mapping.rows if isinstance(row, LookupRow) and row.column in columns]
    return columns | (await _with_targets(dataverse, columns, lookups) if lookups else {})


async def _with_targets(dataverse: Dataverse, columns: Columns, lookups: Collection[LookupRow]) -> dict[str, Column]:
    """The columns of `lookups` with the tables that they may point at."""
    names = "ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName"
    found = rows(await dataverse.request("GET", f"{_DEFINITION}/ManyToOneRelationships", params={"$select": names}))
    known: dict[str, Column] = {}
    for row in lookups:
        of_column = [one for one in found if one["ReferencingAttribute"] == row.column]
        binds = {
            str(one["ReferencingEntityNavigationPropertyName"]): await _target(dataverse, one["ReferencedEntity"], row)
            for one in of_column
        }
        known[row.column] = replace(columns[row.column], binds=binds)
    return known


async def _target(dataverse: Dataverse, table: str, row: LookupRow) -> Target:
    definition = f"/EntityDefinitions(LogicalName={quoted(table)})"
    answer = document(await dataverse.request("GET", definition, params={"$select": "EntitySetName"}))
    types: dict[str, str | None] = {}
    if row.by is not None:
        path = f"{definition}/Attributes(LogicalName={quoted(row.by)})"
        try:
            attribute = document(await dataverse.request("GET", path, params={"$select": "LogicalName,AttributeType"}))
            types[row.by] = str(attribute["AttributeType"])
        except TargetMissing:
            types[row.by] = None
    return Target(str(answer["EntitySetName"]), types)


def read_file(path: Path) -> Columns:
    """The columns in a saved file. Raises `Refused` for what is neither of the two forms."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _from_edmx(text) if text.lstrip().startswith("<") else _from_json(json.loads(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ET.ParseError) as error:
        raise Refused(
            f"{path} holds no metadata of appointment. Save DATAVERSE_URL/api/data/v9.2/$metadata, or "
            "DATAVERSE_URL/api/data/v9.2/EntityDefinitions(LogicalName='appointment')?$expand=Attributes.",
            code="bad_metadata",
            exit_code=USAGE,
        ) from error


def compare(mapping: MappingFile, columns: Columns) -> list[Finding]:
    """What of the mapping does not fit, or one finding that all of it does."""
    found = [problem for row in mapping.rows for problem in _row_problems(row, columns)]
    found += _left_empty(mapping, columns)
    if not any(finding.state == "problem" for finding in found):
        found.insert(0, Finding(AREA, "ok", f"All {len(mapping.rows)} mapped columns are there and take their values."))
    return found


def _row_problems(row: Row, columns: Columns) -> Iterable[Finding]:
    if row.only == PARTIES:
        return  # rows of their own, not a column
    column = columns.get(row.column)
    if column is None:
        fix = "Correct the name in the mapping file, or add the column to the appointment table in Dynamics."
        yield Finding(AREA, "problem", f"{row.row}: Dynamics has no column {row.column}.", fix)
        return
    if not column.is_one_of(row.column_types):
        needed = " or ".join(sorted(row.column_types))
        what = f"{row.row}: {row.column} is of type {column.type}, and transform {row.transform} writes {needed}."
        yield Finding(AREA, "problem", what, _another_transform(column, row))
    if row.only == CreatedByRow.only:
        return  # set by acting for the booker, never written
    if column.creatable is False:
        what = f"{row.row}: Dynamics lets nobody write {row.column} in a new appointment."
        yield Finding(AREA, "problem", what, "Choose another column in the mapping file.")
    elif column.updatable is False and not row.on_create:
        what = f"{row.row}: Dynamics lets nobody change {row.column} later, so an update of it would be refused."
        yield Finding(AREA, "problem", what, "Choose another column in the mapping file.")
    if column.is_one_of(row.column_types):
        yield from _value_problems(row, column)


def _another_transform(column: Column, row: Row) -> str:
    found = [name for name, one in TRANSFORMS.items() if one.only in {None, column.name} and column.type in one.types]
    if isinstance(row, ConstantRow) or not found:
        return "Choose another column in the mapping file."
    fitting = " or ".join(f'"{name}"' for name in found)
    return f'Set "transform": {fitting} in this row of the mapping file, or choose another column.'


def _value_problems(row: Row, column: Column) -> Iterable[Finding]:
    """What a column of the right type does not take."""
    if column.max_length and _longest(row) > column.max_length:
        what = f"{row.row}: {row.column} holds {column.max_length} characters; longer texts would be refused."
        line = 'Shorten "value"' if isinstance(row, ConstantRow) else f'Set "max_length": {column.max_length}'
        yield Finding(AREA, "problem", what, f"{line} in this row of the mapping file.")
    if isinstance(row, NumberRow):
        yield from _number_problems(row, column)
    for number in _not_there(row, column):
        has = ", ".join(f"{option} ({label})" if label else str(option) for option, label in _sorted(column))
        what = f"{row.row}: {row.column} has no option {number}; it would be refused."
        yield Finding(
            AREA, "problem", what, f"Write one of these in this row of the mapping file: {has or 'none yet'}."
        )
    if isinstance(row, ConstantRow):
        yield from _constant_problems(row, column)
    if isinstance(row, LookupRow) and column.binds is not None:
        yield from _lookup_problems(row, column.binds)


def _lookup_problems(row: LookupRow, binds: Mapping[str, Target]) -> Iterable[Finding]:
    target = binds.get(row.bind)
    if target is None:
        lines = " or ".join(f'"bind": "{name}"' for name in sorted(binds)) or "another column"
        what = f"{row.row}: {row.column} has no navigation property {row.bind}; letter case counts."
        yield Finding(AREA, "problem", what, f"Set {lines} in this row of the mapping file.")
        return
    if row.table != target.entity_set:
        what = f"{row.row}: {row.bind} leads to {target.entity_set}, not to {row.table}."
        yield Finding(AREA, "problem", what, f'Set "table": "{target.entity_set}" in this row of the mapping file.')
    elif row.by is not None and target.types[row.by] not in TEXTS:
        kind = target.types[row.by]
        is_there = f"of type {kind}, and rows are looked up by text" if kind else "not there"
        what = f"{row.row}: column {row.by} of {row.table} is {is_there}."
        yield Finding(AREA, "problem", what, 'Set "by" to a column of text in this row of the mapping file.')


def _longest(row: Row) -> int:
    """The length of the longest text that the row writes."""
    if row.column_types != TEXTS:
        return 0
    if isinstance(row, ConstantRow):
        return len(row.constant.encode("utf-16-le")) // 2
    return row.max_length or 2**31


def _number_problems(row: NumberRow, column: Column) -> Iterable[Finding]:
    """Limits that a number could pass, and digits that Dynamics would refuse or round away."""
    limits: dict[str, float] = {}
    if _is_narrow(column.least, -1) and (row.minimum is None or row.minimum < column.least):
        limits["minimum"] = column.least
    if _is_narrow(column.most, 1) and (row.maximum is None or row.maximum > column.most):
        limits["maximum"] = column.most
    if limits:
        what = f"{row.row}: {row.column} holds numbers {_range(column)}; others would be refused."
        lines = ", ".join(f'"{name}": {_plain(limit)}' for name, limit in limits.items())
        yield Finding(AREA, "problem", what, f"Set {lines} in this row of the mapping file.")
    digits = 0 if column.type in _WHOLE else column.precision
    if digits is None or (row.decimals is not None and row.decimals <= digits):
        return
    loses = "refuses a number with more" if column.type in _WHOLE else "rounds a number with more"
    what = f"{row.row}: {row.column} holds {digits} decimals, and Dynamics {loses}."
    # A row without the key may be right: Outreach's numbers can all be whole.
    state: State = "warning" if row.decimals is None else "problem"
    yield Finding(AREA, state, what, f'Set "decimals": {digits} in this row of the mapping file.')


def _constant_problems(row: ConstantRow, column: Column) -> Iterable[Finding]:
    value = row.constant
    if column.type not in NUMBERS or (
        (column.least is None or value >= column.least) and (column.most is None or value <= column.most)
    ):
        return
    what = f"{row.row}: {row.column} holds numbers {_range(column)}; {value} would be refused."
    yield Finding(AREA, "problem", what, 'Set another "value" in this row of the mapping file.')


def _not_there(row: Row, column: Column) -> list[int]:
    """Numbers in the row that are no option of the column."""
    if column.options is None:
        return []
    numbers: set[int] = set()
    if isinstance(row, OptionsRow):
        numbers = {*row.values.values(), *([] if row.otherwise is None else [row.otherwise])}
    elif isinstance(row, ConstantRow):
        numbers = set(row.constant) if isinstance(row.constant, list) else {row.constant}
    return sorted(numbers - column.options.keys())


def _sorted(column: Column) -> list[tuple[int, str]]:
    return sorted((column.options or {}).items())


def _is_narrow(limit: float | None, sign: int) -> TypeGuard[float]:
    """Whether a limit is one that somebody set: the types' own are wider than any number of a meeting."""
    return limit is not None and sign * limit < _WIDEST


def _range(column: Column) -> str:
    return f"from {_plain(column.least)} to {_plain(column.most)}"


def _plain(limit: float | None) -> str:
    return "any" if limit is None else str(int(limit) if limit == int(limit) else limit)


def _left_empty(mapping: MappingFile, columns: Columns) -> Iterable[Finding]:
    mapped = {row.column for row in mapping.rows}
    for column in columns.values():
        if column.required and column.creatable and column.name not in mapped | _FILLED:
            what = f"Dynamics marks {column.name} as required, and the mapping leaves it empty."
            fix = "Map a field to it, or set its requirement to optional: people could not save the appointment."
            yield Finding(AREA, "warning", what, fix)


def _from_definitions(attributes: Iterable[Mapping[str, Any]]) -> dict[str, Column]:
    columns = {}
    for one in attributes:
        required = _value(one.get("RequiredLevel"))
        columns[one["LogicalName"]] = Column(
            name=one["LogicalName"],
            type=_type(one),
            max_length=one.get("MaxLength"),
            required=None if required is None else required == "ApplicationRequired",
            creatable=one.get("IsValidForCreate"),
            updatable=one.get("IsValidForUpdate"),
            least=one.get("MinValue"),
            most=one.get("MaxValue"),
            precision=one.get("Precision"),
            options=_options(one),
        )
    return columns


def _value(member: Any) -> Any:
    """What is in a member that wraps its value, as older files do not."""
    return member.get("Value") if isinstance(member, dict) else member


def _type(attribute: Mapping[str, Any]) -> str:
    """The type's name, with those told apart that are written in another form."""
    if _value(attribute.get("AttributeTypeName")) == "MultiSelectPicklistType":
        return "MultiSelectPicklist"
    if _value(attribute.get("DateTimeBehavior")) == "DateOnly":
        return "DateOnly"
    return str(attribute["AttributeType"])


def _options(attribute: Mapping[str, Any]) -> Mapping[int, str] | None:
    """The label of each option; None where the answer does not hold them."""
    found = attribute.get("OptionSet") or attribute.get("GlobalOptionSet")
    if not isinstance(found, dict) or "Options" not in found:
        return None
    return {
        int(one["Value"]): str(((one.get("Label") or {}).get("UserLocalizedLabel") or {}).get("Label") or "")
        for one in found["Options"]
    }


def _from_json(content: Any) -> dict[str, Column]:
    """An entity definition with `Attributes`, a page of attributes, or a plain list of them."""
    if isinstance(content, dict):
        content = content.get("Attributes") or content["value"]
    if content and "Attributes" in content[0]:
        content = next(entity for entity in content if entity["LogicalName"] == "appointment")["Attributes"]
    columns = _from_definitions(content)
    if "subject" not in columns:
        raise ValueError("these are not the columns of appointment")
    return columns


def _from_edmx(text: str) -> dict[str, Column]:
    root = ET.fromstring(text)  # noqa: S314 - the admin's own file
    types = {str(entity.get("Name")): entity for entity in root.iter(f"{_EDM}EntityType")}
    entity: ET.Element | None = types["appointment"]
    columns: dict[str, Column] = {}
    while entity is not None:
        for part in entity.findall(f"{_EDM}Property"):
            column = _from_property(part)
            columns.setdefault(column.name, column)
        entity = types.get(str(entity.get("BaseType", "")).rpartition(".")[2])
    return columns


def _from_property(part: ET.Element) -> Column:
    name, kind = str(part.get("Name")), str(part.get("Type"))
    is_read_only = any((member.text or "").endswith("PermissionType/Read") for member in part.iter(f"{_EDM}EnumMember"))
    length = part.get("MaxLength", "")
    if name.startswith("_") and name.endswith("_value"):
        # Read under this name, written through a bind: the property's own permission says nothing of that.
        return Column(name[1 : -len("_value")], "Lookup")
    writable = None if not is_read_only else False
    return Column(
        name,
        _EDM_TYPES.get(kind, kind),
        max_length=int(length) if length.isdigit() else None,
        also=_ALSO.get(_EDM_TYPES.get(kind, kind), frozenset()),
        creatable=writable,
        updatable=writable,
    )

"""The appointment's columns as Dynamics has them, and whether the mapping fits them.

Read from a live organisation, or from a file: its `$metadata` (EDMX), or JSON of `EntityDefinitions(LogicalName=
'appointment')` with its attributes. https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ops.findings import Finding
from ops.report import USAGE, Refused
from shared.dataverse.client import Dataverse, rows
from shared.meeting.mapping import MappingFile
from shared.meeting.transforms import PARTIES, CreatedByRow, Row

AREA = "Mapping"
_DEFINITION = "/EntityDefinitions(LogicalName='appointment')"
_CAST = "Microsoft.Dynamics.CRM."
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
# EDMX names fewer types than Dataverse has: a choice is an Edm.Int32 too, and money an Edm.Decimal.
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
# What Dataverse or the life cycle fills in.
_FILLED = frozenset({"activityid", "ownerid", "statecode", "statuscode", "isdraft", "activitytypecode"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is Dataverse's own name of it.

    `max_length`, `required` and what may be written are None where the file does not tell.
    """

    name: str
    type: str
    max_length: int | None = None
    required: bool | None = None
    creatable: bool | None = None
    updatable: bool | None = None


Columns = Mapping[str, Column]


async def read_live(dataverse: Dataverse) -> Columns:
    """The columns of the organisation. Texts are asked for once more, because only their own type has a length."""
    names = "LogicalName,AttributeType,RequiredLevel,IsValidForCreate,IsValidForUpdate"
    answer = await dataverse.request("GET", f"{_DEFINITION}/Attributes", params={"$select": names})
    columns = _from_definitions(rows(answer))
    for kind in ("String", "Memo"):
        path = f"{_DEFINITION}/Attributes/{_CAST}{kind}AttributeMetadata"
        lengths = await dataverse.request("GET", path, params={"$select": "LogicalName,MaxLength"})
        for one in rows(lengths):
            name = one["LogicalName"]
            columns[name] = replace(columns[name], max_length=one["MaxLength"])
    return columns


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
    if column.type not in row.types:
        needed = " or ".join(sorted(row.types))
        what = f"{row.row}: {row.column} is of type {column.type}, and transform {row.transform} writes {needed}."
        yield Finding(AREA, "problem", what, "Choose another column or another transform in the mapping file.")
    if row.only == CreatedByRow.only:
        return  # set by acting for the booker, never written
    if column.creatable is False:
        what = f"{row.row}: Dynamics lets nobody write {row.column} in a new appointment."
        yield Finding(AREA, "problem", what, "Choose another column in the mapping file.")
    elif column.updatable is False and not row.on_create:
        what = f"{row.row}: Dynamics lets nobody change {row.column} later, so an update of it would be refused."
        yield Finding(AREA, "problem", what, "Choose another column in the mapping file.")
    if column.type in row.types and column.max_length and (row.max_length or 2**31) > column.max_length:
        what = f"{row.row}: {row.column} holds {column.max_length} characters; longer texts would be refused."
        yield Finding(AREA, "problem", what, f'Set "max_length": {column.max_length} in this row of the mapping file.')


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
        level = one.get("RequiredLevel") or {}
        required = level.get("Value") if isinstance(level, dict) else level
        columns[one["LogicalName"]] = Column(
            name=one["LogicalName"],
            type=one["AttributeType"],
            max_length=one.get("MaxLength"),
            required=None if required is None else required == "ApplicationRequired",
            creatable=one.get("IsValidForCreate"),
            updatable=one.get("IsValidForUpdate"),
        )
    return columns


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
        creatable=writable,
        updatable=writable,
    )

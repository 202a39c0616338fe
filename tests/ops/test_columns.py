"""The mapping held against the appointment's columns, live or saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.columns import Columns, compare, read_file, read_live
from ops.report import Refused
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.mapping import MappingFile, parse_mapping
from tests.product.bench import Installation

MAPPING = load_mapping(DEFAULT_MAPPING_FILE)
REAL_EDMX = Path(__file__).parents[3] / "shared/reference/data/dataverse/appointment-subset.v8.2.edmx.xml"

EDMX = """<?xml version="1.0"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0"><edmx:DataServices>
<Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Microsoft.Dynamics.CRM" Alias="mscrm">
<EntityType Name="activitypointer">
  <Property Name="subject" Type="Edm.String" MaxLength="100"/><Property Name="description" Type="Edm.String"/>
  <Property Name="scheduledstart" Type="Edm.DateTimeOffset"/><Property Name="scheduledend" Type="Edm.DateTimeOffset"/>
  <Property Name="_ownerid_value" Type="Edm.Guid"/><Property Name="_regardingobjectid_value" Type="Edm.Guid"/>
  <Property Name="_createdby_value" Type="Edm.Guid"/>
  <Property Name="overriddencreatedon" Type="Edm.DateTimeOffset"/>
</EntityType>
<EntityType Name="appointment" BaseType="mscrm.activitypointer">
  <Property Name="isalldayevent" Type="Edm.Boolean"/>
  <Property Name="location" Type="Edm.String"><Annotation Term="Org.OData.Core.V1.Permissions">
    <EnumMember>Org.OData.Core.V1.PermissionType/Read</EnumMember></Annotation></Property>
</EntityType></Schema></edmx:DataServices></edmx:Edmx>
"""


def definition(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "LogicalName": name,
        "AttributeType": kind,
        "RequiredLevel": {"Value": more.pop("level", "None")},
        "IsValidForCreate": True,
        "IsValidForUpdate": True,
        **more,
    }


DEFINITIONS = [
    definition("subject", "String", MaxLength=200, level="ApplicationRequired"),
    definition("description", "Memo", MaxLength=1_048_576),
    definition("location", "String", MaxLength=200),
    definition("isalldayevent", "Boolean"),
    definition("scheduledstart", "DateTime"),
    definition("scheduledend", "DateTime"),
    definition("overriddencreatedon", "DateTime", IsValidForUpdate=False),
    definition("createdby", "Lookup", IsValidForCreate=False, IsValidForUpdate=False),
    definition("ownerid", "Owner"),
    definition("regardingobjectid", "Lookup"),
]


def mapping(**changes: Any) -> MappingFile:
    """The built-in mapping with the Location row changed."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    next(row for row in content["rows"] if row["row"] == "Location").update(changes)
    return parse_mapping(content, origin="test")


def read(folder: Path, content: Any) -> Columns:
    path = folder / "metadata"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_file(path)


def problems(found: MappingFile, columns: Columns) -> list[str]:
    return [f"{finding.what} {finding.fix}" for finding in compare(found, columns) if finding.state != "ok"]


async def test_the_built_in_mapping_fits_the_live_table(product: Installation) -> None:
    """All columns are there with fitting type and length, and nothing required is left empty."""
    columns = await read_live(product.runtime.dataverse)
    assert columns["subject"].max_length == 200
    assert problems(MAPPING, columns) == []


@pytest.mark.skipif(
    not REAL_EDMX.exists(), reason=f"the recorded metadata of a real organisation is not at {REAL_EDMX}"
)
def test_the_built_in_mapping_fits_a_real_organisation() -> None:
    """Its $metadata, saved years ago, has all columns under the same names."""
    assert problems(MAPPING, read_file(REAL_EDMX)) == []


@pytest.mark.parametrize(
    "content",
    [
        {"value": DEFINITIONS},
        {"LogicalName": "appointment", "Attributes": DEFINITIONS},
        {
            "value": [
                {"LogicalName": "account", "Attributes": []},
                {"LogicalName": "appointment", "Attributes": DEFINITIONS},
            ]
        },
        DEFINITIONS,
    ],
)
def test_every_form_of_saved_definitions_is_read(tmp_path: Path, content: Any) -> None:
    """A page of attributes, one definition, a page of definitions, or a plain list."""
    assert problems(MAPPING, read(tmp_path, content)) == []


def test_metadata_in_xml_is_read_with_what_it_tells(tmp_path: Path) -> None:
    """Base types count, lookups stand under their reading name, and read-only columns are seen."""
    columns = read(tmp_path, EDMX)
    assert (columns["ownerid"].type, columns["subject"].max_length) == ("Lookup", 100)
    assert [problem.partition(":")[0] for problem in problems(MAPPING, columns)] == ["Title", "Location"]


@pytest.mark.parametrize(
    "content", ["", "<a/>", "<a", "{}", "[]", '{"value": [{"LogicalName": "x", "AttributeType": "String"}]}']
)
def test_what_is_no_metadata_is_refused(tmp_path: Path, content: str) -> None:
    """The sentence says which address to save."""
    with pytest.raises(Refused, match=r"\$metadata"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"column": "new_place"}, "Dynamics has no column new_place"),
        ({"column": "isdraft"}, "Dynamics has no column isdraft"),
        ({"column": "scheduleddurationminutes"}, "is of type Integer, and transform text writes Memo or String"),
        ({"max_length": 201}, 'Set "max_length": 200'),
        ({"column": "new_fixed"}, "Dynamics lets nobody write new_fixed"),
        ({"column": "new_once"}, "Dynamics lets nobody change new_once"),
    ],
)
def test_a_row_that_does_not_fit_is_told(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    """Name, type, length and right to write: each problem says what to do."""
    more = [
        definition("scheduleddurationminutes", "Integer"),
        definition("new_fixed", "String", IsValidForCreate=False),
        definition("new_once", "String", IsValidForUpdate=False),
    ]
    columns = read(tmp_path, [*DEFINITIONS, *more])
    (problem,) = problems(mapping(**change), columns)
    assert what in problem


def test_a_text_column_without_a_limit_in_the_mapping_is_told(tmp_path: Path) -> None:
    """A row without max_length would send whatever comes."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    for row in content["rows"]:
        row.pop("max_length", None)
    found = problems(parse_mapping(content, origin="test"), read(tmp_path, DEFINITIONS))
    assert [problem.partition(":")[0] for problem in found] == ["Title", "Description", "Location"]


def test_a_required_column_that_stays_empty_is_noted(tmp_path: Path) -> None:
    """The mapping leaves it empty, which switched the plugin off; here it is a note beforehand."""
    columns = read(tmp_path, [*DEFINITIONS, definition("new_reason", "String", level="ApplicationRequired")])
    (finding,) = [finding for finding in compare(MAPPING, columns) if finding.state == "warning"]
    assert "new_reason" in finding.what

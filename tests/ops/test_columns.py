"""The mapping held against the appointment's columns, live or saved."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops.columns import Columns, compare, read_file, read_live
from ops.report import Refused
from sandbox.dataverse.schema import APPOINTMENT, Column, Navigation
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.mapping import MappingFile, parse_mapping
from tests.product.bench import Installation
from tests.samples import ACCOUNT_BY_NUMBER

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
    columns = await read_live(product.runtime.dataverse, MAPPING)
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


def choice(name: str, kind: str, *labels: str) -> dict[str, Any]:
    """A column of options 1, 2 …, as Dataverse defines it."""
    options = [
        {"Value": number, "Label": {"UserLocalizedLabel": {"Label": label}}} for number, label in enumerate(labels, 1)
    ]
    base = "Virtual" if kind == "MultiSelectPicklist" else kind
    return definition(name, base, AttributeTypeName={"Value": f"{kind}Type"}, OptionSet={"Options": options})


TYPED = [
    definition("new_text", "String", MaxLength=10),
    definition("new_whole", "Integer", MinValue=0, MaxValue=100),
    definition("new_any", "Integer", MinValue=-(2**31), MaxValue=2**31 - 1),
    definition("new_price", "Money", MinValue=-922337203685477, MaxValue=922337203685477, Precision=2),
    definition("new_day", "DateTime", DateTimeBehavior={"Value": "DateOnly"}),
    definition("new_time", "DateTime", DateTimeBehavior={"Value": "UserLocal"}),
    definition("new_flag", "Boolean"),
    choice("new_kind", "Picklist", "Demo", "Intro"),
    choice("new_kinds", "MultiSelectPicklist", "Demo", "Intro"),
]
SET = "in this row of the mapping file"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"column": "new_whole", "transform": "number", "minimum": 0, "maximum": 100, "decimals": 0}, []),
        ({"column": "new_any", "transform": "number", "decimals": 0}, []),
        ({"column": "new_price", "transform": "number", "decimals": 2}, []),
        ({"column": "new_day", "transform": "date"}, []),
        ({"column": "new_time", "transform": "instant"}, []),
        ({"column": "new_kind", "transform": "choice", "values": {"Demo": 1}, "otherwise": 2}, []),
        ({"column": "new_kinds", "transform": "choices", "values": {"Demo": 1}}, []),
        ({"column": "new_text", "transform": "constant", "value": "Outreach", "sources": []}, []),
        ({"column": "new_flag", "transform": "constant", "value": True, "sources": []}, []),
        ({"column": "new_kind", "transform": "constant", "value": 2, "sources": []}, []),
        ({"column": "new_kinds", "transform": "constant", "value": [1, 2], "sources": []}, []),
        ({"column": "new_whole", "transform": "constant", "value": 100, "sources": []}, []),
        (
            {"column": "new_whole", "transform": "number", "maximum": 1000},
            [f'Set "minimum": 0, "maximum": 100 {SET}', f'Set "decimals": 0 {SET}'],
        ),
        ({"column": "new_any", "transform": "number"}, [f'Set "decimals": 0 {SET}']),
        ({"column": "new_price", "transform": "number", "decimals": 4}, [f'Set "decimals": 2 {SET}']),
        ({"column": "new_day", "transform": "instant"}, [f'type DateOnly.*Set "transform": "date" {SET}']),
        ({"column": "new_time", "transform": "date"}, ['type DateTime.*Set "transform": "instant" in']),
        ({"column": "new_kind"}, [f'type Picklist.*Set "transform": "choice" or "constant" {SET}']),
        ({"column": "new_kinds"}, [f'MultiSelectPicklist.*Set "transform": "choices" or "constant" {SET}']),
        (
            {"column": "new_kind", "transform": "choice", "values": {"Demo": 1, "Lunch": 3}, "otherwise": 4},
            ["no option 3.*Write one of these .*: 1 \\(Demo\\), 2 \\(Intro\\)", "no option 4"],
        ),
        ({"column": "new_kinds", "transform": "choices", "otherwise": 9}, ["no option 9"]),
        ({"column": "new_kind", "transform": "constant", "value": 3, "sources": []}, ["no option 3"]),
        ({"column": "new_kinds", "transform": "constant", "value": [1, 3], "sources": []}, ["no option 3"]),
        ({"column": "new_flag", "transform": "constant", "value": 1, "sources": []}, ["type Boolean.*another column"]),
        ({"column": "new_whole", "transform": "constant", "value": 101, "sources": []}, ["from 0 to 100; 101 would"]),
        (
            {"column": "new_text", "transform": "constant", "value": "Outreach sync", "sources": []},
            ['Shorten "value"'],
        ),
        (
            {"column": "new_text", "transform": "template", "template": "{title}", "sources": []},
            ['Set "max_length": 10'],
        ),
    ],
)
def test_each_type_of_column_is_held_against_its_row(tmp_path: Path, change: dict[str, Any], said: list[str]) -> None:
    """Type, limits, digits, options and length, each with the line to change."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    row = next(row for row in content["rows"] if row["row"] == "Location")
    row.pop("max_length")
    row.update(change)
    found = problems(parse_mapping(content, origin="test"), read(tmp_path, [*DEFINITIONS, *TYPED]))
    assert len(found) == len(said), found
    for problem, pattern in zip(found, said, strict=True):
        assert re.search(pattern, problem), problem


def test_what_metadata_in_xml_cannot_tell_apart_is_no_problem(tmp_path: Path) -> None:
    """There a choice is a whole number and several are a text; the live table knows more."""
    more = '<Property Name="new_kind" Type="Edm.Int32"/><Property Name="new_kinds" Type="Edm.String"/>'
    edmx = EDMX.replace('Name="isalldayevent"', f'Name="isalldayevent" Type="Edm.Boolean"/>{more}<Property Name="x"')
    edmx = edmx.replace('MaxLength="100"', 'MaxLength="200"').replace("PermissionType/Read<", "PermissionType/None<")
    columns = read(tmp_path, edmx)
    assert problems(mapping(column="new_kind", transform="choice", max_length=None), columns) == []
    assert problems(mapping(column="new_kinds", transform="choices", max_length=None), columns) == []


async def test_the_live_table_tells_types_limits_and_options(product: Installation) -> None:
    """All that a row is held against, in three requests."""
    product.crm.tables["appointments"] = APPOINTMENT.extended(
        Column("new_whole", "Integer", least=0, most=100),
        Column("new_price", "Money", least=-5.5, most=5.5, precision=2),
        Column("new_day", "DateOnly"),
        Column("new_kind", "Picklist", options=(1, 2), labels=("Demo", "Intro")),
        Column("new_kinds", "MultiSelectPicklist", options=(7,), labels=("Demo",)),
    )
    columns = await read_live(product.runtime.dataverse, MAPPING)
    assert (columns["new_whole"].least, columns["new_whole"].most) == (0, 100)
    assert (columns["new_price"].most, columns["new_price"].precision) == (5.5, 2)
    assert (columns["new_day"].type, columns["scheduledstart"].type) == ("DateOnly", "DateTime")
    assert (columns["new_kind"].type, columns["new_kind"].options) == ("Picklist", {1: "Demo", 2: "Intro"})
    assert (columns["new_kinds"].type, columns["new_kinds"].options) == ("MultiSelectPicklist", {7: "Demo"})
    assert product.crm.log.total == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"by": None}, []),
        ({"bind": "new_account_appointment"}, ['Set "bind": "new_Account_Appointment" in this row']),
        ({"table": "account"}, ['leads to accounts, not to account. Set "table": "accounts" in this row']),
        ({"by": "accountnumer"}, ['column accountnumer of accounts is not there. Set "by" to']),
        ({"by": "statecode"}, ['statecode of accounts is of type State, and rows are looked up by text. Set "by" to']),
        ({"column": "subject"}, ["subject is of type String, and transform lookup writes Lookup"]),
    ],
)
async def test_a_lookup_is_held_against_the_table_it_points_at(
    product: Installation, change: dict[str, Any], said: list[str]
) -> None:
    """Navigation property, entity set and key column, each with the line to change."""
    lookup = Navigation("new_Account_Appointment", "new_account", ("account",))
    columns = (Column("new_account", "Lookup"),)
    product.crm.tables["appointments"] = APPOINTMENT.extended(*columns, navigations=(lookup,))
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    if "column" in change:
        content["rows"] = [row for row in content["rows"] if row["column"] != change["column"]]
    content["rows"].append(ACCOUNT_BY_NUMBER | change)
    found = parse_mapping(content, origin="test")
    problems_ = problems(found, await read_live(product.runtime.dataverse, found))
    assert len(problems_) == len(said), problems_
    assert all(part in problem for part, problem in zip(said, problems_, strict=True)), problems_


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

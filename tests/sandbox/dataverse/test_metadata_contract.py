from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, parse

import pytest

from sandbox.dataverse.schema import ACTIVITY_PARTY, APPOINTMENT, EDM_TYPES, TABLES, Column, Table

REAL = Path(__file__).parents[4] / "shared/reference/data/dataverse"
V92, V82 = REAL / "entities.v9.2.json", REAL / "appointment-subset.v8.2.edmx.xml"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
COMPLETE = (APPOINTMENT, ACTIVITY_PARTY)

pytestmark = pytest.mark.skipif(
    not (V92.exists() and V82.exists()), reason=f"the recorded metadata of real organisations is not at {REAL}"
)


def table_names() -> list[str]:
    return [table.logical_name for table in TABLES]


def named(logical_name: str) -> Table:
    return next(table for table in TABLES if table.logical_name == logical_name)


@pytest.fixture(scope="module")
def v92() -> dict[str, Any]:
    entities: dict[str, Any] = json.loads(V92.read_text())["entities"]
    return entities


@pytest.fixture(scope="module")
def v82() -> dict[str, Element]:
    root = parse(V82).getroot()  # noqa: S314 - a file that we keep ourselves
    return {str(entity.get("Name")): entity for entity in root.iter(f"{EDM}EntityType")}


def with_base(v82: dict[str, Element], name: str, kind: str) -> dict[str, Element]:
    entity: Element | None = v82[name]
    found: dict[str, Element] = {}
    while entity is not None:
        found |= {str(part.get("Name")): part for part in entity.findall(EDM + kind)}
        entity = v82.get(str(entity.get("BaseType", "")).removeprefix("mscrm."))
    return found


def is_read_only(part: Element) -> bool:
    permissions = [member.text or "" for member in part.iter(f"{EDM}EnumMember")]
    return any(text.endswith("PermissionType/Read") for text in permissions)


@pytest.mark.parametrize("table", COMPLETE, ids=lambda table: table.logical_name)
def test_no_column_is_missing_or_invented(table: Table, v92: dict[str, Any]) -> None:
    """`appointment` and `activityparty` have the columns of v9.2, all of them and no others."""
    real = v92[table.logical_name]
    assert set(table.columns) == {*real["writable"], *real["read_only"]}


@pytest.mark.parametrize("name", table_names())
def test_every_column_exists(name: str, v92: dict[str, Any], v82: dict[str, Element]) -> None:
    """A column that the stand-in shows exists in v9.2 or, for those only Dynamics 365 Sales adds, in v8.2."""
    real = {*v92[name]["writable"], *v92[name]["read_only"]}
    older = with_base(v82, name, "Property")
    unknown = [column.name for column in named(name).columns.values() if column.name not in real]
    assert [name for name in unknown if name not in older and f"_{name}_value" not in older] == []


@pytest.mark.parametrize("name", table_names())
def test_set_and_key_are_the_real_ones(name: str, v92: dict[str, Any]) -> None:
    """Entity sets and primary keys are named as in v9.2."""
    assert (named(name).entity_set, named(name).key) == (v92[name]["entity_set"], v92[name]["primary_id"])


@pytest.mark.parametrize("name", table_names())
def test_a_read_only_column_is_read_only_here(name: str, v92: dict[str, Any]) -> None:
    """What v9.2 does not let a client write is not written here, and the other way round."""
    table = named(name)
    for column in table.columns.values():
        writable = column.create or column.update
        if column.name in {*v92[name]["writable"], *v92[name]["read_only"]}:
            assert writable == (column.name in v92[name]["writable"]), column.name


@pytest.mark.parametrize("name", table_names())
def test_types_agree_with_the_model(name: str, v82: dict[str, Element]) -> None:
    """Every shown property has the type that a real `$metadata` gives it."""
    real = with_base(v82, name, "Property")
    shown = {prop: EDM_TYPES[column.type] for prop, column in named(name).props.items() if prop in real}
    assert shown == {prop: real[prop].get("Type") for prop in shown}
    assert len(shown) > len(named(name).props) // 2


@pytest.mark.parametrize("name", table_names())
def test_hidden_columns_are_hidden_there_too(name: str, v82: dict[str, Element]) -> None:
    """A column kept from the wire is none of the readable properties of a real `$metadata`."""
    real = with_base(v82, name, "Property")
    hidden = [column.name for column in named(name).columns.values() if column.prop is None]
    write_only = {"subscriptionid"}
    assert [column for column in hidden if column in real and column not in write_only] == []


@pytest.mark.parametrize("name", table_names())
def test_navigation_properties_exist_in_this_spelling(name: str, v92: dict[str, Any], v82: dict[str, Element]) -> None:
    """Every navigation property is found in v9.2 or v8.2, spelled as here, with the same lookup behind it."""
    newer = {lookup["navigation_property"]: lookup["attribute"] for lookup in v92[name]["lookups"]}
    newer |= {lookup["navigation_property"]: lookup["attribute"] for lookup in inherited(name, v92)}
    older = with_base(v82, name, "NavigationProperty")
    for navigation in named(name).navigations.values():
        assert navigation.name in newer or navigation.name in older
        assert newer.get(navigation.name, navigation.column) == navigation.column


def inherited(name: str, v92: dict[str, Any]) -> list[dict[str, str]]:
    lookups: list[dict[str, str]] = v92["activitypointer"]["lookups"] if name == APPOINTMENT.logical_name else []
    return [lookup for lookup in lookups if lookup["navigation_property"] == "ownerid"]


def test_regarding_reaches_the_tables_of_a_meeting(v82: dict[str, Element]) -> None:
    """The regarding row may be an account, contact, lead or opportunity, bound by the name of the real model."""
    real = with_base(v82, "appointment", "NavigationProperty")
    names = [name for name in APPOINTMENT.navigations if name.startswith("regardingobjectid_")]
    targets = {str(real[name].get("Type")).removeprefix("mscrm.") for name in names}
    assert targets == {"account", "contact", "lead", "opportunity"}
    assert all(APPOINTMENT.navigations[name].targets == (name.split("_")[1],) for name in names)


def test_the_lengths_are_those_of_the_table_reference() -> None:
    """The lengths a mapping can exceed are those that Microsoft's table reference states."""
    lengths = {name: column.max_length for name, column in APPOINTMENT.columns.items() if column.max_length}
    assert (
        lengths
        | {
            "subject": 200,
            "location": 200,
            "description": 1_048_576,
            "globalobjectid": 300,
            "category": 250,
            "subcategory": 250,
            "activityadditionalparams": 8192,
        }
        == lengths
    )


def test_only_create_takes_the_created_on(v92: dict[str, Any]) -> None:
    """`overriddencreatedon` is valid for create only, `statecode` for update only."""
    columns: dict[str, Column] = APPOINTMENT.columns
    assert (columns["overriddencreatedon"].create, columns["overriddencreatedon"].update) == (True, False)
    assert (columns["statecode"].create, columns["statecode"].update) == (False, True)
    assert "overriddencreatedon" in v92["appointment"]["writable"]

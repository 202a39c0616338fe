"""The transforms: what each reads, which columns it fits, how its values go over the wire, and how people see them."""

from __future__ import annotations

from datetime import UTC
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.dataverse.schema import APPOINTMENT, Column, ColumnType
from sandbox.dataverse.values import check_value
from shared.dataverse.odata import from_row, selection, to_body
from shared.errors import Unmappable
from shared.meeting.mapping import parse_mapping
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.sources import Source
from shared.meeting.transforms import FENCE, TRANSFORMS, Attendees, Given, Kind, Row
from shared.meeting.wire import ENTITY_SETS, LOOKUP_TABLE
from tests.samples import DEFAULT, default_content, guid, law, ref

_TABLES = {entity_set: table for table, entity_set in ENTITY_SETS.items()}
GIVEN = Given({}, (), {}, Attendees(), UTC)
# Dataverse has money too; no column of an appointment is of that type.
TYPES = {*get_args(ColumnType), "Money"}


def row(transform: str, **more: Any) -> Row:
    """A row of that transform, for its own column or for a custom one."""
    column = TRANSFORMS[transform].only or "new_column"
    place = "relationships" if TRANSFORMS[transform].kind.is_reference else "attributes"
    content = default_content() | {"create_conditions": []}
    content["rows"] = [one for one in content["rows"] if one["column"] != column]
    content["rows"].append(
        {
            "row": "Row",
            "field": "a_field",
            "column": column,
            "transform": transform,
            "sources": [f"{place}.aName"],
            **more,
        }
    )
    return parse_mapping(content, origin="test").rows[-1]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_is_read_as_its_class(name: str) -> None:
    """The class says the types of column, in Dataverse's own words; where it writes one column, it fits that."""
    one = row(name)
    assert type(one) is TRANSFORMS[name]
    assert one.types <= TYPES
    if one.only in APPOINTMENT.columns:
        assert APPOINTMENT.columns[one.only].type in one.types


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_says_what_it_is(name: str) -> None:
    """A reader of the module finds a sentence."""
    assert TRANSFORMS[name].__doc__ != Row.__doc__


@pytest.mark.parametrize("name", [name for name, one in TRANSFORMS.items() if one.only is None])
def test_no_transform_writes_what_belongs_to_another(name: str) -> None:
    """A free transform leaves the columns alone that have one of their own, and the life cycle's."""
    for column in ("ownerid", "scheduledstart", "statecode", "appointment_activity_parties"):
        with pytest.raises(Exception, match=f"{column} cannot be written with transform {name}"):
            row(name, column=column)


_moments = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
_records = st.builds("{}:{}".format, st.sampled_from(["contact", "lead", "opportunity"]), st.uuids())
_parties = st.lists(
    st.builds(Party, st.sampled_from(Role), st.builds(CrmRecord, st.just("contact"), st.uuids().map(str))), max_size=3
).map(lambda parties: sorted(set(parties), key=str))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.none() | st.text(),
    "boolean": st.none() | st.booleans(),
    "number": st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    "instant": st.none() | _moments,
    "start": st.none() | _moments,
    "end": st.none() | _moments,
    "attendees": _parties,
    "owner": st.uuids().map("systemuser:{}".format),
    "regarding": st.none() | _records,
}


def answered(body: dict[str, Any]) -> dict[str, Any]:
    """The row that Dataverse has after `body`: binds as values with their table, parties with theirs."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, list):
            found[name] = [party | answered(party) for party in value]
        elif name.endswith("@odata.bind") and value is not None:
            column, (entity_set, record) = name.split("_")[0].removesuffix("@odata.bind"), value[1:-1].split("(")
            found |= {f"_{column}_value": record.upper(), f"_{column}_value@{LOOKUP_TABLE}": _TABLES[entity_set]}
        else:
            found[name] = value
    return found


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"created_on", "created_by"}))
@law
@given(data=st.data())
def test_what_is_written_is_read_back(name: str, data: st.DataObject) -> None:
    """So the second look finds nothing to write; and what is read is asked for."""
    one = row(name)
    value, wires = data.draw(VALUES[name]), {one.column: one.wire}
    read = from_row(answered(to_body({one.column: value}, wires)), [one.column], wires)
    assert read == {one.column: value}
    assert one.column in str(selection([one.column], wires))


@pytest.mark.parametrize(
    ("transform", "value", "shown"),
    [
        ("text", "Intro", "Intro"),
        ("text", None, ""),
        ("boolean", False, "False"),
        ("owner", f"systemuser:{guid(1)}", f"systemuser:{guid(1)}"),
        (
            "attendees",
            [Party(Role.REQUIRED, CrmRecord("contact", guid(1))), Party(Role.ORGANIZER, "a@example.com")],
            f"contact:{guid(1)} (required attendee), a@example.com (organizer)",
        ),
        ("attendees", None, ""),
    ],
)
def test_values_are_shown_to_people(transform: str, value: Any, shown: str) -> None:
    """As they are, and parties by their role."""
    assert row(transform).shown(value) == shown


def test_records_are_needed_before_a_row_is_worked_out() -> None:
    """What has to be looked up, each transform names; a prospect who books is nobody's user."""
    values = {"a_field": [ref("user", 1), ref("prospect", 2)]}
    needed = {name: {str(one.id) for one in row(name).needs(values)} for name in TRANSFORMS}
    assert {name: found for name, found in needed.items() if found} == {
        "attendees": {"1", "2"},
        "owner": {"1", "2"},
        "regarding": {"1", "2"},
        "created_by": {"1"},
    }


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_refuses_what_it_is_not(kind: Kind) -> None:
    """An object is none of the plain kinds, and the sentence names the field; records are read from relationships."""
    if kind.is_reference:
        with pytest.raises(ValueError, match="relationships"):
            kind.check([Source("attributes", "x")])
    else:
        with pytest.raises(Unmappable, match="a_field"):
            kind.read({}, "a_field")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (5, 5),
        (-2.5, -2.5),
        (12.0, 12),
        ("12", 12),
        (" -12.50 ", -12.5),
        ("+1e3", 1000),
        (2**53 + 1, 2**53 + 1),
        (2.0**53, 2**53),
        (-(2.0**53), -(2**53)),
        (2.0**54, 2.0**54),
        (-(2.0**54), -(2.0**54)),
        (1e300, 1e300),
        (str(2**53 + 1), 2**53 + 1),
        ("", None),
        (" ", None),
    ],
)
def test_forms_of_a_number(value: object, read: object) -> None:
    """A number or a text that is one; a whole one is an integer, because a column of integers takes no other."""
    found = Kind.NUMBER.read(value, "a_field")
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize("value", [True, False, "many", "1_000", "1,5", "0x10", "1e999", 1e999, "NaN", [], "5 days"])
def test_what_is_no_number(value: object) -> None:
    """Whatever a column of numbers could not take, or could take for another number."""
    with pytest.raises(Unmappable, match="a_field: a number was expected"):
        Kind.NUMBER.read(value, "a_field")


@pytest.mark.parametrize(
    ("type_", "value"),
    [("Integer", 12.0), ("Integer", "-7"), ("Decimal", "12.50"), ("Double", 1e-9), ("BigInt", 2**40)],
)
def test_columns_of_numbers_take_it(type_: ColumnType, value: object) -> None:
    """What goes over the wire is what a strict Dataverse stores."""
    read = Kind.NUMBER.read(value, "a_field")
    body = to_body({"new_column": row("number").value(read, GIVEN)}, {"new_column": row("number").wire})
    assert check_value(Column("new_column", type_), body["new_column"]) == read


def test_a_condition_compares_numbers() -> None:
    """With a number without quotes; true is none."""
    assert Kind.NUMBER.is_compared_with(5)
    assert Kind.NUMBER.is_compared_with(5.5)
    assert not Kind.NUMBER.is_compared_with("5")
    assert not Kind.NUMBER.is_compared_with(True)  # noqa: FBT003 - the value is what is tested


def test_the_mapping_knows_how_each_column_goes_over_the_wire() -> None:
    """One form per column, and one for what is written to raise the version."""
    assert set(DEFAULT.wires) == {*(one.column for one in DEFAULT.rows), FENCE}

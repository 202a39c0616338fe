"""The transforms: what each reads, which columns it fits, how its values go over the wire, and how people see them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.dataverse.schema import APPOINTMENT, Column, ColumnType
from sandbox.dataverse.values import check_value
from shared.dataverse.odata import from_row, selection, to_body
from shared.errors import BadMapping, Unmappable
from shared.meeting.delivery import Reference
from shared.meeting.mapping import parse_mapping
from shared.meeting.people import CrmRecord, Party, Person, Role, RowKey
from shared.meeting.sources import Source
from shared.meeting.transforms import FENCE, TRANSFORMS, Attendees, Given, Kind, Row
from shared.meeting.wire import ENTITY_SETS, LOOKUP_TABLE, Choices
from tests.samples import DEFAULT, default_content, guid, law, ref

_TABLES = {entity_set: table for table, entity_set in ENTITY_SETS.items()}
GIVEN = Given({}, (), {}, Attendees(), UTC)
TYPES = {*get_args(ColumnType)}
# What a row of that transform cannot do without.
NEEDED: dict[str, dict[str, Any]] = {
    "lookup": {"table": "accounts", "bind": "new_column", "by": "accountnumber"},
    "constant": {"sources": [], "value": "Outreach"},
    "template": {"sources": [], "template": "{is_all_day}"},
}


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
            **NEEDED.get(transform, {}),
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
    "choice": st.none() | st.integers(min_value=0, max_value=2**31 - 1),
    "choices": st.lists(st.integers(min_value=0, max_value=2**31 - 1)).map(Choices.text),
    "date": st.none() | st.dates().map(str),
    "lookup": st.none() | st.uuids().map(str),
    "constant": st.text() | st.integers() | st.booleans(),
    "template": st.none() | st.text(),
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
            bound, (entity_set, record) = name.removesuffix("@odata.bind"), value[1:-1].split("(")
            column = bound if bound.startswith("new_") else bound.split("_")[0]
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
    named = [name for name, one in TRANSFORMS.items() if one.kind.is_reference]
    needed = {name: {str(one.id) for one in row(name).needs(values)} for name in named}
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
    body = to_body({"new_column": row("number").converted(read, GIVEN)}, {"new_column": row("number").wire})
    assert check_value(Column("new_column", type_), body["new_column"]) == read


def given_values(values: Mapping[str, Any], **kinds: Kind) -> Given:
    """What a row may look at, in New York."""
    return Given(values, (), {}, Attendees(), ZoneInfo("America/New_York"), kinds)


def part(transform: str, value: Any, **more: Any) -> tuple[Any, str]:
    """What a row makes of a value, and what it says of it; "untouched" where the column stays as it is."""
    made = row(transform, **more).part(given_values({"a_field": value}))
    return made.columns.get("new_column", "untouched"), " ".join(made.notes)


@pytest.mark.parametrize(
    ("more", "value", "kept", "said"),
    [
        ({}, 2.5, 2.5, ""),
        ({"decimals": 0}, 2.5, 3, "rounded to 0 decimals"),
        ({"decimals": 0}, -2.5, -3, "rounded to 0 decimals"),
        ({"decimals": 2}, 1.005, 1.01, "rounded to 2 decimals"),
        ({"decimals": 2}, 1.5, 1.5, ""),
        ({"decimals": 2}, 1e30, 1e30, ""),
        ({"minimum": 0, "maximum": 100}, 0, 0, ""),
        ({"minimum": 0, "maximum": 100}, 100, 100, ""),
        ({"minimum": 0, "maximum": 100}, -1, "untouched", "beyond what new_column holds"),
        ({"minimum": 0, "maximum": 100}, 100.5, "untouched", "beyond what new_column holds"),
        ({"maximum": 100, "decimals": 0}, 100.4, 100, "rounded"),
        ({"minimum": 0, "decimals": 0}, None, None, ""),
    ],
)
def test_a_number_stays_within_its_column(more: dict[str, Any], value: Any, kept: Any, said: str) -> None:
    """It is rounded as the column would, and left out where the column would refuse it; a note says so."""
    found, note = part("number", value, **more)
    assert (found, type(found)) == (kept, type(kept))
    assert said in note
    assert bool(said) == bool(note)


@law
@given(value=st.floats(allow_nan=False, allow_infinity=False, width=32), decimals=st.integers(0, 4))
def test_a_rounded_number_is_rounded_no_further(value: float, decimals: int) -> None:
    """What is written is what a column with so many digits stores, so that it is never written again."""
    kept, _ = part("number", Kind.NUMBER.read(value, "a_field"), decimals=decimals)
    assert check_value(Column("new_column", "Decimal", precision=decimals), kept) == kept
    assert part("number", kept, decimals=decimals) == (kept, "")


TYPES_OF_MEETING = {"values": {"Demo": 100000000, "Intro Call": 100000001}}


@pytest.mark.parametrize(
    ("more", "value", "chosen", "is_noted"),
    [
        (TYPES_OF_MEETING, "Demo", 100000000, False),
        (TYPES_OF_MEETING, " intro CALL ", 100000001, False),
        (TYPES_OF_MEETING, "100000001", 100000001, False),
        (TYPES_OF_MEETING, "100000001.0", 100000001, False),
        (TYPES_OF_MEETING, "100000002", None, True),
        (TYPES_OF_MEETING, "Lunch", None, True),
        ({**TYPES_OF_MEETING, "otherwise": 5}, "Lunch", 5, True),
        ({}, "7", 7, False),
        ({}, "Demo", None, True),
        (TYPES_OF_MEETING, "", None, False),
        (TYPES_OF_MEETING, None, None, False),
    ],
)
def test_a_choice_is_found_by_text_or_number(more: dict[str, Any], value: Any, chosen: Any, is_noted: bool) -> None:  # noqa: FBT001
    """Letter case aside; what is not known becomes `otherwise`, and a note lists what is, but not what came."""
    found, note = part("choice", value, **more)
    assert found == chosen
    assert bool(note) is is_noted
    assert "Lunch" not in note
    assert not is_noted or all(text in note for text in more.get("values", ()))


@pytest.mark.parametrize(
    ("more", "value", "chosen", "is_noted"),
    [
        (TYPES_OF_MEETING, ["Intro Call", "Demo"], "100000000,100000001", False),
        (TYPES_OF_MEETING, "demo; DEMO", "100000000", False),
        (TYPES_OF_MEETING, ["Demo", "Lunch"], "100000000", True),
        ({**TYPES_OF_MEETING, "otherwise": 5}, ["Demo", "Lunch", "Dinner"], "5,100000000", True),
        ({}, [2, 1, None, "1"], "1,2", False),
        ({}, 3, "3", False),
        (TYPES_OF_MEETING, [], None, False),
        (TYPES_OF_MEETING, None, None, False),
    ],
)
def test_choices_are_a_set(more: dict[str, Any], value: Any, chosen: Any, is_noted: bool) -> None:  # noqa: FBT001
    """From a list, or a text with commas or semicolons; each once, in order."""
    read = None if value is None else Kind.TEXTS.read(value, "a_field")
    found, note = part("choices", read, **more)
    assert (found, bool(note)) == (chosen, is_noted)


@law
@given(options=st.lists(st.integers(0, 9), min_size=1))
def test_choices_come_back_in_whatever_order(options: list[int]) -> None:
    """Dataverse promises no order; the same set is the same value, and needs no second write."""
    wire = row("choices").wire
    written = to_body({"new_column": Choices.text(options)}, {"new_column": wire})
    stored = check_value(Column("new_column", "MultiSelectPicklist", options=tuple(range(10))), written["new_column"])
    backwards = ",".join(str(stored).split(",")[::-1])
    assert wire.read("new_column", {"new_column": backwards}) == Choices.text(options)


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-12-02", "2026-12-02"),
        ("2026-12-02T04:30:00+00:00", "2026-12-01"),
        ("2026-12-02T23:30:00-05:00", "2026-12-02"),
        ("1753-01-01", "1753-01-01"),
        ("1752-12-31", "untouched"),
        ("0001-01-01T00:00:00+00:00", "untouched"),
        (None, None),
    ],
)
def test_a_date_is_the_day_of_the_zone(value: Any, day: Any) -> None:
    """A day is that day; a time is its day where all-day meetings begin. Dynamics has no days before 1753."""
    found, note = part("date", value)
    assert found == day
    assert bool(note) is (day == "untouched")


@pytest.mark.parametrize(
    ("value", "types", "sent"),
    [
        (True, {"Boolean"}, True),
        (7, {"Integer", "BigInt", "Decimal", "Double", "Money", "Picklist"}, 7),
        (1.5, {"Decimal", "Double", "Money"}, 1.5),
        ("Outreach", {"String", "Memo"}, "Outreach"),
        ([2, 1], {"MultiSelectPicklist"}, "1,2"),
    ],
)
def test_a_constant_is_there_in_every_meeting(value: Any, types: set[str], sent: Any) -> None:
    """Whatever an event names; the type of the value says which columns take it."""
    one = row("constant", value=value)
    assert one.column_types == types
    assert one.part(given_values({})).columns == {"new_column": sent}


FOUND = Person((CrmRecord("accounts", guid(1)),))


@pytest.mark.parametrize(
    ("more", "value", "person", "bound", "said"),
    [
        ({}, " A-1 ", FOUND, guid(1), ""),
        ({}, "A-1", Person(), "untouched", "accounts has no row with such a text in accountnumber"),
        ({}, "A-1", Person(note="several rows"), "untouched", "several rows"),
        ({}, "", FOUND, None, ""),
        ({}, None, FOUND, None, ""),
        ({}, "x" * 451, FOUND, "untouched", "accounts has no row"),
        ({"by": None}, f"{{{guid(1).upper()}}}", None, guid(1), ""),
        ({"by": None}, "A-1", None, "untouched", "the text is no GUID"),
    ],
)
def test_a_lookup_is_the_row_that_a_text_names(
    more: dict[str, Any], value: Any, person: Person | None, bound: Any, said: str
) -> None:
    """By its key column, or by GUID; where there is none the column stays as it is, with a note without the text."""
    one = row("lookup", **more)
    people = {reference: person for reference in one.needs({"a_field": value}) if person is not None}
    made = one.part(replace(given_values({"a_field": value}), people=people))
    assert made.columns.get("new_column", "untouched") == bound
    assert said in str(made.notes)
    assert bool(said) == bool(made.notes)
    assert "A-1" not in str(made.notes)


def test_a_row_is_asked_for_by_its_key() -> None:
    """In a form that no record of Outreach has; nothing is asked for where the text is a GUID or is empty."""
    (needed,) = row("lookup").needs({"a_field": " A/1 "})
    assert RowKey.of(needed) == RowKey("accounts", "accountnumber", "A/1")
    assert RowKey.of(Reference("prospect", "5")) is None
    assert not row("lookup").needs({"a_field": " "})
    assert not row("lookup", by=None).needs({"a_field": "A-1"})
    assert [row("lookup").looks_up, row("lookup", by=None).looks_up] == [True, False]


@pytest.mark.parametrize(
    ("transform", "types"),
    [("text", {"String", "Memo"}), ("choices", {"MultiSelectPicklist"})],
)
def test_a_row_says_which_types_of_column_take_it(transform: str, types: set[str]) -> None:
    """Those of its transform, where no value of the file says more."""
    assert row(transform).column_types == types


def test_a_lookup_that_no_event_has_named_stays() -> None:
    """As every column does."""
    assert row("lookup").part(given_values({})).columns == {}


KINDS = {
    "title": Kind.TEXT,
    "held": Kind.FLAG,
    "starts": Kind.INSTANT,
    "times": Kind.NUMBER,
    "tags": Kind.TEXTS,
}


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("{title} / {times}", {"title": "Intro", "times": 3}, "Intro / 3"),
        ("{title} / {times}", {"title": "Intro"}, "Intro /"),
        ("{title} {{new}}", {"title": "Intro"}, "Intro {new}"),
        ("{starts}: {held}", {"starts": "2026-12-02T04:30:00+00:00", "held": True}, "2026-12-01 23:30: yes"),
        ("{starts} {held}", {"starts": "2026-12-02", "held": False}, "2026-12-02 no"),
        ("{starts}{title}", {"starts": "0001-01-01T00:00:00+00:00", "title": "x"}, "x"),
        ("[{tags}]", {"tags": ["a", "b"]}, "[a, b]"),
        ("{title}", {"title": None}, None),
        ("{title}", {"title": "a\x00b"}, "ab"),
        ("{title}", {}, "untouched"),
    ],
)
def test_a_template_is_filled(template: str, values: dict[str, Any], text: Any) -> None:
    """With every kind of value that a text can be made of; where no event has named any of them, nothing is written."""
    kinds = {"sources": [], "template": "{is_all_day}"}
    one = row("template", **kinds).model_copy(update={"template": template})
    assert one.part(given_values(values, **KINDS)).columns.get("new_column", "untouched") == text


def test_a_template_is_cut_at_a_word() -> None:
    """With an ellipsis and a note; a link that does not fit is kept for the description."""
    one = row("template", max_length=12).model_copy(update={"template": "{title}"})
    made = one.part(given_values({"title": "Quarterly review https://a.example/1"}, **KINDS))
    assert made.columns == {"new_column": "Quarterly…"}
    assert made.notes == ("Row: cut at 12 characters, where new_column ends.",)
    assert made.links == ("https://a.example/1",)


@pytest.mark.parametrize(
    ("transform", "more", "said"),
    [
        ("number", {"minimum": 2, "maximum": 1}, "minimum 2 is above maximum 1"),
        ("choice", {"values": {"Demo": 1, "demo ": 2}}, "'demo' twice"),
        ("choice", {"values": {"Demo": "1"}}, "integer"),
        ("choice", {"otherwise": 2**31}, "less than"),
        ("constant", {"value": None}, "a text in quotes, a number, true, false"),
        ("constant", {"value": []}, "a text in quotes, a number, true, false"),
        ("constant", {"value": [True]}, "a text in quotes, a number, true, false"),
        ("constant", {"value": ""}, "a text in quotes, a number, true, false"),
        ("constant", {"value": float("inf")}, "a text in quotes, a number, true, false"),
        ("constant", {"value": "Outreach", "max_length": 7}, "longer than max_length"),
        ("constant", {"sources": ["attributes.a"]}, "sources"),
        ("lookup", {"table": "/accounts"}, "table"),
        ("lookup", {"bind": "new_column@odata.bind"}, "bind"),
        ("lookup", {"by": "AccountNumber"}, "by"),
        ("lookup", {"sources": ["relationships.account"]}, "write attributes.NAME"),
        ("template", {"template": "Meeting"}, "names at least one field"),
        ("template", {"template": "{title!r}"}, "is no field"),
        ("template", {"template": "{title:5}"}, "is no field"),
        ("template", {"template": "{Title}"}, "is no field"),
        ("template", {"template": "{title"}, "expected '}'"),
        ("template", {"template": "{titel}"}, "names field titel, which no row or signal reads"),
        ("template", {"template": "{owner}"}, "names field owner, which gives records"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused(transform: str, more: dict[str, Any], said: str) -> None:
    """When the file is read, with what is wrong."""
    with pytest.raises(BadMapping, match=re.escape(said)):
        row(transform, **more)


def test_lists_of_texts_are_read() -> None:
    """Each text once, whatever their order; an object within is none."""
    assert Kind.TEXTS.read(["b", " a ", "b", None, ""], "a_field") == ["a", "b"]
    with pytest.raises(Unmappable, match="a_field: text was expected"):
        Kind.TEXTS.read([{}], "a_field")


def test_a_condition_compares_numbers() -> None:
    """With a number without quotes; true is none."""
    assert Kind.NUMBER.is_compared_with(5)
    assert Kind.NUMBER.is_compared_with(5.5)
    assert not Kind.NUMBER.is_compared_with("5")
    assert not Kind.NUMBER.is_compared_with(True)  # noqa: FBT003 - the value is what is tested


def test_the_mapping_knows_how_each_column_goes_over_the_wire() -> None:
    """One form per column, and one for what is written to raise the version."""
    assert set(DEFAULT.wires) == {*(one.column for one in DEFAULT.rows), FENCE}

"""What Outreach sends, in every shape that was seen or that its API has."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadDelivery
from shared.meeting.delivery import Delivery, Reference, parse_delivery, parse_json
from tests.samples import delivery, json_values, law

RECORDED = Path(__file__).parents[3] / "shared" / "reference" / "data" / "outreach" / "webhooks"


def body(**data: Any) -> dict[str, Any]:
    """A delivery with these members in `data`."""
    return {"data": {"type": "meeting", "id": 5} | data, "meta": {"eventName": "meeting.updated"}}


def related(value: object) -> tuple[Reference, ...] | None:
    """How the relationship `prospect` is read; None where it says nothing."""
    return parse_delivery(body(relationships={"prospect": value})).relationships.get("prospect")


@pytest.mark.parametrize("record_id", [7, "7", " 7 "])
def test_flat_and_wrapped_are_equal(record_id: int | str) -> None:
    """Webhooks write relationships flat, the REST API wraps them; ids come as numbers or text."""
    expected = (Reference("prospect", "7"),)
    reference = {"type": "prospect", "id": record_id}
    assert related(reference) == related({"data": reference}) == expected
    assert related([reference]) == related({"data": [reference]}) == expected
    assert related(record_id) == related({"data": record_id}) == expected


@law
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["prospect", "user", "owner"]),
            st.integers(0) | st.from_regex(r"[!-~]{1,20}", fullmatch=True),
        ),
        max_size=4,
    )
)
def test_lists_flat_and_wrapped_are_equal(pairs: list[tuple[str, int | str]]) -> None:
    """Any list of records reads the same in both forms, in its order."""
    references = [{"type": kind, "id": record_id} for kind, record_id in pairs]
    expected = tuple(Reference(kind, str(record_id)) for kind, record_id in pairs)
    assert related(references) == related({"data": references}) == related([{"data": one} for one in references])
    assert related(references) == expected


def test_reference_without_a_type_has_its_name() -> None:
    """A record that does not say its type is taken for what the relationship is called."""
    assert related({"id": 7}) == related({"type": None, "id": 7}) == (Reference("prospect", "7"),)


@pytest.mark.parametrize(
    "value", [None, {"data": None}, {"data": []}, [], {"id": None}, {"type": "prospect", "id": None}]
)
def test_cleared(value: object) -> None:
    """Every way to say `nobody` clears."""
    assert related(value) == ()


@pytest.mark.parametrize(
    "value", [{"links": {"related": "https://api.example.com/prospects"}}, {}, {"meta": {"count": 3}}]
)
def test_links_only_says_nothing(value: object) -> None:
    """A relationship that holds only links neither names nor clears."""
    parsed = parse_delivery(body(relationships={"prospect": value}))
    assert "prospect" not in parsed.relationships
    assert "prospect" not in parsed.unreadable


@pytest.mark.parametrize(
    "value", [{"id": True}, {"id": ""}, {"id": 1.5}, {"id": {}}, {"id": "a b"}, {"type": 4, "id": 4}]
)
def test_unreadable_relationship_is_named(value: object) -> None:
    """A relationship in no known form does not cost the delivery; it is noted for whoever reads that one."""
    parsed = parse_delivery(body(relationships={"prospect": value, "owner": {"id": 3}}))
    assert parsed.unreadable == {"prospect"}
    assert parsed.relationships == {"owner": (Reference("owner", "3"),)}


@pytest.mark.parametrize("name", ["attributes", "relationships"])
@pytest.mark.parametrize("value", [None, [], {}])
def test_empty_members(name: str, value: object) -> None:
    """`attributes` and `relationships` may be null, an empty list, an empty object or missing."""
    assert parse_delivery(body(**{name: value})) == parse_delivery(body())


def test_null_attribute_is_kept() -> None:
    """An attribute with null stays apart from one that is not there."""
    assert delivery(attributes={"title": None}).attributes == {"title": None}
    assert delivery(attributes={}).attributes == {}


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("meeting.updated", "updated"),
        ("meeting.Destroyed", "destroyed"),
        ("created", "created"),
        ("", "updated"),
        (None, "updated"),
        (5, "updated"),
    ],
)
def test_action(name: object, action: str) -> None:
    """The action is what follows the last dot of the event's name; without a name it is a change."""
    content = body() | {"meta": {"eventName": name}}
    assert parse_delivery(content).action == action


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-09-26T11:01:59.032-07:00", datetime(2018, 9, 26, 18, 1, 59, 32000, tzinfo=UTC)),
        ("2018-09-26T11:01:59Z", datetime(2018, 9, 26, 11, 1, 59, tzinfo=UTC)),
        ("2018-09-26T11:01:59", datetime(2018, 9, 26, 11, 1, 59, tzinfo=UTC)),
        (" 2018-09-26T11:01:59Z ", datetime(2018, 9, 26, 11, 1, 59, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (1537985519, None),
        (None, None),
    ],
)
def test_delivered_at(text: object, moment: datetime | None) -> None:
    """The time of the delivery is read as UTC; one that cannot be read costs nothing but itself."""
    assert parse_delivery(body() | {"meta": {"deliveredAt": text}}).delivered_at == moment


@pytest.mark.parametrize("meta", [None, [], {}])
def test_missing_meta(meta: object) -> None:
    """A delivery without `meta` is a change of unknown time."""
    parsed = parse_delivery(body() | {"meta": meta})
    assert (parsed.action, parsed.delivered_at) == ("updated", None)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (None, "the body"),
        ([], "the body"),
        ({}, "data"),
        ({"data": None}, "data"),
        ({"data": {"id": 5}}, "data.type"),
        ({"data": {"type": "meeting"}}, "data.id"),
        ({"data": {"type": "", "id": 5}}, "data.type"),
        ({"data": {"type": "a/b", "id": 5}}, "data.type"),
        ({"data": {"type": "meeting", "id": True}}, "data.id"),
        ({"data": {"type": "meeting", "id": 5.0}}, "data.id"),
        ({"data": {"type": "meeting", "id": "a\nb"}}, "data.id"),
        ({"data": {"type": "meeting", "id": ""}}, "data.id"),
        ({"data": {"type": "meeting", "id": 5, "attributes": [1]}}, "data.attributes"),
        ({"data": {"type": "meeting", "id": 5}, "meta": 3}, "meta"),
    ],
)
def test_error_names_the_place(content: object, place: str) -> None:
    """What is no delivery is refused with 400 and the first member that is wrong, without its value."""
    with pytest.raises(BadDelivery) as caught:
        parse_delivery(content)
    assert (caught.value.status, caught.value.code) == (400, "not_a_delivery")
    assert f": {place}: " in caught.value.message


@law
@given(json_values)
def test_any_json_parses_or_is_refused(value: object) -> None:
    """Whatever JSON comes, it is a delivery or a `BadDelivery`."""
    try:
        parsed = parse_delivery(value)
    except BadDelivery as error:
        assert error.status == 400
    else:
        assert isinstance(parsed, Delivery)


@law
@given(
    st.fixed_dictionaries(
        {"type": st.just("meeting"), "id": json_values | st.integers(0)},
        optional={
            "attributes": json_values,
            "relationships": st.dictionaries(st.sampled_from(["prospect", "owner"]), json_values),
        },
    ),
    json_values,
)
def test_any_members_parse_or_are_refused(data: dict[str, Any], meta: object) -> None:
    """The same where the outside is right and the members are anything."""
    try:
        parsed = parse_delivery({"data": data, "meta": meta})
    except BadDelivery as error:
        assert error.code == "not_a_delivery"
    else:
        assert parsed.record_id == str(data["id"]).strip()
        assert not parsed.unreadable & parsed.relationships.keys()


@law
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    """Whatever bytes come, they are JSON or a `BadDelivery`."""
    try:
        value = parse_json(raw)
    except BadDelivery as error:
        assert (error.status, error.code) == (400, "not_json")
    else:
        assert json.loads(raw) == value


@law
@given(json_values)
def test_json_is_read_as_it_was_written(value: object) -> None:
    """JSON comes back as what it was, with escapes or without."""
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"NaN",
        b'{"a":Infinity}',
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"9" * 5_000,
    ],
    ids=["empty", "cut", "nan", "infinity", "utf-16", "surrogate bytes", "open", "deep", "huge number"],
)
def test_what_is_not_json(raw: bytes) -> None:
    """Cut, deep, huge or badly encoded bodies are refused, and never crash the reader."""
    with pytest.raises(BadDelivery) as caught:
        parse_json(raw)
    assert caught.value.code == "not_json"


def test_half_an_emoji() -> None:
    """A text that was cut inside an emoji does not cost the event; the half is replaced."""
    assert parse_json(rb'{"title":"Intro \ud83d"}') == {"title": "Intro \ufffd"}
    assert parse_json(rb'{"title":"Intro \ud83c\udf89"}') == {"title": "Intro \U0001f389"}


def recorded() -> list[Path]:
    """The recorded bodies, where they are to be had."""
    return sorted(RECORDED.glob("*.json"))


@pytest.mark.skipif(not recorded(), reason=f"the recorded webhooks are not at {RECORDED.name}/")
def test_recorded_bodies() -> None:
    """Every body recorded from Outreach is a delivery of the event that its file is named for."""
    for path in recorded():
        parsed = parse_delivery(parse_json(path.read_bytes()))
        assert path.name.startswith(parsed.resource)
        assert parsed.action in {"created", "updated", "completed"}
        assert parsed.delivered_at is not None
        assert parsed.record_id.isdecimal()
        assert not parsed.unreadable, path.name

"""Rows of the Data Sharing export as deliveries."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest

from sandbox.outreach.exports import row
from shared.admin.export import BadRow, Numbered, delivery_of, organisation, read_rows
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.delivery import Reference, parse_delivery
from shared.meeting.patch import read_patch

HEADER = "ID,TITLE,CREATED_AT\n"


def read(text: str) -> list[Numbered]:
    return list(read_rows(text.splitlines(keepends=True)))


def test_a_row_becomes_the_fields_of_every_mapping_row() -> None:
    """With the built-in mapping a row of the export feeds all eleven rows."""
    delivery = parse_delivery(delivery_of(row(8)))
    patch = read_patch(
        delivery, mapping=load_mapping(DEFAULT_MAPPING_FILE), received_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    values = {name: stamped.value for name, stamped in patch.fields.items()}
    assert str(patch.key) == "meeting:1000008"
    assert values == {
        "booked_at": "2025-11-09T07:59:00+00:00",
        "booker": [{"type": "user", "id": "3"}],
        "title": "Meeting 8",
        "description": 'Line one of 8\nline two, with a comma and a "quote"',
        "location": "Room 8",
        "is_all_day": False,
        "starts_at": "2025-12-09T08:00:00+00:00",
        "ends_at": "2025-12-09T08:30:00+00:00",
        "prospects/prospects": [{"type": "prospect", "id": "110"}],
        "owner": [{"type": "user", "id": "3"}],
        "opportunity": [{"type": "opportunity", "id": "303"}],
        "canceled": False,
    }


def test_a_row_of_a_calendar_event_names_its_meeting_where_a_column_does() -> None:
    """With MEETING_ID it is known by the meeting, as its deliveries are; without, by itself."""
    for given, key in (row(8, MEETING_ID="5"), "meeting:5"), (row(8), "calendarEvent:1000008"):
        delivery = parse_delivery(delivery_of(given, resource="calendarEvent"))
        patch = read_patch(
            delivery, mapping=load_mapping(DEFAULT_MAPPING_FILE), received_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
        assert str(patch.key) == key


def test_the_stamp_is_when_the_row_was_changed() -> None:
    """UPDATED_AT is both halves of the stamp, so an event of the same second counts as later."""
    delivery = delivery_of(row(5))
    assert delivery["data"]["attributes"]["updatedAt"] == "2025-11-06T08:59:00+00:00"
    assert delivery["meta"]["deliveredAt"] == "2025-11-06T08:59:00+00:00"


def test_without_an_update_the_stamp_is_the_creation() -> None:
    """A table without UPDATED_AT is worth no more than the moment of creation."""
    given = row(5)
    del given["UPDATED_AT"]
    assert delivery_of(given)["meta"]["deliveredAt"] == "2025-11-06T08:00:00+00:00"


def test_a_row_without_any_stamp_is_refused() -> None:
    """Without a stamp nobody could tell which is later, the row or an event."""
    with pytest.raises(BadRow, match="UPDATED_AT and CREATED_AT"):
        delivery_of(row(5, UPDATED_AT=None, CREATED_AT=None))


def test_a_prospect_who_booked_is_booker_and_attendee_and_the_creator_owns() -> None:
    """CREATOR_TYPE Prospect says that BOOKER_ID is a prospect, and CREATOR_ID whose link it was."""
    given = row(5, CREATOR_TYPE="Prospect", BOOKER_ID="104", CREATOR_ID="2")
    del given["PROSPECT_IDS"]
    related = parse_delivery(delivery_of(given)).relationships
    assert related["booker"] == (Reference("prospect", "104"),)
    assert related["prospect"] == (Reference("prospect", "104"),)
    assert related["user"] == (Reference("user", "2"),)


def test_joined_columns_become_relationships_and_attributes() -> None:
    """What an organisation joins to the table is there for the mapping file, by the same rule."""
    given = row(5, OPPORTUNITY_ID=301.0, USER_ID=2, MEETING_TYPE_NAME="Demo", PROSPECT_IDS="101, 102")
    delivery = parse_delivery(delivery_of(given))
    assert delivery.relationships["opportunity"] == (Reference("opportunity", "301"),)
    assert delivery.relationships["user"] == (Reference("user", "2"),)
    assert delivery.relationships["prospects"] == (Reference("prospect", "101"), Reference("prospect", "102"))
    assert delivery.attributes["meetingTypeName"] == "Demo"


def test_null_says_that_there_is_no_such_value() -> None:
    """A column that is there but NULL clears; a column that is not there leaves things as they are."""
    delivery = parse_delivery(
        delivery_of({"ID": "5", "CREATED_AT": "2026-01-01", "TITLE": None, "OPPORTUNITY_ID": None})
    )
    assert delivery.attributes["title"] is None
    assert delivery.relationships["opportunity"] == ()
    assert "location" not in delivery.attributes


@pytest.mark.parametrize(
    "change", [{"IS_DELETED_IN_APP": "true"}, {"IS_DELETED_IN_APP": True}, {"DML_TYPE": "backfill-delete"}]
)
def test_a_deleted_row_is_a_deletion(change: dict[str, Any]) -> None:
    """Both ways of saying that a row was deleted count."""
    assert parse_delivery(delivery_of(row(5, **change))).action == "destroyed"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05 10:00:00.000", "2026-01-05T10:00:00+00:00"),
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00+00:00"),
        ("2026-01-05 10:00:00.123456789 -0800", "2026-01-05T18:00:00.123456+00:00"),
        ("2026-01-05", "2026-01-05T00:00:00+00:00"),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, instant: str) -> None:
    """The forms in which Snowflake writes its time types are all read."""
    assert delivery_of(row(5, START_TIME=text))["data"]["attributes"]["startTime"] == instant


@pytest.mark.parametrize(
    "change",
    [
        {"START_TIME": "soon"},
        {"START_TIME": 5},
        {"CANCELED": "perhaps"},
        {"IS_DELETED_IN_APP": 2},
        {"ID": "x"},
        {"ID": True},
        {"ID": None},
        {"PROSPECT_IDS": "[1"},
        {"BOOKER_ID": "-"},
    ],
)
def test_a_value_that_is_none_is_told_by_its_column(change: dict[str, Any]) -> None:
    """The reason names the column, so that the export can be mended."""
    with pytest.raises(BadRow, match=next(iter(change))):
        delivery_of(row(5, **change))


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_every_usual_delimiter_is_read(mark: str) -> None:
    """The header tells which delimiter the file has; a byte order mark and quotes do no harm."""
    found = read(f'\ufeff"ID"{mark}title\n1{mark}"a{mark}b\nc"\n')
    assert found == [Numbered(1, {"ID": "1", "TITLE": f"a{mark}b\nc"})]


def test_json_lines_are_read_whatever_the_case_of_their_names() -> None:
    """A JSON line is a row too, with real types."""
    assert read('{"id": 5, "all_day": true}\n\n{"ID": 6}\n') == [
        Numbered(1, {"ID": 5, "ALL_DAY": True}),
        Numbered(2, {"ID": 6}),
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (HEADER + "1,a\n", "It has 2 fields, and the header 3."),
        (HEADER + '1,"a"b,c\n', "It cannot be read as CSV"),
        (HEADER + "1,\udcff,2026-01-01\n", "It is not UTF-8."),
        ('{"ID": 1}\n[1]\n', "It is not a JSON object"),
        ('{"ID": 1}\n{"ID": NaN}\n', "It is not a JSON object"),
        ('{"ID": 1}\n{"ID": "\udcff"}\n', "It is not a JSON object"),
        ('{"ID": 1}\n' + "[" * 100_000 + "\n", "It is not a JSON object"),
    ],
)
def test_a_row_that_cannot_be_read_does_not_stop_the_others(lines: str, problem: str) -> None:
    """The bad row comes with its number and what is wrong; the one after it comes as well."""
    good = "9,z,2026-01-01\n" if lines.startswith(HEADER) else '{"ID": 9}\n'
    *_, bad, last = read(lines + good)
    assert bad.problem.startswith(problem)
    assert (last.number, last.problem) == (bad.number + 1, "")


@pytest.mark.parametrize("rows", [3000, 3])
@pytest.mark.parametrize(
    "closing",
    ["", '8,"b",2026-01-01\n', '8,", so",2026-01-01\n', '8,"b\nc",2026-01-01\n'],
    ids=["never closed", "by the next quoted field", "by one that begins with a comma", "by one of two lines"],
)
def test_an_unclosed_quote_swallows_no_row(rows: int, closing: str) -> None:
    """Wherever reading notices it, the bad row is reported with its line, and every row after it is read."""
    plain = [f"{number},{'t' * 1000},2026-01-01\n" for number in range(100, 100 + rows)]
    text = "".join([HEADER, "7,before,2026-01-01\n", '1,"open,x\n', *plain, closing, "9,after,2026-01-01\n"])
    before, bad, *rest = read_rows(StringIO(text, newline=""))
    assert (before.row["ID"], bad.problem.partition("It begins")[2]) == ("7", " in line 3.")
    eighth = ["8"] if closing else []
    assert [one.row["ID"] for one in rest] == [*map(str, range(100, 100 + rows)), *eighth, "9"]
    assert [one.number for one in rest] == list(range(3, 3 + len(rest)))


def test_unclosed_quotes_one_after_the_other() -> None:
    """Each bad row is reported, and each row between two of them is read."""
    found = read(HEADER + "".join(f'{number},"open,""x\n{number},a,2026-01-01\n' for number in range(100)))
    assert [one.row.get("ID") for one in found] == [number for n in range(100) for number in (None, str(n))]


def test_a_file_of_which_every_line_takes_the_rest() -> None:
    """It is read twice and not once for each of its lines."""
    found = read(HEADER + '1","a\n' * 1000)
    assert [one.problem.partition(":")[0] for one in found] == ["It cannot be read as CSV"] * 2


@pytest.mark.parametrize("text", ["", "\n\n", "NAME,TITLE\n1,2\n", "[1, 2]\n"])
def test_a_file_that_is_no_export_is_refused(text: str) -> None:
    """Neither a header with an ID nor JSON objects: nothing is guessed."""
    with pytest.raises(BadRow):
        read(text)


def test_the_organisation_of_a_row() -> None:
    """O_ID tells the organisations of one share apart."""
    assert (organisation({"O_ID": 7}), organisation({})) == ("7", "")

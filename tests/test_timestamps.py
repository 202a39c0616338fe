"""Times: what is written is read back, text order is time order, and nobody reads or writes them otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.timestamps import has_zone, is_day, parse_time, sortable, whole_seconds
from tests.samples import law

SHARED = Path(__file__).resolve().parent.parent / "shared"
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=offsets)  # noqa: DTZ001 - hypothesis adds zones


@law
@given(moments)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    """To the microsecond where it is stored, to the second where Dynamics keeps it."""
    assert parse_time(sortable(moment)) == moment
    assert parse_time(whole_seconds(moment)) == moment.replace(microsecond=0)


@law
@given(moments, moments)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    """Whatever offsets they came with."""
    assert (sortable(one) < sortable(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05T09:30:00Z", datetime(2026, 1, 5, 9, 30, tzinfo=UTC)),
        (" 2026-01-05T09:30:00.5+01:00\n", datetime(2026, 1, 5, 8, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-01-05T09:30:00", datetime(2026, 1, 5, 9, 30, tzinfo=UTC)),
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
    ],
)
def test_forms_of_a_time(text: str, moment: datetime) -> None:
    """With and without an offset, fractions and white space; a day is its midnight."""
    assert parse_time(text) == moment


def test_a_time_keeps_its_offset() -> None:
    """All-day meetings need to know whose midnight it was."""
    assert parse_time("2026-01-05T00:00:00+01:00").utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", None, 5, True, "0001-01-01T00:00:00+01:00"])
def test_what_is_no_time(text: object) -> None:
    """Anything else is a `ValueError`, also a time that has no UTC."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_time(text)


def test_a_day_is_no_time() -> None:
    """A day is reported by its form."""
    assert is_day("2026-01-05")
    assert not is_day("2026-01-05T00:00:00Z")


def test_there_is_one_way_to_read_a_time() -> None:
    """No module of `shared/` reads ISO times by itself."""
    wrong = [
        str(path.relative_to(SHARED))
        for path in sorted(SHARED.rglob("*.py"))
        if path.name != "timestamps.py" and re.search(r"(?<!\bdate)\.fromisoformat\b|strftime", path.read_text("utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "zoned"),
    [
        ("2026-01-05T09:30:00Z", True),
        ("2026-01-05T09:30:00+02:00", True),
        ("2026-01-05T09:30:00", False),
        ("2026-01-05", False),
    ],
)
def test_a_time_says_its_zone_or_not(text: str, *, zoned: bool) -> None:
    """Where a person writes a time, guessing UTC may be hours wrong."""
    assert has_zone(text) is zoned

"""The time that an event counts from: what a delivery claims, as far as it can be true, the same on every replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.merge import Stamp
from shared.meeting.patch import read_patch
from shared.meeting.stamps import MAX_CLOCK_AHEAD, stamp_of
from shared.timestamps import sortable
from tests.samples import DEFAULT, RECEIVED, delivery, law

DELIVERED = "2026-03-02T03:00:00Z"
SENT = datetime(2026, 3, 2, 3, tzinfo=UTC)


def stamp(updated_at: object, delivered_at: str | None = DELIVERED, *, received_at: datetime = RECEIVED) -> Stamp:
    """The stamp of a delivery with these two times."""
    return read(updated_at, delivered_at, received_at=received_at)[0]


def read(updated_at: object, delivered_at: str | None, *, received_at: datetime) -> tuple[Stamp, tuple[str, ...]]:
    """The stamp with its notes."""
    one = delivery(attributes={"title": "a", "updatedAt": updated_at}, delivered_at=delivered_at)
    return stamp_of(one, received_at=received_at)


def test_updated_at_then_delivered_at() -> None:
    """The record's own time comes first, the delivery's tells apart what it cannot."""
    assert stamp("2026-03-01T00:00:00+01:00") == ("2026-02-28T23:00:00.000000Z", "2026-03-02T03:00:00.000000Z")


@pytest.mark.parametrize("updated_at", [None, ""])
def test_delivered_at_alone(updated_at: object) -> None:
    """Without `updatedAt` the delivery's time counts for both, without a word."""
    assert read(updated_at, DELIVERED, received_at=RECEIVED) == (Stamp(sortable(SENT), sortable(SENT)), ())


@pytest.mark.parametrize("delivered_at", [None, "", "soon"])
def test_receipt_alone(delivered_at: str | None) -> None:
    """Without either the time of receipt counts."""
    assert set(stamp(None, delivered_at)) == {sortable(RECEIVED)}


@pytest.mark.parametrize(
    ("updated_at", "seconds"),
    [
        ("2026-03-02T03:04:59Z", 299),  # clocks differ
        ("2026-03-02T03:05:01Z", 0),
        ("2026-03-02T12:00:00Z", 0),  # before the receipt, but after the delivery
        ("2026-03-09T00:00:00Z", 0),
        ("9999-12-31T23:59:59Z", 0),
        ("9999-12-31T23:59:59-12:00", 0),
        ("2026-03-02T03:03:00", 180),  # no offset: UTC
        ("2026-03-02T13:03:00+10:00", 180),
        ("2026-03-02T17:00:00+14:00", 0),  # the same instant as the delivery, on the other side of the world
    ],
)
def test_a_change_happens_before_its_delivery(updated_at: str, seconds: int) -> None:
    """A stamp later than the delivery, by more than clocks differ, counts from the delivery."""
    assert stamp(updated_at).changed == sortable(SENT + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "claim", ["soon", 5, True, False, {}, ["2026-03-01"], "2026-03-99", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_counts_from_the_delivery(claim: object) -> None:
    """It costs neither the event nor its place among the others; a note says so."""
    found, notes = read(claim, DELIVERED, received_at=RECEIVED)
    assert found.changed == sortable(SENT)
    assert notes == ("updatedAt is no time; the change counts from 2026-03-02T03:00:00.000000Z.",)


@pytest.mark.parametrize("claim", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1899-12-30"])
def test_a_zero_is_no_time(claim: str) -> None:
    """How programs write that they know no time would lose against every other change."""
    assert stamp(claim).changed == sortable(SENT)


@pytest.mark.parametrize("delivered_at", ["9999-12-31T23:59:59Z", "2026-03-02T12:05:01Z", "2027-03-02"])
def test_a_delivery_is_made_before_its_receipt(delivered_at: str) -> None:
    """A delivery from the future counts from its receipt; what it says of the change counts where it can be true."""
    assert stamp(None, delivered_at) == (sortable(RECEIVED), sortable(RECEIVED))
    assert stamp("2026-03-01T00:00:00Z", delivered_at).changed == "2026-03-01T00:00:00.000000Z"
    assert stamp("9999-01-01T00:00:00Z", delivered_at) == (sortable(RECEIVED), sortable(RECEIVED))


@pytest.mark.parametrize("delivered_at", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2010-12-31"])
def test_a_delivery_from_before_outreach_bounds_nothing(delivered_at: str) -> None:
    """A change must not lose against all others because the sender's clock says 1970."""
    assert stamp("2026-03-01T00:00:00Z", delivered_at).changed == "2026-03-01T00:00:00.000000Z"
    assert stamp(None, delivered_at).changed == sortable(RECEIVED)


def test_a_stamp_of_the_future_loses_against_the_next_change() -> None:
    """And of two such the one that was delivered later wins, whichever arrives last."""
    first, second = stamp("9999-12-31T00:00:00Z"), stamp("9998-01-01T00:00:00Z", "2026-03-02T03:00:02Z")
    genuine = stamp("2026-03-02T03:00:03Z", "2026-03-02T03:00:04Z")
    assert first < second < genuine


def test_the_journal_is_told() -> None:
    """The notes come with the patch."""
    one = delivery(attributes={"title": "a", "updatedAt": "9999-01-01"}, delivered_at="9998-01-01T00:00:00Z")
    assert read_patch(one, mapping=DEFAULT, received_at=RECEIVED).notes == (
        "deliveredAt lies after the receipt; the delivery counts from its receipt.",
        "updatedAt lies after the delivery; the change counts from 2026-03-02T12:00:00.000000Z.",
    )


_MOMENTS = st.integers(0, 3 * 10**11).map(lambda seconds: datetime(1, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds))
_NEAR = st.integers(-(10**5), 10**5).map(lambda seconds: RECEIVED + timedelta(seconds=seconds))
_CLAIMS: st.SearchStrategy[Any] = st.one_of(_MOMENTS, _NEAR).map(sortable) | st.none() | st.text(max_size=8)


@law
@given(_CLAIMS, st.one_of(_MOMENTS, _NEAR).map(sortable) | st.none())
def test_no_stamp_lies_ahead_of_its_receipt(updated_at: object, delivered_at: str | None) -> None:
    """By more than clocks differ, whatever a delivery claims; and none that somebody believed lies at a zero."""
    found = stamp(updated_at, delivered_at)
    assert max(found) <= sortable(RECEIVED + MAX_CLOCK_AHEAD)
    assert found.changed >= "2011"


@law
@given(_CLAIMS, _NEAR, st.lists(st.integers(0, 3000 * 24 * 60), min_size=2, max_size=2))
def test_every_replay_has_the_same_stamp(updated_at: object, sent: datetime, minutes: list[int]) -> None:
    """A delivery with a time of its own counts alike, whenever it is received."""
    found = [stamp(updated_at, sortable(sent), received_at=sent + timedelta(minutes=late)) for late in minutes]
    assert found[0] == found[1]

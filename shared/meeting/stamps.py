"""The time that an event counts from, by which the later one wins.

Both times in a delivery are claims: `updatedAt` of the record, and `deliveredAt`. One that cannot be true would win, or
lose, against every true one. So each is held against the next: a change happens before its delivery, a delivery is made
before its receipt, give or take what clocks differ. What a delivery says of itself is the same each time it comes; the
receipt counts only where it says nothing that can be true.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.meeting.delivery import Delivery
from shared.meeting.merge import Stamp
from shared.timestamps import parse_time, sortable

# By how much clocks differ at most.
MAX_CLOCK_AHEAD = timedelta(minutes=5)
# When Outreach was founded. Year 1 and 1970 are how programs write that they know no time.
_OUTREACH_BEGAN = datetime(2011, 1, 1, tzinfo=UTC)


def stamp_of(delivery: Delivery, *, received_at: datetime) -> tuple[Stamp, tuple[str, ...]]:
    """The stamp of all that `delivery` says, and a note for each claim that cannot be true."""
    notes: list[str] = []
    sent = delivery.delivered_at or received_at
    if sent > received_at + MAX_CLOCK_AHEAD:
        sent = received_at
        notes.append("deliveredAt lies after the receipt; the delivery counts from its receipt.")
    latest = sent if sent >= _OUTREACH_BEGAN else received_at
    changed = latest
    if (claim := delivery.attributes.get("updatedAt")) not in (None, ""):
        try:
            changed = _believed(claim, latest=latest + MAX_CLOCK_AHEAD)
        except ValueError as error:
            notes.append(f"updatedAt {error}; the change counts from {sortable(latest)}.")
    return Stamp(sortable(changed), sortable(sent)), tuple(notes)


def _believed(claim: object, *, latest: datetime) -> datetime:
    """The time in `claim`. Raises `ValueError` with the reason why no record can have been changed then."""
    try:
        moment = parse_time(claim)
    except ValueError as error:
        raise ValueError("is no time") from error
    if moment < _OUTREACH_BEGAN:
        raise ValueError("lies before there was Outreach")
    if moment > latest:
        raise ValueError("lies after the delivery")
    return moment

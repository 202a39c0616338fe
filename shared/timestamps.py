"""Times: one way to read one, and two to write one: to the microsecond as we store it, to the second for Dynamics."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

# Gives the time of day, aware. Whoever needs it is given one; only `runtime.py` makes one.
Clock = Callable[[], datetime]

_LENGTH_OF_A_DAY = len("2026-01-05")
_ANY_YEAR = re.compile(
    r"(?P<sign>[+-]?)(?P<year>(?<=-)\d{4}|0000|0001|9999|\d{5,})-\d\d-\d\d"
    r"([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?"
)


def parse_time(text: object) -> datetime:
    """The instant in an ISO 8601 text, with the offset that it came with; without one it is UTC.

    Raises `ValueError` for anything else, also for a time that some zone's calendar does not have: the first and the
    last day of the calendar overflow there.
    """
    if not isinstance(text, str):
        raise ValueError("a time is a text")  # noqa: TRY004 - one error for whatever is no time
    moment = datetime.fromisoformat(text.strip())
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this time lies outside the calendar") from error
    return moment


def has_zone(text: str) -> bool:
    """Whether a time (see `parse_time`) says its offset itself."""
    return datetime.fromisoformat(text.strip()).tzinfo is not None


def beyond_the_calendar(text: object) -> datetime | None:
    """The nearest moment that the calendar has, where a time lies outside it; None for what is no time."""
    found = _ANY_YEAR.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    early = found["sign"] == "-" or int(found["year"]) <= 1
    return datetime(1, 1, 1, tzinfo=UTC) if early else datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def is_day(text: str) -> bool:
    """Whether `text` names a day, as `2026-01-05` does, and no time of it."""
    return len(text) == _LENGTH_OF_A_DAY


def sortable(moment: datetime) -> str:
    """`moment` (aware) as UTC text of fixed width, so that text order is time order: `2026-01-05T09:30:00.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def whole_seconds(moment: datetime) -> str:
    """`moment` (aware) as UTC text to the second, which is what Dynamics keeps: `2026-01-05T09:30:00Z`."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"

"""Files of the Data Sharing table MEETINGS, of any size, with every kind of row at known places.

What must come of each row is written out here, beside the row, and never computed with the app's own code. Of every
hundred rows:

| row | is | and becomes |
|---|---|---|
| 7 | a meeting without people | parked |
| 17 | without an id | rejected |
| 43 | with a time that is none | rejected |
| 60, 61 | called off | left out |
| 80 | deleted | left out |
| 90 | the meeting of row 89 as it was an hour earlier | nothing: what is older loses |
| all others | a meeting | an appointment |
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sandbox.appointments import Appointment
from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach.seed import NEWCOMER, NEWCOMER_EMAIL, OPPORTUNITIES, USERS

WITHOUT_PEOPLE: Final = 7
WITHOUT_ID: Final = 17
BAD_TIME: Final = 43
CANCELED: Final = (60, 61)
DELETED: Final = 80
OUTDATED: Final = 90
LEFT_OUT: Final = frozenset({*CANCELED, DELETED})
REJECTED: Final = frozenset({WITHOUT_ID, BAD_TIME})
FIRST_ID: Final = 1_000_000
HALF_AN_HOUR: Final = timedelta(minutes=30)
# Whom each prospect is in Dynamics (`sandbox/outreach/seed.py`).
_RECORDS: Final = {
    101: CONTACT_IDS[0],
    102: CONTACT_IDS[1],
    103: CONTACT_IDS[2],
    104: LEAD_IDS[0],
    105: CONTACT_IDS[3],
    106: CONTACT_IDS[4],
    107: CONTACT_IDS[5],
    109: LEAD_IDS[2],
    110: LEAD_IDS[3],
}
PROSPECTS: Final = (*_RECORDS, NEWCOMER)


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Row `number` as Snowflake has it: meeting 1,000,000 + number; None is NULL."""
    kind = number % 100
    if kind == OUTDATED:
        return row(number - 1, TITLE=f"Meeting {number}", UPDATED_AT=_timestamp(_booked(number - 1))) | changes
    start, end = _times(number)
    booked = _booked(number)
    by_link = _is_by_link(number)
    values: dict[str, Any] = {
        "ALL_DAY": "true" if _is_all_day(number) else "false",
        "BENTO": "bento1",
        "BOOKER_ID": str(_prospect(number) if by_link else USERS[number % 3]),
        "CALENDAR_IDS": "[\n  7\n]",
        "CANCELED": "true" if kind in CANCELED else "false",
        "CREATED_AT": _timestamp(booked + timedelta(minutes=1)),
        "CREATOR_ID": "1",
        "CREATOR_TYPE": "Prospect" if by_link else "User",
        "DESCRIPTION": _description(number),
        "DML_AT": "2026-01-01 00:00:00.000",
        "DML_TYPE": "delete" if kind == DELETED else "update",
        "END_TIME": _timestamp(end),
        "EXTERNAL_CREATED_AT": _timestamp(booked),
        "ID": None if kind == WITHOUT_ID else str(FIRST_ID + number),
        "IS_DELETED_IN_APP": "true" if kind == DELETED else "false",
        "LOCATION": _location(number),
        "O_ID": "7",
        "OPPORTUNITY_ID": str(OPPORTUNITIES[number % 3]) if _has_opportunity(number) else None,
        "PROSPECT_IDS": "[]" if kind == WITHOUT_PEOPLE else f"[{_prospect(number)}]",
        "START_TIME": "soon" if kind == BAD_TIME else _timestamp(start),
        "TITLE": f"Meeting {number}",
        "UPDATED_AT": _timestamp(booked + timedelta(hours=1)),
    }
    return values | changes


def wanted(number: int) -> Appointment | None:
    """The appointment that row `number` must become; None where it must become none."""
    if number % 100 in {WITHOUT_PEOPLE, OUTDATED} | LEFT_OUT | REJECTED:
        return None
    start, end = _times(number)
    by_link = _is_by_link(number)
    owner = USER_IDS[0] if by_link else USER_IDS[number % 3]
    record = _RECORDS.get(_prospect(number))
    return Appointment(
        subject=f"Meeting {number}",
        description=_description(number),
        location=_location(number),
        is_all_day=_is_all_day(number),
        start=start,
        end=end,
        created_on=_booked(number),
        created_by=APP_USER_ID if by_link else owner,
        owner=owner,
        regarding=OPPORTUNITY_IDS[number % 3] if _has_opportunity(number) else record,
        attendees=frozenset({record or NEWCOMER_EMAIL}),
        organizer=owner,
    )


def rows(many: int) -> Iterator[dict[str, Any]]:
    """Rows 1 to `many`."""
    return map(row, range(1, many + 1))


def good(many: int) -> set[int]:
    """The rows of `many` that are events to queue."""
    return set(filter(is_queued, range(1, many + 1)))


def is_queued(number: int) -> bool:
    """Whether row `number` is neither left out nor rejected."""
    return number % 100 not in LEFT_OUT | REJECTED


def write_csv(path: Path, given: Iterable[dict[str, Any]]) -> Path:
    """A CSV export."""
    source = iter(given)
    first = next(source)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerows(chain([first], source))
    return path


def write_json_lines(path: Path, given: Iterable[dict[str, Any]]) -> Path:
    """A JSON lines export: as OBJECT_CONSTRUCT makes it, without the columns that are NULL."""
    with path.open("w", encoding="utf-8") as file:
        for one in given:
            file.write(json.dumps({name: value for name, value in one.items() if value is not None}) + "\n")
    return path


def _times(number: int) -> tuple[datetime, datetime]:
    day = datetime(2025, 12, 1 + number % 28, tzinfo=UTC)
    if _is_all_day(number):
        return day, day + timedelta(days=1)
    start = day + timedelta(hours=number % 20)
    return start, start + HALF_AN_HOUR


def _booked(number: int) -> datetime:
    return datetime(2025, 11, 1 + number % 28, 7, 59, tzinfo=UTC)


def _prospect(number: int) -> int:
    return PROSPECTS[number % len(PROSPECTS)]


def _is_by_link(number: int) -> bool:
    """Whether the prospect booked it, by the link of user 1."""
    return number % 100 == 31


def _is_all_day(number: int) -> bool:
    return number % 50 == 21


def _has_opportunity(number: int) -> bool:
    return number % 8 == 0


def _location(number: int) -> str | None:
    return f"Room {number % 40}" if number % 4 == 0 else None


def _description(number: int) -> str | None:
    return None if number % 5 == 0 else f'Line one of {number}\nline two, with a comma and a "quote"'


def _timestamp(moment: datetime) -> str:
    """As a Timestamp_NTZ column is written out."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.000")

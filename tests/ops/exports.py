"""Export files of any size, with every kind of row at known places."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

PROSPECTS = (101, 102, 103, 104, 105, 106, 107, 109, 110)
# Of every hundred rows: one without an id, one with a time that is none, two called off, one deleted.
WITHOUT_ID, BAD_TIME, CANCELED, DELETED = 17, 43, (60, 61), 80


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Row `number` as Snowflake writes it: meeting 1,000,000 + number."""
    kind = number % 100
    day, hour = 1 + number % 28, number % 20
    values: dict[str, Any] = {
        "ALL_DAY": "false",
        "BENTO": "bento1",
        "BOOKER_ID": str(1 + number % 3),
        "CALENDAR_IDS": "[\n  7\n]",
        "CANCELED": "true" if kind in CANCELED else "false",
        "CREATED_AT": f"2025-11-{day:02} 08:00:00.000",
        "CREATOR_ID": "1",
        "CREATOR_TYPE": "User",
        "DESCRIPTION": f"Line one of {number}\nline two, with a comma",
        "DML_AT": "2026-01-01 00:00:00.000",
        "DML_TYPE": "delete" if kind == DELETED else "update",
        "END_TIME": f"2025-12-{day:02} {hour:02}:30:00.000",
        "EXTERNAL_CREATED_AT": f"2025-11-{day:02} 07:59:00.000",
        "ID": "" if kind == WITHOUT_ID else str(1_000_000 + number),
        "IS_DELETED_IN_APP": "true" if kind == DELETED else "false",
        "LOCATION": "",
        "O_ID": "7",
        "PROSPECT_IDS": f"[{PROSPECTS[number % len(PROSPECTS)]}]",
        "START_TIME": "soon" if kind == BAD_TIME else f"2025-12-{day:02} {hour:02}:00:00.000",
        "TITLE": f"Meeting {number}",
        "UPDATED_AT": f"2025-11-{day:02} 09:00:00.000",
    }
    return values | changes


def rows(many: int) -> Iterator[dict[str, Any]]:
    """Rows 1 to `many`."""
    return (row(number) for number in range(1, many + 1))


def good(many: int) -> set[int]:
    """The rows of `many` that are meetings to sync."""
    left_out = {WITHOUT_ID, BAD_TIME, DELETED, *CANCELED}
    return {number for number in range(1, many + 1) if number % 100 not in left_out}


def write_csv(path: Path, given: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Path:
    """A CSV export."""
    source = iter(given)
    first = next(source)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerows(chain([first], source))
    return path


def write_json_lines(path: Path, given: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Path:
    """A JSON lines export: as OBJECT_CONSTRUCT makes it, without the columns that are NULL."""
    with path.open("w", encoding="utf-8") as file:
        for one in given:
            file.write(json.dumps({name: value for name, value in one.items() if value != ""}) + "\n")
    return path

r"""Outreach's Data Sharing table MEETINGS, exported to a file: each row becomes the delivery that it stands for.

The table has one row per meeting (https://developers.outreach.io/snowflake-datasharing/markdown/meetings). Whether its
ID is that of what deliveries call the meeting or the calendar event is not documented; whoever runs the back-fill says
which. The columns are read by rule, not by list, because organisations join more to it: `START_TIME` becomes the
attribute `startTime`, `OPPORTUNITY_ID` the relationship `opportunity`, `PROSPECT_IDS` the relationship `prospects`;
what the mapping file does not read is ignored. Times without a zone are UTC (the table's type is Timestamp_NTZ). An
empty CSV field and `\N` are NULL, and NULL says that the meeting has no such value.

Files: CSV with a header (comma, semicolon, tab or bar), or JSON lines.
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from itertools import chain, count
from typing import Any

from shared.errors import BadDelivery, SyncError
from shared.meeting.delivery import parse_json
from shared.timestamps import parse_time

# What a row is, where nobody says otherwise.
RESOURCE = "meeting"

# One field of an export may be a long description; an unclosed quote must not make us keep the rest of the file.
_LONGEST_FIELD = 2 * 1024 * 1024
_DELIMITERS = ",;\t|"
_NULLS = frozenset({"", "\\N"})
# What says something of the row and not of the meeting, and what `_people` reads.
_NOT_OF_THE_MEETING = frozenset({"ID", "BENTO", "O_ID", "SURROGATE_ID", "DML_AT", "DML_TYPE", "IS_DELETED_IN_APP"})
_PEOPLE = frozenset({"BOOKER_ID", "CREATOR_ID", "CREATOR_TYPE"})
_FLAGS = frozenset({"ALL_DAY", "CANCELED", "NO_SHOW", "IS_DELETED_IN_APP"})
_TRUE, _FALSE = frozenset({"true", "t", "yes", "1"}), frozenset({"false", "f", "no", "0"})
_ID = re.compile(r"([0-9]+)(\.0)?")
_SPACE_BEFORE_ZONE = re.compile(r"\s+(Z|[+-][0-9]{2}:?[0-9]{2})$")

Row = Mapping[str, Any]


class BadRow(SyncError):
    """A row that cannot be a meeting. The message is a sentence for the rejects file."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """One row: its number in the file (1 is the first after the header), and its columns, or what is wrong with it."""

    number: int
    row: Row
    problem: str = ""


def read_rows(lines: Iterable[str]) -> Iterator[Numbered]:
    """The rows in the lines of a file, one at a time. Raises `BadRow` where the file is none of the two kinds."""
    source = iter(lines)
    first = next((line for line in source if line.strip()), None)
    if first is None:
        raise BadRow("The file is empty.")
    whole = chain([first], source)
    return _json_lines(whole) if first.lstrip().startswith("{") else _csv(whole, first)


def delivery_of(row: Row, *, resource: str = RESOURCE) -> dict[str, Any]:
    """The delivery that `row` stands for: a change as of `UPDATED_AT`, or `CREATED_AT` where there is none.

    That is its stamp in the merge, so whatever an event said later stands. `resource`: what kind of record ID is the id
    of. Raises `BadRow`.
    """
    record_id = _id(row.get("ID"), "ID")
    if record_id is None:
        raise BadRow("ID is empty.")
    attributes = {_camel(name): _value(name, row[name]) for name in row if _is_attribute(name)}
    stamp = attributes.get("updatedAt") or attributes.get("createdAt")
    if stamp is None:
        raise BadRow("UPDATED_AT and CREATED_AT are both empty; one of them must say how old the row is.")
    attributes["updatedAt"] = stamp
    if booked := attributes.get("externalCreatedAt"):
        # When it was booked in the calendar; CREATED_AT is when Outreach first saw it.
        attributes.setdefault("bookedAt", booked)
    action = "destroyed" if _is_deleted(row) else "updated"
    return {
        "data": {
            "type": resource,
            "id": record_id,
            "attributes": attributes,
            "relationships": {**_relationships(row), **_people(row)},
        },
        "meta": {"eventName": f"{resource}.{action}", "deliveredAt": stamp},
    }


def organisation(row: Row) -> str:
    """The Outreach organisation of the row: one share may hold several, whose meeting ids overlap."""
    return str(row.get("O_ID") or "")


def _csv(lines: Iterable[str], header: str) -> Iterator[Numbered]:
    delimiter = next((mark for mark in _DELIMITERS if "ID" in _names(header.split(mark))), None)
    if delimiter is None:
        raise BadRow("The file begins with neither a header that has a column ID nor a JSON object.")
    csv.field_size_limit(_LONGEST_FIELD)
    source = _Lines(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    names = _names(next(reader))
    for number in count(1):
        source.begin()
        problem = ""
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"It cannot be read as CSV: {error}."
        else:
            if not fields:  # a blank line is no row
                continue
            if len(fields) != len(names):
                problem = f"It has {len(fields)} fields, and the header {len(names)}."
        if problem:
            yield Numbered(number, {}, f"{problem} It begins in line {source.first}.")
            source.give_back()
        else:
            yield _record(number, names, fields)


class _Lines:
    """The lines of a file, for a reader whose row may take several.

    What a row that cannot be read took beyond its first line is given back: where a quote was not closed, rows stand
    there. No line is given back twice, so that no file takes for ever.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._given_back = 0
        self.first = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    def begin(self) -> None:
        """The next line is the first of a row; its number is `first`."""
        self.first += len(self._taken)
        self._taken.clear()

    def give_back(self) -> None:
        """Whatever follows the first line of this row is still to come."""
        kept = max(1, self._given_back - self.first + 1)
        self._given_back = max(self._given_back, self.first + len(self._taken) - 1)
        self._again.extendleft(reversed(self._taken[kept:]))
        del self._taken[kept:]


def _record(number: int, names: list[str], fields: list[str]) -> Numbered:
    if not all(_is_text(field) for field in fields):
        return Numbered(number, {}, "It is not UTF-8.")
    return Numbered(number, {name: _null(field) for name, field in zip(names, fields, strict=True)})


def _json_lines(lines: Iterable[str]) -> Iterator[Numbered]:
    for number, line in enumerate((line for line in lines if line.strip()), start=1):
        try:
            row = parse_json(line.encode())
        except (BadDelivery, UnicodeEncodeError):
            row = None
        if isinstance(row, dict):
            yield Numbered(number, {name.strip().upper(): _null(value) for name, value in row.items()})
        else:
            yield Numbered(number, {}, "It is not a JSON object on one line, in UTF-8.")


def _names(header: Iterable[str]) -> list[str]:
    return [name.strip().strip('"\ufeff').upper() for name in header]


def _is_text(field: str) -> bool:
    """Whether `field` was UTF-8: bytes that are none were read as lone surrogates, which cannot be written."""
    try:
        field.encode()
    except UnicodeEncodeError:
        return False
    return True


def _null(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip() in _NULLS else value


def _is_attribute(name: str) -> bool:
    return name not in _NOT_OF_THE_MEETING | _PEOPLE and not name.endswith(("_ID", "_IDS"))


def _value(name: str, value: Any) -> Any:
    if name in _FLAGS:
        return _flag(value, name)
    return _instant(value, name) if name.endswith(("_AT", "_TIME")) else value


def _flag(value: Any, name: str) -> bool | None:
    """Checked here, because the sync leaves out what it cannot read: a meeting that was called off would be booked."""
    text = "" if value is None else str(value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    if text:
        raise BadRow(f"{name} is neither true nor false.")
    return None


def _instant(value: Any, name: str) -> str | None:
    if value is None:
        return None
    try:
        return parse_time(_SPACE_BEFORE_ZONE.sub(r"\1", value.strip())).astimezone(UTC).isoformat()
    except (AttributeError, ValueError) as error:
        raise BadRow(f"{name} is not a time such as 2026-01-31 09:30:00.") from error


def _relationships(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in _NOT_OF_THE_MEETING | _PEOPLE:
            continue
        if name.endswith("_IDS"):
            kind = _camel(name.removesuffix("_IDS"))
            found[f"{kind}s"] = {"data": [_reference(kind, one, name) for one in _listed(value, name)]}
        elif name.endswith("_ID"):
            kind = _camel(name.removesuffix("_ID"))
            found[kind] = {"data": None if value is None else _reference(kind, value, name)}
    return found


def _people(row: Row) -> dict[str, Any]:
    """Booker, creator, owner and the prospect who booked.

    As the table's description has it: BOOKER_ID is the prospect who booked by link, otherwise the user who owns the
    event; CREATOR_ID the user who booked it or whose link it was; CREATOR_TYPE tells which of the two.
    """
    booker, creator = _id(row.get("BOOKER_ID"), "BOOKER_ID"), _id(row.get("CREATOR_ID"), "CREATOR_ID")
    by_prospect = str(row.get("CREATOR_TYPE") or "").strip().lower() == "prospect"
    found: dict[str, Any] = {}
    if booker is not None:
        found["booker"] = {"data": {"type": "prospect" if by_prospect else "user", "id": booker}}
    if creator is not None:
        found["creator"] = {"data": {"type": "user", "id": creator}}
    owner = creator if by_prospect or booker is None else booker
    if owner is not None and "USER_ID" not in row and "OWNER_ID" not in row:
        found["user"] = {"data": {"type": "user", "id": owner}}
    if by_prospect and booker is not None and "PROSPECT_ID" not in row:
        found["prospect"] = {"data": {"type": "prospect", "id": booker}}
    return found


def _reference(kind: str, value: Any, name: str) -> dict[str, Any]:
    return {"type": "user" if kind == "owner" else kind, "id": _id(value, name)}


def _listed(value: Any, name: str) -> list[Any]:
    """An array: as JSON has it, or in a CSV field as JSON or separated by commas."""
    if value is None or isinstance(value, list):
        return [one for one in value or () if one is not None]
    text = str(value).strip()
    if not text.startswith("["):
        return [one.strip() for one in text.split(",") if one.strip()]
    try:
        return _listed(json.loads(text), name)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"{name} is not an array of ids.") from error


def _id(value: Any, name: str) -> str | None:
    """An id as text; a number with `.0`, as spreadsheets write it, is the number."""
    if value is None:
        return None
    found = _ID.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if found is None:
        raise BadRow(f"{name} is not an Outreach id, which is a number.")
    return found[1]


def _is_deleted(row: Row) -> bool:
    return _flag(row.get("IS_DELETED_IN_APP"), "IS_DELETED_IN_APP") or str(
        row.get("DML_TYPE") or ""
    ).strip().lower() in {"delete", "backfill-delete"}


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)

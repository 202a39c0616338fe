"""Requests about an appointment's columns, each in the form that the mapping gives it (`shared/meeting/wire.py`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from shared.meeting.adopt import Search
from shared.meeting.transforms import OWNER, TIMES
from shared.meeting.wire import Wire

Wires = Mapping[str, Wire]


def to_body(columns: Mapping[str, Any], wires: Wires) -> dict[str, Any]:
    """The JSON body that writes `columns`."""
    body: dict[str, Any] = {}
    for name, value in columns.items():
        body |= wires[name].body(name, value)
    return body


def selection(columns: Collection[str], wires: Wires) -> dict[str, str]:
    """The query that reads `columns` and the state."""
    asked: defaultdict[str, set[str]] = defaultdict(set, {"$select": {"activityid", "statecode", "statuscode"}})
    for name in columns:
        option, what = wires[name].query(name)
        asked[option].add(what)
    return {option: ",".join(sorted(what)) for option, what in asked.items()}


def from_row(row: Mapping[str, Any], columns: Collection[str], wires: Wires) -> dict[str, Any]:
    """The values of `columns` in a row that Dataverse sent, in our own form."""
    return {name: wires[name].read(name, row) for name in columns}


def filter_for(wanted: Search, wires: Wires) -> str:
    """The filter that finds open and scheduled appointments that fit `wanted`."""
    any_of = [f"globalobjectid eq {quoted(one)}" for one in wanted.global_ids]
    if wanted.same:
        any_of.append(
            " and ".join(f"{wires[name].query(name)[1]} eq {_literal(name, of)}" for name, of in wanted.same.items())
        )
    return f"(statecode eq 0 or statecode eq 3) and ({' or '.join(f'({one})' for one in any_of)})"


def _literal(column: str, value: str) -> str:
    if column == OWNER:
        return value.partition(":")[2]
    return value if column in TIMES else quoted(value)


def quoted(text: str) -> str:
    """`text` as an OData string: a quote inside is doubled, so no value can end the literal."""
    return "'" + text.replace("'", "''") + "'"

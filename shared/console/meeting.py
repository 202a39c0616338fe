"""One meeting's page: which event set which field, which column it feeds, and what each event wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.admin.explain import ON_CREATE
from shared.console.words import written
from shared.meeting.mapping import MappingFile
from shared.meeting.outcome import OutcomeKind
from shared.meeting.patch import FieldName
from shared.meeting.transforms import PARTIES, Row

_FIRST = ("subject", "scheduledstart", "scheduledend", "ownerid", PARTIES, "regardingobjectid")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a field feeds. `has`: what Dynamics last got from us, in words; empty: nothing so far."""

    name: str
    has: str
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field. `set_by` is the journal of the event that set it, as far as that is among the last ones."""

    name: str
    label: str
    value: Any
    kind: str
    columns: tuple[Column, ...]
    sources: tuple[str, ...]
    changed_at: str
    set_by: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class EventView:
    """One event in the time line, with its journal where there is one."""

    correlation_id: str
    event: str
    received_at: str
    outcome: str
    journal: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class MeetingView:
    """What the page shows beside what `Admin.meeting` says.

    `written_at`: when Dynamics last took something of it, as far as that is among the last events.
    """

    title: str
    starts_at: str
    written_at: str
    fields: tuple[FieldView, ...]
    events: tuple[EventView, ...]


def meeting_view(found: Mapping[str, Any], journal: Sequence[Mapping[str, Any]], mapping: MappingFile) -> MeetingView:
    """`found` as `Admin.meeting` gave it, `journal` of the events in it."""
    entries = [other for entry in journal for other in (entry, *entry.get("others", ()))]
    by_stamp = {(entry["changedAt"], entry["deliveredAt"]): entry for entry in reversed(entries)}
    by_correlation = {entry["correlationId"]: entry for entry in reversed(entries)}
    order = {row.field: number for number, row in enumerate(sorted(mapping.rows, key=_rank))}
    fields = tuple(
        _field(name, found, by_stamp.get((content["changedAt"], content["deliveredAt"])), mapping)
        for name, content in sorted(
            found["fields"].items(), key=lambda item: (order.get(FieldName.parse(item[0]).field, len(order)), item[0])
        )
    )
    events = tuple(
        EventView(
            recent["correlationId"],
            recent["event"],
            recent["receivedAt"],
            recent["outcome"],
            by_correlation.get(recent["correlationId"]),
        )
        for recent in found["recent"]
    )
    written_at = next((when for outcome, when in map(_ended, events) if OutcomeKind(outcome).applied), "")
    return MeetingView(_said(fields, "subject"), _said(fields, "scheduledstart"), written_at, fields, events)


def _ended(event: EventView) -> tuple[str, str]:
    """How an event ended and when; its receipt has to do where no journal tells more."""
    return (
        (event.journal["outcome"], event.journal["finishedAt"]) if event.journal else (event.outcome, event.received_at)
    )


def _rank(row: Row) -> int:
    """What a person looks for first stands first; all else as in the mapping."""
    return _FIRST.index(row.column) if row.column in _FIRST else len(_FIRST)


def _has(row: Row, fingerprints: Mapping[str, str]) -> str:
    if row.column in ON_CREATE:
        return "only with a new appointment, and not remembered"
    return written(fingerprints.get(row.column, ""))


def _said(fields: Sequence[FieldView], column: str) -> str:
    """What Outreach says of the field that feeds `column`; empty where it says nothing."""
    return next((str(one.value) for one in fields if one.value and any(c.name == column for c in one.columns)), "")


def _label(name: FieldName, label: str, kind: str) -> str:
    source = "attribute" if kind == "flag" else "relationship"
    parts = ((source, name.source), ("calendar event", name.calendar))
    apart = [f"{what} {which}" for what, which in parts if which]
    return f"{label} ({', '.join(apart)})" if apart else label


def _field(name: str, found: Mapping[str, Any], set_by: Mapping[str, Any] | None, mapping: MappingFile) -> FieldView:
    content = found["fields"][name]
    known = FieldName.parse(name)
    inputs = [item for item in mapping.inputs if item.field == known.field]
    rows = [row for row in mapping.rows if row.field == known.field]
    label = rows[0].row if rows else known.field.replace("_", " ").capitalize()
    kind = inputs[0].kind if inputs else ""
    return FieldView(
        name,
        _label(known, label, kind),
        content["value"],
        kind,
        tuple(Column(row.column, _has(row, found["written"]), row.column in found["columnsInDoubt"]) for row in rows),
        tuple(str(source) for item in inputs for source in item.sources if known.source in {"", source.name}),
        content["changedAt"],
        set_by,
    )

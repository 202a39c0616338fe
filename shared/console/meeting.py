"""One meeting's page: which event set which field, which column it feeds, and what each event wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.explain import source_text
from shared.core.mapping import MappingFile
from shared.core.patch import FieldName


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field. `set_by` is the journal of the event that set it, as far as that is among the last ones."""

    name: str
    label: str
    value: Any
    kind: str
    columns: str
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
    """What the page shows beside what `Admin.meeting` says."""

    fields: tuple[FieldView, ...]
    events: tuple[EventView, ...]


def meeting_view(found: Mapping[str, Any], journal: Sequence[Mapping[str, Any]], mapping: MappingFile) -> MeetingView:
    """`found` as `Admin.meeting` gave it, `journal` of the events in it."""
    entries = [other for entry in journal for other in (entry, *entry.get("others", ()))]
    by_stamp = {(entry["changedAt"], entry["deliveredAt"]): entry for entry in reversed(entries)}
    by_correlation = {entry["correlationId"]: entry for entry in reversed(entries)}
    fields = tuple(
        _field(name, content, by_stamp.get((content["changedAt"], content["deliveredAt"])), mapping)
        for name, content in found["fields"].items()
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
    return MeetingView(fields, events)


def _field(name: str, content: Mapping[str, Any], set_by: Mapping[str, Any] | None, mapping: MappingFile) -> FieldView:
    known = FieldName.parse(name)
    inputs = [item for item in mapping.inputs if item.field == known.field]
    rows = [row for row in mapping.rows if row.field == known.field]
    label = rows[0].row if rows else known.field.replace("_", " ").capitalize()
    return FieldView(
        name,
        f"{label} (calendar event {known.calendar})" if known.calendar else label,
        content["value"],
        inputs[0].kind if inputs else "",
        ", ".join(row.column for row in rows),
        tuple(source_text(source) for item in inputs for source in item.sources if known.source in {"", source.name}),
        content["changedAt"],
        set_by,
    )

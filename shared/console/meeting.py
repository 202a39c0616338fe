"""One meeting's page: which event set which field, which column it feeds, and what each event wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.admin.admin import LastError, MeetingReport
from shared.admin.dry_run_report import ON_CREATE
from shared.console.words import written
from shared.meeting.adopt import in_words
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Recent
from shared.meeting.merge import Stamped
from shared.meeting.mirror import Mirror
from shared.meeting.outcome import OutcomeKind
from shared.meeting.patch import FieldName
from shared.meeting.transforms import PARTIES, Row
from shared.storage.journal import Entry

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
    set_by: Entry | None


@dataclass(frozen=True, slots=True)
class EventView:
    """One event in the time line, with its journal where there is one."""

    recent: Recent
    journal: Entry | None

    @property
    def outcome(self) -> OutcomeKind:
        """How it ended."""
        return self.journal.outcome if self.journal else self.recent.outcome

    @property
    def ended_at(self) -> str:
        """When it ended; its receipt has to do where no journal says more."""
        return self.journal.finished_at if self.journal else self.recent.received_at


@dataclass(frozen=True, slots=True)
class MeetingView:
    """What the page shows beside the meeting itself.

    `written_at`: when Dynamics last took something of it, as far as that is among the last events. `taken_over`: that
    its appointment was there before, in words; empty: it was not.
    """

    key: MeetingKey
    appointment_url: str | None
    last_error: LastError | None
    title: str
    starts_at: str
    written_at: str
    taken_over: str
    fields: tuple[FieldView, ...]
    events: tuple[EventView, ...]


def meeting_view(report: MeetingReport, journal: Iterable[Entry], mapping: MappingFile) -> MeetingView:
    """`report` as the page shows it; `journal` of the events in it, by trace in the order in which they came."""
    entries, mirror = list(journal)[::-1], report.meeting.mirror
    by_stamp = {(entry.changed_at, entry.delivered_at): entry for entry in entries}
    by_correlation = {entry.correlation_id: entry for entry in entries}
    order = {row.field: number for number, row in enumerate(sorted(mapping.rows, key=_rank))}
    facts = sorted(
        report.meeting.facts.items(), key=lambda item: (order.get(FieldName.parse(item[0]).field, len(order)), item[0])
    )
    fields = tuple(
        _field(name, stamped, by_stamp.get(stamped.stamp), report.meeting.mirror, mapping) for name, stamped in facts
    )
    events = tuple(EventView(recent, by_correlation.get(recent.correlation_id)) for recent in report.recent)
    return MeetingView(
        report.key,
        report.appointment_url,
        report.last_error,
        _said(fields, "subject"),
        _said(fields, "scheduledstart"),
        next((event.ended_at for event in events if event.outcome.applied), ""),
        in_words(mirror.appointment_id, mirror.taken_over) if mirror.taken_over is not None else "",
        fields,
        events,
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


def _field(name: str, stamped: Stamped, set_by: Entry | None, mirror: Mirror, mapping: MappingFile) -> FieldView:
    known = FieldName.parse(name)
    inputs = [item for item in mapping.inputs if item.field == known.field]
    rows = [row for row in mapping.rows if row.field == known.field]
    label = rows[0].row if rows else known.field.replace("_", " ").capitalize()
    kind = inputs[0].kind if inputs else ""
    return FieldView(
        name,
        _label(known, label, kind),
        stamped.value,
        kind,
        tuple(Column(row.column, _has(row, mirror.applied), row.column in mirror.doubt) for row in rows),
        tuple(str(source) for item in inputs for source in item.sources if known.source in {"", source.name}),
        stamped.stamp.changed,
        set_by,
    )

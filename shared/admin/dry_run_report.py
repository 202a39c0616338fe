"""Why an appointment looks as it does: each column's way from a source in a delivery, each condition, each person.

Pure: given the mapping, the merged fields and who was found, it puts into words what `apply` works with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from shared.errors import Unmappable
from shared.meeting.appointment import Desired, collapse, plain
from shared.meeting.decide import Rules, is_applied
from shared.meeting.delivery import Delivery, Reference
from shared.meeting.gates import Situation, gates
from shared.meeting.mapping import LIFECYCLE_FIELDS, MappingFile, Signal
from shared.meeting.meeting import Meeting
from shared.meeting.merge import Facts, Stamped
from shared.meeting.patch import FieldName, read_patch
from shared.meeting.people import People, Person, RowKey
from shared.meeting.sources import Source
from shared.meeting.transforms import STATE, TRANSFORMS, CreatedByRow, CreatedOnRow, Kind, Row
from shared.outreach.connections import custom_id, data_connections

Origin = Literal["this delivery", "an earlier event", "a later event", "other fields", "nowhere"]

# Columns that Dynamics takes with the create only.
ON_CREATE = frozenset(row.only for row in TRANSFORMS.values() if row.on_create)


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """One column.

    `source`: where this delivery names it; `origin`: whose value stands after the merge; `result`: the value that
    Dynamics should have; `shown`: the same for people.
    """

    column: str
    row: str
    field: str
    transform: str
    source: str
    origin: Origin
    value: Any
    changed_at: str
    delivered_at: str
    result: Any
    shown: str
    action: Literal["write", "keep", "wait", "none"]
    why: str


@dataclass(frozen=True, slots=True)
class Check:
    """One condition. `counts`: whether it decides anything for this meeting now."""

    name: str
    met: bool
    counts: bool
    otherwise: str


@dataclass(frozen=True, slots=True)
class Found:
    """Who an Outreach record is in Dynamics. `how` is a sentence."""

    reference: Reference
    records: tuple[str, ...]
    email: str | None
    how: str


def sources_of(delivery: Delivery, mapping: MappingFile, *, received_at: datetime) -> dict[str, str]:
    """By merged field, the sources of the mapping that `delivery` names it by.

    Found by reading the delivery with one source at a time, so that it cannot differ from what reading does.
    """
    by_action = _named_by(None, None, delivery, mapping, received_at)
    found = {name: [f"resources.{delivery.resource}.actions.{delivery.action}"] for name in by_action}
    for item in mapping.inputs:
        for source in item.sources:
            for name in _named_by(source, item, delivery, mapping, received_at):
                if name not in by_action:
                    found.setdefault(name, []).append(str(source))
    return {name: texts[0] for name, texts in found.items()}


def unread(delivery: Delivery, mapping: MappingFile) -> tuple[str, ...]:
    """Members of `delivery` that no source of the mapping names: perhaps an alias is missing."""
    sources = {(source.place, source.name) for item in mapping.inputs for source in item.sources}
    for resource in mapping.resources.values():
        sources |= {(source.place, source.name) for source in resource.key}
        sources |= {(source.place, source.name) for source in resource.when}
    sources.add(("attributes", "updatedAt"))
    members = [("attributes", name) for name in delivery.attributes]
    members += [("relationships", name) for name in delivery.relationships]
    return tuple(sorted(f"{place}.{name}" for place, name in members if (place, name) not in sources))


def checks(before: Meeting, facts: Facts, want: Desired | None, rules: Rules) -> tuple[Check, ...]:
    """Every gate between the merge and Dynamics, in the order in which they are asked."""
    values = collapse(facts, rules.mapping)
    # Without columns, because something in them cannot be, the fields still say what was named.
    known = want.columns if want is not None else {row.column: values.get(row.field) for row in rules.mapping.rows}
    situation = Situation(before.mirror, known, values)
    return tuple(
        Check(gate.name, gate.met(situation), gate.counts(situation), gate.otherwise(situation))
        for gate in gates(rules.mapping, rules.policy)
    )


def found_people(people: People, records: Mapping[Reference, Mapping[str, Any] | None]) -> tuple[Found, ...]:
    """Everybody who was looked up, and how they were found; `records` is what Outreach said of them."""
    return tuple(
        Found(
            reference,
            tuple(map(str, person.records)),
            person.email,
            _how(reference, person, records.get(reference)),
        )
        for reference, person in sorted(people.items())
    )


def columns(
    before: Meeting,
    after: Meeting,
    patch: Facts,
    want: Desired | None,
    mapping: MappingFile,
    *,
    sources: Mapping[str, str],
    written: Collection[str],
    waits: str,
) -> tuple[ColumnReport, ...]:
    """Every row of the mapping, and the state. `written`: columns that would be sent; `waits`: why nothing is."""
    results: dict[str, Any] = {}
    if want is not None:
        results = {**want.new, CreatedOnRow.only: want.created_on, CreatedByRow.only: want.created_by}
    applied = {name for name in want.columns if is_applied(name, want, before.mirror)} if want is not None else set()
    values = collapse(after.facts, mapping)
    rows: list[Row | _Lifecycle] = [*mapping.rows, _lifecycle(values)]
    shown = []
    for row in rows:
        current = _current(row, after.facts, values)
        name = max(current, key=lambda name: current[name].stamp, default=row.field)
        stamped = current.get(name)
        action, why = _action(
            row.column, stamped, results, before, written, applied & before.mirror.applied.keys(), waits
        )
        shown.append(
            ColumnReport(
                column=row.column,
                row=row.row,
                field=name,
                transform=row.transform,
                source=", ".join(sources[name] for name in current or (name,) if name in sources),
                origin=_origin(name, stamped, patch, results.get(row.column)),
                value=stamped.value if stamped else None,
                changed_at=stamped.stamp.changed if stamped else "",
                delivered_at=stamped.stamp.delivered if stamped else "",
                result=plain(results.get(row.column)),
                shown=row.shown(results.get(row.column)),
                action=action,
                why=why,
            )
        )
    return tuple(shown)


@dataclass(frozen=True, slots=True)
class _Lifecycle:
    """The state as if it were a row: it is fed by the first life-cycle field that is true."""

    field: str
    column: str = STATE
    row: str = "Life cycle"
    transform: str = "state"
    kind: Kind = Kind.FLAG

    def shown(self, value: Any) -> str:
        """The state as it is."""
        return str(value or "")


def _lifecycle(values: Mapping[str, Any]) -> _Lifecycle:
    spoken = [name for name in LIFECYCLE_FIELDS if name in values]
    true = [name for name in spoken if values[name]]
    return _Lifecycle((true or spoken or [LIFECYCLE_FIELDS[0]])[0])


def _named_by(
    source: Source | None, item: Row | Signal | None, delivery: Delivery, mapping: MappingFile, received_at: datetime
) -> list[str]:
    """The fields that `delivery` names by this source alone; without one, what its action says by itself."""
    rows = tuple(_only(row, source if row is item else None) for row in mapping.rows)
    signals = tuple(_only(signal, source if signal is item else None) for signal in mapping.signals)
    alone = mapping.model_copy(update={"rows": rows, "signals": signals})
    try:
        fields = read_patch(delivery, mapping=alone, received_at=received_at).fields
    except Unmappable:
        return [item.field] if item else []  # it is named, with a value of the wrong type
    return list(fields)


def _only(item: Any, source: Source | None) -> Any:
    return item.model_copy(update={"sources": (source,) if source else ()})


def _current(row: Row | _Lifecycle, fields: Facts, values: Mapping[str, Any]) -> dict[str, Stamped]:
    """The merged fields behind `row`.

    Of those that are told apart, by calendar or by the attribute a word stands in, it is one that says what stands;
    attendees are read from all their relationships.
    """
    own = {name: stamped for name, stamped in sorted(fields.items()) if FieldName.parse(name).field == row.field}
    joined = own if row.kind is Kind.PROSPECT else {}
    speaking = (name for name, stamped in own.items() if row.field in values and stamped.value == values[row.field])
    return joined or {name: own[name] for name in islice(speaking, 1)}


def _origin(name: str, stamped: Stamped | None, patch: Facts, result: Any) -> Origin:
    if stamped is None:
        # Without an opportunity the attendee is what the appointment is about.
        return "nowhere" if result is None else "other fields"
    if name not in patch:
        return "an earlier event"
    return "this delivery" if patch[name] == stamped else "a later event"


def _action(
    column: str,
    stamped: Stamped | None,
    results: Mapping[str, Any],
    before: Meeting,
    written: Collection[str],
    applied: Collection[str],
    waits: str,
) -> tuple[Literal["write", "keep", "wait", "none"], str]:
    exists = before.mirror.exists
    result = results.get(column)
    if column in written:
        return "write", "It changed in Outreach." if exists else "Part of the new appointment."
    if column in ON_CREATE and exists:
        return "keep", "Dynamics takes it with the create only."
    if not results:
        return "none", "Not worked out."
    if column not in results or (column in ON_CREATE and result is None):
        known = stamped is not None and stamped.value not in (None, [])
        return "none", "It gives no value for this column." if known else "No event has named it."
    if column == STATE and result == "open" and stamped is not None and stamped.value:
        return "keep", "Closed in Outreach; that stays there (SYNC_ON_CANCEL, SYNC_ON_COMPLETE)."
    if column in before.mirror.refused:
        return "keep", f"Dynamics refused this value: {before.mirror.refused[column].reason}."
    if column in applied:
        return "keep", "Dynamics has this value from us."
    if waits:
        return "wait", waits
    return "keep", "Nothing to write: it is empty, or as a new appointment is."


def _how(reference: Reference, person: Person, record: Mapping[str, Any] | None) -> str:
    if (key := RowKey.of(reference)) is not None:
        nobody = person.note or f"No row of {key.table} has that text in {key.by}."
        return f"Found in {key.table} by {key.by}." if person.records else nobody
    if record is None:
        return person.note or "Outreach does not know this record (any more)."
    said = f" {person.note}" if person.note else ""
    if not person.records and person.email:
        return "Nobody in Dynamics has the address." + said
    if not person.records:
        return "Outreach has no connection, no custom id and no e-mail address to look for." + said
    connected = data_connections(record.get("meta"))
    if set(person.records) <= set(connected):
        return "Outreach is connected to it (dataConnections)." + said
    if any(one.table in {found.table, "lead", "contact"} for one in connected for found in person.records):
        return "Outreach's connection leads to a record that was merged, qualified or deleted since." + said
    if person.records[0].id == custom_id(reference.type, record.get("attributes") or {}):
        return "The record's custom id in Outreach is its id in Dynamics." + said
    return "Found in Dynamics by its e-mail address." + said

"""The way out, from a meeting's merged fields to its appointment: the columns, and the values Dynamics should have.

Column values are plain JSON of our own: a lookup is `table:guid`, the state one of `open`, `completed`, `canceled`.
Only the activity parties are a type, in a list sorted by their text. `transforms.py` says how each column is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from hashlib import sha256
from typing import Any, Literal

from shared.meeting.delivery import Reference
from shared.meeting.mapping import LIFECYCLE_FIELDS, MappingFile
from shared.meeting.merge import Facts, Stamp, Stamped, one_text
from shared.meeting.parties import all_parties
from shared.meeting.patch import FieldName
from shared.meeting.people import CrmRecord, Party, People
from shared.meeting.texts import with_links
from shared.meeting.transforms import ORGANIZER, OWNER, PARTIES, STATE, TIMES, CreatedByRow, CreatedOnRow, Given, Kind

_LONGEST_PLAIN_FINGERPRINT = 200

_Spoken = dict[FieldName, Stamped]


@dataclass(frozen=True, slots=True)
class Policy:
    """The plugin settings, with the plugin's meaning.

    `pushing` off: nothing goes out. `create` off: no new appointments. `update` off: existing ones stay as they are.
    `on_complete`, `on_cancel`: whether a held or called-off meeting closes its appointment. `zone`: where all-day
    meetings begin at midnight.
    """

    pushing: bool = True
    create: bool = True
    update: bool = True
    on_complete: Literal["complete", "ignore"] = "complete"
    on_cancel: Literal["ignore", "cancel"] = "ignore"
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Desired:
    """The appointment as Outreach wants it. Only columns that some event named are in `columns`.

    `organizer`: goes with the owner, and is not among the parties in `columns`. `invited`: the attendee that each
    record of Outreach is; None: the attendees stay as they are. `unresolved`: Outreach records that are nobody in
    Dynamics; an appointment may do without them.
    """

    columns: Mapping[str, Any]
    created_on: str | None = None
    created_by: str | None = None
    notes: tuple[str, ...] = ()
    unresolved: frozenset[Reference] = frozenset()
    organizer: Party | None = None
    invited: Mapping[Reference, CrmRecord | str] | None = None

    def without(self, names: Collection[str]) -> Desired:
        """The same but for these columns, Created On, Created By and organizer, who goes with the owner too."""
        return replace(
            self,
            columns={name: value for name, value in self.columns.items() if name not in names},
            created_on=None if CreatedOnRow.only in names else self.created_on,
            created_by=None if CreatedByRow.only in names else self.created_by,
            organizer=None if {OWNER, ORGANIZER} & set(names) else self.organizer,
        )

    def created_by_then(self, now: str) -> Desired:
        """The same, created at `now` (sortable) at the latest: Dynamics refuses a Created On that is still to come."""
        latest = f"{now[:19]}Z"
        if not now or self.created_on is None or self.created_on <= latest:
            return self
        note = f"The booked date {self.created_on} is still to come: {CreatedOnRow.only} is when the event arrived."
        return replace(self, created_on=latest, notes=(*self.notes, note))

    @property
    def new(self) -> dict[str, Any]:
        """The columns of a new appointment: the parties are attendees and organizer."""
        columns = dict(self.columns)
        if PARTIES in columns or self.organizer is not None:
            columns[PARTIES] = all_parties(columns.get(PARTIES) or (), self.organizer)
        return columns


def collapse(fields: Facts, mapping: MappingFile) -> dict[str, Any]:
    """Field values without stamps, and one value for what each calendar said for itself.

    Where the organizer's calendar is known it speaks for the meeting, and no other: a guest who declines or deletes
    their copy calls nothing off. What the meeting itself said later stands (a row of an export, say). Where no
    organizer is known, the meeting itself speaks, then the calendar event with the lowest id, so that the answer does
    not depend on arrival.
    """
    apart = {item.field for item in mapping.inputs if item.per_calendar}
    by_calendar: dict[str, _Spoken] = {"": {}}
    for text, stamped in fields.items():
        name = FieldName.parse(text)
        if name.field in apart:
            by_calendar.setdefault(name.calendar, {})[name._replace(calendar="")] = stamped
        else:
            by_calendar[""][name] = stamped
    said = {calendar: _joined(spoken, mapping) for calendar, spoken in by_calendar.items()}
    values = said.pop("")
    ordered = sorted(said, key=lambda calendar: (len(calendar), calendar))
    organizers = [calendar for calendar in ordered if said[calendar].get("is_organizer") is True]
    for spoken in (item.field for item in mapping.inputs if item.per_calendar):
        speaker = next((calendar for calendar in organizers or ordered if spoken in said[calendar]), None)
        if speaker is None:
            continue
        own, theirs = _spoke(spoken, by_calendar[""]), _spoke(spoken, by_calendar[speaker])
        if own is None or (organizers and theirs is not None and theirs >= own):
            values[spoken] = said[speaker][spoken]
    return values


def _is_word(name: FieldName, stamped: Stamped) -> bool:
    """Whether it was read from an attribute's words."""
    return bool(name.source) and isinstance(stamped.value, bool)


def _is_another_word(name: FieldName, stamped: Stamped) -> bool:
    """Whether the attribute holds a word that says nothing here: it takes back only what the same attribute said."""
    return _is_word(name, stamped) and not stamped.value


def _spoke(field: str, said: _Spoken) -> Stamp | None:
    """When `said` last spoke of `field`."""
    of_field = ((name, stamped) for name, stamped in said.items() if name.field == field)
    return max((stamped.stamp for name, stamped in of_field if not _is_another_word(name, stamped)), default=None)


def _joined(said: _Spoken, mapping: MappingFile) -> dict[str, Any]:
    """`said` without stamps, and with one value for what several sources said, each for itself.

    A word that says so makes a flag true, until the flag itself is said later. A word of something else leaves it as it
    is, and false where nothing else was said.

    The relationships that attendees are read from become one list. The mapping names them from the narrowest (the one
    prospect) to the whole list, and what the wider one said later stands alone. A narrower one that is named later
    adds to it: a delivery names only what changed.
    """
    values = {name.field: stamped.value for name, stamped in said.items() if name == FieldName(name.field)}
    for name, stamped in said.items():
        flag = said.get(FieldName(name.field))
        if _is_another_word(name, stamped):
            values.setdefault(name.field, False)
        elif _is_word(name, stamped) and (flag is None or stamped.stamp > flag.stamp):
            values[name.field] = True
    for item in mapping.inputs:
        if item.kind is not Kind.PROSPECT:
            continue
        lists = [said[name] for source in item.sources if (name := FieldName(item.field, source.name)) in said]
        current = [one for place, one in enumerate(lists) if all(one.stamp >= wider.stamp for wider in lists[place:])]
        if current:
            each_once = {(target["type"], target["id"]): target for one in current for target in one.value}
            values[item.field] = list(each_once.values())
    return values


def value_of(column: str, values: Mapping[str, Any], mapping: MappingFile) -> Any:
    """The value (see `collapse`) that feeds `column`; None where no event has named it."""
    return next((values.get(row.field) for row in mapping.rows if row.column == column), None)


def references(values: Mapping[str, Any], mapping: MappingFile, *, leave: Collection[str] = ()) -> frozenset[Reference]:
    """Every Outreach record whose Dynamics record is needed to map `values`, but for those of `creators`.

    `leave`: columns that are not asked for.
    """
    rows = (row for row in mapping.rows if not row.on_create and row.column not in leave)
    return frozenset().union(*(row.needs(values, mapping.rows) for row in rows))


def creators(values: Mapping[str, Any], mapping: MappingFile) -> frozenset[Reference]:
    """The users whose Dynamics record is needed with the create only."""
    return frozenset().union(*(row.needs(values, mapping.rows) for row in mapping.rows if row.on_create))


def made_of(values: Mapping[str, Any], mapping: MappingFile) -> dict[str, str]:
    """By column of people and records, a digest of what it is made of: the records that are named, and the mapping.

    While it is the same, the column is as it was when these records were last looked up.
    """
    rows = (row for row in mapping.rows if row.looks_up and not row.on_create)
    read = {row.column: {name: values.get(name) for name in row.reads(mapping.rows)} for row in rows}
    return {column: sha256(one_text([mapping.digest, of]).encode()).hexdigest()[:16] for column, of in read.items()}


def desired(
    values: Mapping[str, Any],
    *,
    mapping: MappingFile,
    people: People,
    policy: Policy,
    leave: Collection[str] = (),
) -> Desired:
    """The columns for `values` (see `collapse`).

    `people` need not hold the `creators`; then nobody is named as one. `leave`: columns that stay as they are, and
    whose people `people` need not hold either.
    """
    given = Given(values, mapping.rows, people, mapping.attendees, policy.zone, mapping.kinds)
    columns: dict[str, Any] = {}
    wishes: dict[str, Any] = {}
    organizer: Party | None = None
    invited: Mapping[Reference, CrmRecord | str] | None = None
    notes: list[str] = []
    links: list[str] = []
    for row in mapping.rows:
        if row.column in leave or (row.on_create and not row.needs(values, mapping.rows) <= people.keys()):
            continue
        part = row.part(given)
        (wishes if row.on_create else columns).update(part.columns)
        organizer = part.organizer or organizer
        invited = part.invited if row.column == PARTIES else invited
        notes += part.notes
        links += part.links
    notes += _keep_times(columns, values, mapping)
    notes += _keep_links(columns, links, mapping)
    state = _state(values, policy)
    if state is not None:
        columns[STATE] = state
    unresolved = frozenset(reference for reference, person in people.items() if not person.records)
    return Desired(
        columns,
        wishes.get(CreatedOnRow.only),
        wishes.get(CreatedByRow.only),
        tuple(notes),
        unresolved,
        organizer,
        invited,
    )


def _keep_times(columns: dict[str, Any], values: Mapping[str, Any], mapping: MappingFile) -> list[str]:
    """Take both times out of `columns` where one is impossible: alone, one could move to the wrong side of the other.

    Returns what people should know of it.
    """
    start, end = columns.get("scheduledstart"), columns.get("scheduledend")
    impossible = [name for name in TIMES if name not in columns and value_of(name, values, mapping) is not None]
    if not impossible and not (start and end and end < start):
        return []
    for name in TIMES:
        columns.pop(name, None)
    return (
        [] if impossible else ["The meeting ends before it starts, which Dynamics refuses: its times stay as they are."]
    )


def _keep_links(columns: dict[str, Any], links: Collection[str], mapping: MappingFile) -> list[str]:
    """Put links that were cut off into the description. Returns what people should know of it."""
    row = next((row for row in mapping.rows if row.column == "description"), None)
    if row is None or not links:
        return []
    columns["description"] = with_links(columns.get("description") or "", links, row.max_length)
    return ["A link that did not fit stands in the description."]


def fingerprint(value: object) -> str:
    """A short text that is equal exactly when the column value is: a long text is remembered by its digest."""
    text = one_text(plain(value))
    if len(text) <= _LONGEST_PLAIN_FINGERPRINT:
        return text
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def plain(value: Any) -> Any:
    """A column's value as plain JSON: parties by their text."""
    return [str(item) for item in value] if isinstance(value, list) else value


def _state(values: Mapping[str, Any], policy: Policy) -> str | None:
    """Held beats called off; `None` while no event has spoken of either."""
    if not any(name in values for name in LIFECYCLE_FIELDS):
        return None
    if values.get("completed") and policy.on_complete == "complete":
        return "completed"
    off = any(values.get(name) for name in ("canceled", "declined", "destroyed"))
    return "canceled" if off and policy.on_cancel == "cancel" else "open"

"""From merged fields to the appointment's columns, with the values that Dynamics should have.

Column values are plain JSON of our own: a lookup is `table:guid`, the state one of `open`, `completed`, `canceled`.
Only the activity parties are a type, in a list sorted by their text. `odata.py` turns all into what goes over the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import sha256
from typing import Any, Literal

from shared.errors import Unmappable
from shared.meeting.delivery import Reference
from shared.meeting.mapping import LIFECYCLE_FIELDS, MappingFile, Row
from shared.meeting.merge import Fields, Stamp, Stamped, canonical
from shared.meeting.patch import FieldName
from shared.meeting.people import CrmRecord, Party, People, Person, Role
from shared.timestamps import is_day, parse_time, whole_seconds

PARTIES = "appointment_activity_parties"
STATE = "statecode"
REGARDING = "regardingobjectid"
OWNER = "ownerid"

_LONGEST_PLAIN_FINGERPRINT = 200
_LAST_MINUTE = time(23, 59)
_MAX_ADDRESS = 320
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+")

_Told = dict[FieldName, Stamped]


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
    """The appointment as Outreach wants it. Only columns that some event named are in `columns`."""

    columns: Mapping[str, Any]
    created_on: str | None = None
    created_by: str | None = None
    notes: tuple[str, ...] = ()


def collapse(fields: Fields, mapping: MappingFile) -> dict[str, Any]:
    """Field values without stamps, and one value for what each calendar said for itself.

    Where the organizer's calendar is known it speaks for the meeting, and no other: a guest who declines or deletes
    their copy calls nothing off. What the meeting itself said later stands (a row of an export, say). Where no
    organizer is known, the meeting itself speaks, then the calendar event with the lowest id, so that the answer does
    not depend on arrival.
    """
    apart = {item.field for item in mapping.inputs if item.per_calendar}
    told: dict[str, _Told] = {"": {}}
    for text, stamped in fields.items():
        name = FieldName.parse(text)
        if name.field in apart:
            told.setdefault(name.calendar, {})[name._replace(calendar="")] = stamped
        else:
            told[""][name] = stamped
    said = {calendar: _joined(spoken, mapping) for calendar, spoken in told.items()}
    values = said.pop("")
    ordered = sorted(said, key=lambda calendar: (len(calendar), calendar))
    organizers = [calendar for calendar in ordered if said[calendar].get("is_organizer") is True]
    for field in (item.field for item in mapping.inputs if item.per_calendar):
        speaker = next((calendar for calendar in organizers or ordered if field in said[calendar]), None)
        if speaker is None:
            continue
        own, theirs = _spoke(field, told[""]), _spoke(field, told[speaker])
        if own is None or (organizers and theirs is not None and theirs >= own):
            values[field] = said[speaker][field]
    return values


def _is_word(name: FieldName, stamped: Stamped) -> bool:
    """Whether it was read from an attribute's words."""
    return bool(name.source) and isinstance(stamped.value, bool)


def _is_another_word(name: FieldName, stamped: Stamped) -> bool:
    """Whether the attribute holds a word that says nothing here: it takes back only what the same attribute said."""
    return _is_word(name, stamped) and not stamped.value


def _spoke(field: str, said: _Told) -> Stamp | None:
    """When `said` last spoke of `field`."""
    of_field = ((name, stamped) for name, stamped in said.items() if name.field == field)
    return max((stamped.stamp for name, stamped in of_field if not _is_another_word(name, stamped)), default=None)


def _joined(said: _Told, mapping: MappingFile) -> dict[str, Any]:
    """`said` without stamps, and with one value for what several sources said, each for itself.

    A word that says so makes a flag true, until the flag itself is told later. A word of something else leaves it as it
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
        if item.kind != "prospect":
            continue
        told = [said[name] for source in item.sources if (name := FieldName(item.field, source.name)) in said]
        standing = [one for place, one in enumerate(told) if all(one.stamp >= wider.stamp for wider in told[place:])]
        if standing:
            each_once = {(target["type"], target["id"]): target for one in standing for target in one.value}
            values[item.field] = list(each_once.values())
    return values


def value_of(column: str, values: Mapping[str, Any], mapping: MappingFile) -> Any:
    """The value (see `collapse`) that feeds `column`; None where no event has named it."""
    return next((values.get(row.field) for row in mapping.rows if row.column == column), None)


def references(values: Mapping[str, Any], mapping: MappingFile) -> frozenset[Reference]:
    """Every Outreach record whose Dynamics record is needed to map `values`, but for the booker: see `creators`."""
    kinds = {"user", "prospect", "opportunity"}
    rows = [row for row in mapping.rows if row.kind in kinds and row.transform != "created_by"]
    return frozenset(reference for row in rows for reference in _targets(values, row.field))


def creators(values: Mapping[str, Any], mapping: MappingFile) -> frozenset[Reference]:
    """The users whose Dynamics record is needed with the create only."""
    rows = [row for row in mapping.rows if row.transform == "created_by"]
    targets = (target for row in rows for target in _targets(values, row.field))
    return frozenset(target for target in targets if target.type != "prospect")


def desired(values: Mapping[str, Any], *, mapping: MappingFile, people: People, policy: Policy) -> Desired:
    """The columns for `values` (see `collapse`). Raises `Unmappable` for what no appointment can be.

    `people` need not hold the `creators`; then nobody is named as one.
    """
    columns: dict[str, Any] = {}
    notes: list[str] = []
    for row in mapping.rows:
        if row.field in values and row.transform in {"text", "boolean", "instant", "start", "end"}:
            columns[row.column] = _plain(row, values, mapping, policy)
    start, end = columns.get("scheduledstart"), columns.get("scheduledend")
    if start and end and end < start:
        raise Unmappable("end_before_start", "The meeting ends before it starts; Dynamics refuses that.")
    _people_columns(values, mapping, people, columns, notes)
    state = _state(values, policy)
    if state is not None:
        columns[STATE] = state
    created_on = created_by = None
    for row in mapping.rows:
        if row.transform == "created_on" and values.get(row.field):
            created_on = _plain(row, values, mapping, policy)
        elif row.transform == "created_by" and creators(values, mapping) <= people.keys():
            booker = _user(values, row, people, notes)
            created_by = booker.id if booker else None
    return Desired(columns, created_on, created_by, tuple(notes))


def fingerprint(value: object) -> str:
    """A short text that is equal exactly when the column value is: a long text is remembered by its digest."""
    text = canonical(plain(value))
    if len(text) <= _LONGEST_PLAIN_FINGERPRINT:
        return text
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def plain(value: Any) -> Any:
    """A column's value as plain JSON: parties by their text."""
    return [str(item) for item in value] if isinstance(value, list) else value


def _targets(values: Mapping[str, Any], field: str) -> tuple[Reference, ...]:
    return tuple(Reference(target["type"], target["id"]) for target in values.get(field) or ())


def _plain(row: Row, values: Mapping[str, Any], mapping: MappingFile, policy: Policy) -> Any:
    value = values[row.field]
    if value is None or row.transform == "boolean":
        return value
    if row.transform == "text":
        return _text(value, row.max_length)
    try:
        if row.transform in {"start", "end"} and value_of("isalldayevent", values, mapping) is True:
            return whole_seconds(datetime.combine(_day(row, values, mapping, policy), time(), tzinfo=policy.zone))
        return _utc_seconds(value, policy.zone)
    except OverflowError as error:
        raise Unmappable("time_out_of_range", f"{row.field}: no calendar has such a day.") from error


def _day(row: Row, values: Mapping[str, Any], mapping: MappingFile, policy: Policy) -> date:
    """The day on whose first midnight an all-day meeting starts or ends."""
    bound = _as_told(values[row.field], policy.zone)
    if row.transform == "start":
        return bound.date()
    # Dynamics wants the midnight after the last day; an end on the first day itself means one day.
    after = bound.date() + timedelta(days=bound.time() != time())
    start = value_of("scheduledstart", values, mapping)
    if not start:
        return after
    first = _as_told(start, policy.zone).date()
    return first + timedelta(days=max(_whole_days(start, values[row.field]) or (after - first).days, 1))


def _whole_days(start: str, end: str) -> int:
    """How many days lie between two instants, give or take an hour where clocks change; 0 where it is no whole number.

    Somebody in another zone begins and ends at midnights of their own, which are none in ours.
    """
    if is_day(start) != is_day(end):
        return 0
    length = parse_time(end) - parse_time(start)
    days = round(length / timedelta(days=1))
    return days if abs(length - timedelta(days=days)) <= timedelta(hours=1) else 0


def _as_told(value: str, zone: tzinfo) -> datetime:
    """An all-day bound on the clock that it is a day of: its own where that is at midnight or in the minute before."""
    moment = parse_time(value)
    return moment if moment.time() == time() or moment.time() >= _LAST_MINUTE else moment.astimezone(zone)


def _text(value: str, max_length: int | None) -> str:
    """`value` as Dataverse takes it: without characters that XML has no place for, cut where a column ends.

    Dataverse refuses control characters (0x80040278) and counts UTF-16 code units, of which an emoji has two.
    """
    clean = _NO_XML.sub("", value)
    if max_length is None or len(clean) * 2 <= max_length:
        return clean
    return clean.encode("utf-16-le")[: max_length * 2].decode("utf-16-le", "ignore")


def _utc_seconds(value: str, zone: tzinfo) -> str:
    moment = parse_time(value)
    return whole_seconds(moment.replace(tzinfo=zone) if is_day(value) else moment)


def _people_columns(
    values: Mapping[str, Any], mapping: MappingFile, people: People, columns: dict[str, Any], notes: list[str]
) -> None:
    """Owner, activity parties and regarding: the three columns that need to know who somebody is in Dynamics."""
    parties: set[Party] = set()
    asked = False
    attendees: list[CrmRecord | str] | None = None
    for row in mapping.rows:
        if row.field not in values:
            continue
        if row.transform == "owner":
            asked = True
            owner = _user(values, row, people, notes)
            if owner:
                columns[row.column] = str(owner)
                parties.add(Party(Role.ORGANIZER, owner))
        elif row.transform == "attendees":
            asked = True
            found = (_attendee(people[target], target, mapping, notes) for target in _targets(values, row.field))
            attendees = [who for who in found if who]
            parties |= {Party(Role.REQUIRED, who) for who in attendees}
    if asked:
        columns[PARTIES] = sorted(parties, key=str)
    _regarding(values, mapping, people, attendees, columns, notes)


def _attendee(person: Person, target: Reference, mapping: MappingFile, notes: list[str]) -> CrmRecord | str | None:
    for table in mapping.attendees.order:
        if record := person.record(table):
            return record
    if mapping.attendees.unresolved == "address" and person.email and is_address(person.email):
        notes.append(f"{target.type} {target.id} is nobody in Dynamics; invited by address.")
        return person.email.lower()
    notes.append(f"{target.type} {target.id} is nobody in Dynamics; left out.")
    return None


def _regarding(
    values: Mapping[str, Any],
    mapping: MappingFile,
    people: People,
    attendees: list[CrmRecord | str] | None,
    columns: dict[str, Any],
    notes: list[str],
) -> None:
    """The opportunity, else the first attendee with a record (`attendees`: None where no event named any)."""
    row = next((row for row in mapping.rows if row.transform == "regarding"), None)
    if row is None:
        return
    for target in _targets(values, row.field):
        if record := people[target].record("opportunity"):
            columns[row.column] = str(record)
            return
        notes.append(f"opportunity {target.id} is not known in Dynamics.")
    if attendees is not None or row.field in values:
        columns[row.column] = next((str(who) for who in attendees or () if isinstance(who, CrmRecord)), None)


def _user(values: Mapping[str, Any], row: Row, people: People, notes: list[str]) -> CrmRecord | None:
    """The systemuser of a row that names a user; a booker may be a prospect, and then there is none."""
    for target in _targets(values, row.field):
        if target.type == "prospect":
            notes.append(f"{row.row}: a prospect booked; Dynamics knows no user for it.")
            return None
        if record := people[target].record("systemuser"):
            return record
        notes.append(f"{row.row}: user {target.id} is no user in Dynamics.")
    return None


def _state(values: Mapping[str, Any], policy: Policy) -> str | None:
    """Held beats called off; `None` while no event has spoken of either."""
    if not any(name in values for name in LIFECYCLE_FIELDS):
        return None
    if values.get("completed") and policy.on_complete == "complete":
        return "completed"
    off = any(values.get(name) for name in ("canceled", "declined", "destroyed"))
    return "canceled" if off and policy.on_cancel == "cancel" else "open"


def is_address(text: str) -> bool:
    """Whether `text` can be an e-mail address: enough to keep nonsense and header tricks out of Dynamics."""
    return len(text) <= _MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None

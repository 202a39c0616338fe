"""Adopting: the appointment that already is a meeting, made by another tool, by a person or by Outlook, is taken over.

How it is looked for, which one of those found is meant, what stays in it and what is filled. All of it is pure;
`apply.py` asks and writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from shared.meeting.appointment import Desired, fingerprint, value_of
from shared.meeting.mapping import ICAL_UID, MappingFile
from shared.meeting.mirror import Actual, Mirror, TakenOver
from shared.meeting.transforms import ORGANIZER, OWNER, PARTIES, STATE, TIMES, CreatedOnRow
from shared.timestamps import parse_time

# What Outlook and server-side sync carry between a calendar and its appointment.
# https://learn.microsoft.com/power-platform/admin/field-level-sync-for-appointments-contacts-tasks
OUTLOOKS = frozenset({"subject", "location", "description", "isalldayevent", *TIMES, OWNER, ORGANIZER, PARTIES})

# The global object id: MS-OXCICAL 2.1.3.1.1.20.26, MS-ASEMAIL 3.1.4.7.
_HEADER = "040000008200E00074C5B7101A82E008"
_DATE = slice(len(_HEADER), len(_HEADER) + 8)
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class Search:
    """What the appointment of a meeting is known by.

    global_ids  forms of the iCal id in which Outlook keeps it, in upper case; any of them will do
    same        columns that all have to be equal, as Dynamics compares; empty: the meeting is not known by them
    """

    global_ids: tuple[str, ...] = ()
    same: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An appointment that a search found: as it is now, its global object id, and who made it when (a user's id)."""

    appointment_id: str
    actual: Actual
    global_id: str = ""
    made_by: str = ""
    made_on: str = ""


def search(values: Mapping[str, Any], columns: Mapping[str, Any], mapping: MappingFile) -> Search | None:
    """How to look for the appointment of a meeting with these `values` (see `collapse`) and `columns`.

    None: the mapping does not say so for this meeting, or too little is known of it.
    """
    if not _is_looked_for(values, mapping):
        return None
    uid = values.get(ICAL_UID)
    ids = global_object_ids(uid, columns.get(TIMES[0])) if isinstance(uid, str) else ()
    owner, subject = columns.get(OWNER) or "", columns.get("subject")
    times = [columns.get(name) for name in TIMES]
    same = None
    if owner.startswith("systemuser:") and subject and all(times):
        same = {OWNER: owner, "subject": subject, **{name: columns[name] for name in TIMES}}
    return Search(ids, same) if ids or same else None


def _is_looked_for(values: Mapping[str, Any], mapping: MappingFile) -> bool:
    existing = mapping.existing
    if existing.adopt != "booked_before":
        return existing.adopt == "always"
    booked = value_of(CreatedOnRow.only, values, mapping)
    # A meeting that was first heard of by a change was booked before anybody listened.
    return booked is None or existing.booked_before is None or parse_time(booked) < parse_time(existing.booked_before)


def global_object_ids(uid: str, start: str | None = None) -> tuple[str, ...]:
    """The forms in which Outlook may keep an iCal id, in upper case: as it stands, and wrapped where it is another's.

    An id of Outlook's own carries the day of one occurrence, which is zero for the series: `start` (sortable) gives the
    day, in the organizer's zone, so those before and after it count too.
    """
    plain = uid.strip().upper()
    if not plain:
        return ()
    if plain.startswith(_HEADER):
        days = [f"{day.year:04X}{day.month:02X}{day.day:02X}" for day in _around(start)]
        own = [plain[: _DATE.start] + day + plain[_DATE.stop :] for day in ("0" * 8, *days)]
        return tuple(dict.fromkeys([plain, *own]))
    data = _FOREIGN + uid.strip().encode("utf-8", "surrogatepass") + b"\0"
    wrapped = _HEADER + "0" * 40 + len(data).to_bytes(4, "little").hex() + data.hex()
    return plain, wrapped.upper()


def _around(start: str | None) -> list[date]:
    if not start:
        return []
    day = parse_time(start).date()
    return [day + timedelta(days=by) for by in (-1, 0, 1)]


def in_order(found: Collection[Candidate], wanted: Search) -> list[Candidate]:
    """`found`, the likeliest first: by its iCal id, at the same time, and then the one that was there first."""
    times = {name: value for name, value in (wanted.same or {}).items() if name in TIMES}

    def rank(one: Candidate) -> tuple[bool, bool, str, str]:
        other_id = one.global_id.upper() not in wanted.global_ids
        other_time = any(one.actual.columns.get(name) != value for name, value in times.items())
        return other_id, other_time, one.made_on, one.appointment_id

    return sorted(found, key=rank)


@dataclass(frozen=True, slots=True)
class Taking:
    """What taking over a candidate means, by columns and the fingerprints of what Outreach has in them.

    `kept`: something else is there, and stays; `same`: that very value is there; `filling`: nothing is.
    """

    taken: TakenOver
    kept: Mapping[str, str]
    same: Mapping[str, str]
    filling: Mapping[str, str]


def taking(candidate: Candidate, want: Desired) -> Taking:
    """What becomes of the columns of `want` in the appointment. Attendees are united, and the state is Outreach's."""
    there = candidate.actual.columns
    taken = TakenOver(candidate.made_by, candidate.made_on, tracked=bool(candidate.global_id))
    kept, same, filling = {}, {}, {}
    for name, value in spared(want, taken).columns.items():
        if name in {PARTIES, STATE} or name not in there:
            continue
        if there[name] == value:
            same[name] = fingerprint(value)
        elif is_empty(there[name]):
            filling[name] = fingerprint(value)
        else:
            kept[name] = fingerprint(value)
    return Taking(taken, kept, same, filling)


def is_empty(value: object) -> bool:
    """Whether a column holds nothing that anybody wrote."""
    return value is None or value == ""


def spared(want: Desired, taken: TakenOver | None) -> Desired:
    """`want` without what Outlook carries, where Outlook tracks the appointment that was taken over."""
    if taken is None or not taken.tracked:
        return want
    return want.without(OUTLOOKS)


def not_filled(mirror: Mirror, actual: Actual) -> dict[str, str]:
    """The columns that were to be filled when it was taken over, and that somebody has filled otherwise since."""
    return {
        name: value
        for name, value in mirror.filling.items()
        if not is_empty(actual.columns.get(name)) and fingerprint(actual.columns[name]) != value
    }


def in_words(appointment_id: str, taken: TakenOver) -> str:
    """That it was taken over, for people."""
    made = f", made by user {taken.made_by}" if taken.made_by else ""
    made += f" on {taken.made_on}" if taken.made_on else ""
    outlooks = " Outlook tracks it: what Outlook carries stays as it is there." if taken.tracked else ""
    return f"Took over appointment {appointment_id}{made}.{outlooks}"


def kept_in_words(names: Collection[str]) -> str:
    """That these columns keep what they hold, for people."""
    return (
        f"{', '.join(sorted(names))} already {'holds' if len(names) == 1 else 'hold'} something else there, and "
        f"{'stays' if len(names) == 1 else 'stay'} so until it changes in Outreach."
    )

"""From when on a meeting's time counts, after which it is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.meeting.appointment import collapse, value_of
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Meeting
from shared.timestamps import parse_time

# Earlier and later ends are how programs write that they know none. The first year is that of calendars in Dynamics;
# nobody books a meeting that ends so long after its last event.
_FIRST_YEAR = 1753
_FURTHEST = timedelta(days=3 * 366)


def counts_from(meeting: Meeting, mapping: MappingFile) -> datetime | None:
    """The meeting's end; without one that can be true its last event. None: nothing could be forgotten.

    While something of it is under way, or waits for a person, its last event counts where that is later.
    """
    if meeting == meeting.forget():
        return None
    end = _moment(value_of("scheduledend", collapse(meeting.facts, mapping), mapping))
    last = max(filter(None, map(_moment, _events(meeting))), default=None)
    if end is not None and (end.year < _FIRST_YEAR or (last is not None and end - last > _FURTHEST)):
        end = None  # it would be forgotten at once, or never
    under_way = meeting.unsettled or meeting.mirror.doubt or any(one.outcome.comes_again for one in meeting.recent)
    known = [moment for moment in ([end, last] if under_way else [end or last]) if moment is not None]
    return max(known, default=None)


def _events(meeting: Meeting) -> list[str]:
    return [one.received_at for one in meeting.recent] + [one.stamp.changed for one in meeting.facts.values()]


def _moment(text: object) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None

"""Records that turn out to be one meeting: which row counts for a record, and what the others have brought to it.

One meeting has a calendar event per synced calendar, and only some deliveries name the meeting; a task names the one or
the other. So the row of a record may point to another, which may point on. What such a row has gathered by then, an
appointment included, is the meeting's, and every later event of it goes there.

A row that points takes nothing more. So it is enough to fold it in once, whoever saves the meeting's row next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.errors import LostRace
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting
from shared.meeting.ports import Meetings, Stored


@dataclass(frozen=True, slots=True)
class Found:
    """The row that counts for a record, as it is stored, and the meeting with all that its aliases brought."""

    stored: Stored
    meeting: Meeting

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the record."""
        return self.meeting != Meeting()


async def canonical(key: MeetingKey, meetings: Meetings) -> Found:
    """The meeting that `key` turned out to be, along any chain of aliases."""
    passed: dict[MeetingKey, Meeting] = {}
    stored = await meetings.load(key)
    while stored.meeting is not None and stored.meeting.aliases.meeting is not None:
        passed[stored.key] = stored.meeting
        following = stored.meeting.aliases.meeting
        if following in passed:
            # Two deliveries each took the other's record for the meeting; whoever comes by chooses the same one.
            following = _chosen(passed, following)
            stored = await meetings.load(following)
            break
        stored = await meetings.load(following)
    return Found(stored, _whole(stored, passed))


async def is_alias(key: MeetingKey, meetings: Meetings) -> bool:
    """Whether this record turned out to be another one's."""
    return (await canonical(key, meetings)).stored.key != key


async def with_alias(
    found: Found, alias: MeetingKey, *, meetings: Meetings, finish: Callable[[MeetingKey], Awaitable[bool]]
) -> Found:
    """`found` with all that `alias` brings, whose row points to it from now on. A link that exists stays as it is.

    The order matters: first the alias' row stops taking anything, then the meeting takes it in. The other way round, a
    worker at the alias' row could write to the appointment after the meeting had taken it over.

    `finish` makes the appointment that somebody had begun to make for `alias`, and says whether it did anything: one
    that may or may not come to be can neither be taken over nor be called off. Raises `LostRace`.
    """
    if alias == found.stored.key or alias in found.meeting.aliases.known:
        return found
    row = await meetings.load(alias)
    own = row.meeting or Meeting()
    if own.aliases.meeting is not None:
        elsewhere = await canonical(alias, meetings)
        if elsewhere.stored.key == found.stored.key:
            return elsewhere
        return replace(found, meeting=found.meeting.know(alias))
    if own.mirror.being_made and await finish(alias):
        raise LostRace
    pointing = own.become(found.stored.key)
    await meetings.save(row, pointing)
    return replace(found, meeting=found.meeting.absorb(alias, pointing))


def _chosen(passed: dict[MeetingKey, Meeting], following: MeetingKey) -> MeetingKey:
    """The one that counts of a ring of aliases that `following` closes: a meeting if there is one, else the lowest."""
    names = list(passed)
    return min(names[names.index(following) :], key=lambda key: (key.resource != "meeting", key))


def _whole(stored: Stored, passed: dict[MeetingKey, Meeting]) -> Meeting:
    """The meeting in `stored` with what those that point to it have brought, the nearest first: it knows the others."""
    names = list(passed)
    if stored.key in passed:
        at = names.index(stored.key)
        names = names[at + 1 :] + names[:at]
    meeting = stored.meeting or Meeting()
    meeting = replace(meeting, aliases=replace(meeting.aliases, meeting=None))
    for name in reversed(names):
        meeting = meeting.absorb(name, passed[name])
    return meeting

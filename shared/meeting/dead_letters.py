"""Dead letters and the row of their meeting: it knows that there are some until a good event has carried them out.

What an event said outlives its failure where it was merged: the next event of the meeting that ends well has written it
too, and its dead letter has nothing left to ask of anybody. `tests/simulation` shows what breaks without the two rules.

1. Who files a dead letter saves the meeting's row *after* it, always: nobody knows that version who may not have seen
   the dead letter.
2. Who clears dead letters looks for them first, and then whether the row is still as it was left. If it is, everything
   that was merged has been written; and if it still is when the row is saved so, there are no other dead letters.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shared.errors import RowConflict, Transient
from shared.meeting.aliases import canonical
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Meeting, Recent
from shared.meeting.ports import DeadLetters, L, Meetings, Stored

MAX_ROUNDS = 12

# What an admin can do about a write that was begun, and whose event was let go.
LEFT_IN_DOUBT_ADVICE = (
    "A write was begun, its event became a dead letter, and that was let go: nothing is being done about it. The next "
    "event of the meeting writes what is in doubt. To have it written now: POST /api/meetings/{meetingId}/write."
)


def filed_under(key: MeetingKey, meeting: Meeting) -> list[str]:
    """What dead letters of a meeting may be filed under."""
    return list(map(str, [key, *sorted(meeting.aliases.known)]))


async def record_dead_letter(
    key: MeetingKey, *, meetings: Meetings, new_appointment_id: Callable[[MeetingKey], str]
) -> None:
    """Save the row of the meeting that `key` turned out to be, after a dead letter was filed. Raises `Transient`."""
    for _ in range(MAX_ROUNDS):
        found = await canonical(key, meetings)
        known = found.meeting.choose_appointment(new_appointment_id(found.stored.key))
        with suppress(RowConflict):
            await meetings.save(found.stored, replace(known, unsettled=True))
            return
    raise Transient("Many events of this meeting at once; this one tries again.", service="storage")


async def record_end(event: Recent, key: MeetingKey, *, meetings: Meetings) -> None:
    """Say in the meeting's time line that the dead letter of `event` was let go, and why. Raises `RowConflict`.

    Of a meeting that was forgotten nothing is said: nothing but its ids is to stay.
    """
    found = await canonical(key, meetings)
    meeting = found.stored.meeting
    if meeting is not None and meeting != meeting.forget():
        await meetings.save(found.stored, meeting.record(event))


async def clear_dead_letters(left: Stored, *, meetings: Meetings, dead_letters: DeadLetters[L]) -> None:
    """Remove the dead letters that an event has carried out which left the meeting's row as `left`.

    Where the row has changed since, a dead letter may be about the change; the next event that ends well sees to them.
    """
    if left.meeting is None or not left.meeting.unsettled:
        return
    found = await dead_letters.of_meetings(filed_under(left.key, left.meeting))
    if (await meetings.load(left.key)).version != left.version:
        return
    carried_out = [dead_letter for dead_letter in found if dead_letter.merged]
    for dead_letter in carried_out:
        await dead_letters.remove(dead_letter)
    if len(carried_out) == len(found):
        with suppress(RowConflict):
            await meetings.save(left, replace(left.meeting, unsettled=False))

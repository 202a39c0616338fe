"""Dead letters and the row of their meeting: it knows that there are some until a good event has carried them out.

What an event said outlives its failure where it was merged: the next event of the meeting that ends well has written it
too, and its letter has nothing left to ask of anybody. `tests/simulation` shows what breaks without the two rules.

1. Who files a letter saves the meeting's row *after* it, always: nobody knows that version who may not have seen the
   letter.
2. Who clears letters looks for them first, and then whether the row is still as it was left. If it is, everything that
   was merged has been written; and if it still is when the row is told so, there are no other letters.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from shared.errors import RowConflict, Transient
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import MeetingState
from shared.meeting.ports import Letters, Meetings

MAX_ROUNDS = 12


async def note_letter(key: MeetingKey, *, meetings: Meetings, new_appointment_id: str) -> None:
    """Tell the row of `key`, or of the meeting that it belongs to, that a letter was filed. Raises `Transient`."""
    for _ in range(MAX_ROUNDS):
        state, version = await meetings.load(key)
        if state is not None and state.moved_to:
            key = MeetingKey.parse(state.moved_to)
            continue
        state = state or MeetingState({}, new_appointment_id)
        with suppress(RowConflict):
            await meetings.save(key, replace(state, unsettled=True), version=version)
            return
    raise Transient("Many events of this meeting at once; this one tries again.", service="storage")


async def clear_letters(
    key: MeetingKey, left: MeetingState, version: str | None, *, meetings: Meetings, letters: Letters
) -> None:
    """Remove the letters of a meeting that an event has carried out which left its row as `left` and `version`.

    Where the row has changed since, a letter may be about the change; the next event that ends well sees to them.
    """
    found = await letters.of_meetings([str(key), *sorted(left.copies)])
    _, now = await meetings.load(key)
    if now != version:
        return
    carried_out = [letter for letter in found if letter["merged"]]
    for letter in carried_out:
        await letters.remove(letter)
    if len(carried_out) == len(found):
        with suppress(RowConflict):
            await meetings.save(key, replace(left, unsettled=False), version=version)

"""A calendar event that turns out to belong to a meeting: its row is folded into the meeting's and points there.

One meeting has a calendar event per synced calendar, and only some deliveries name the meeting. What a calendar
event's row has gathered by then, an appointment included, moves over; from then on every event of it goes to the
meeting's row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.errors import RowConflict, Transient
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import MeetingState
from shared.meeting.merge import merge
from shared.meeting.ports import Meetings

MAX_ROUNDS = 12


async def link(
    copy: MeetingKey,
    to: MeetingKey,
    *,
    meetings: Meetings,
    new_appointment_id: str,
    finish: Callable[[MeetingKey], Awaitable[None]],
) -> None:
    """Make `copy` point to `to`, and let `to` take in what the row of `copy` holds. A link that exists stays as it is.

    The order matters: first the copy's row stops taking anything, then the meeting takes it in, once, and notes that it
    has. The other way round, a worker at the copy's row could write to the appointment after the meeting had taken it
    over. Whoever finds a copy that points somewhere calls this again, so a crash in between leaves nothing behind.

    `finish` makes the appointment that somebody had begun to make for `copy`: one that may or may not come to be can
    neither be taken over nor be called off. Raises `Transient` where others keep changing the rows.
    """
    finished = False
    for _ in range(MAX_ROUNDS):
        state, version = await meetings.load(copy)
        if state is not None and state.being_made and not (state.moved_to or finished):
            await finish(copy)
            finished = True
            continue
        try:
            moved = await _moved(copy, to, state, version, meetings)
            if moved.moved_to == str(to) and (moved.fields or moved.attempted or moved.unsettled):
                await _take_in(copy, moved, to, meetings=meetings, new_appointment_id=new_appointment_id)
        except RowConflict:
            continue
        return
    raise Transient("Many events of this calendar event at once; this one tries again.", service="storage")


async def _moved(
    copy: MeetingKey, to: MeetingKey, state: MeetingState | None, version: str | None, meetings: Meetings
) -> MeetingState:
    """The row of `copy` as it will stay: pointing to `to`, or to where it pointed already."""
    if state is not None and state.moved_to:
        return state
    moved = replace(state or MeetingState({}, ""), moved_to=str(to), parked="")
    await meetings.save(copy, moved, version=version)
    return moved


async def _take_in(
    copy: MeetingKey, moved: MeetingState, to: MeetingKey, *, meetings: Meetings, new_appointment_id: str
) -> None:
    target, version = await meetings.load(to)
    target = target or MeetingState({}, new_appointment_id)
    if str(copy) not in target.copies:
        folded = replace(_fold(target, moved), copies=target.copies | moved.copies | {str(copy)})
        await meetings.save(to, folded, version=version)


def _fold(target: MeetingState, copy: MeetingState) -> MeetingState:
    """`target` with the fields of `copy`, and with its appointment unless `target` has one of its own.

    Either way the appointment may lack something, and the event that brought the link may bring nothing else.
    """
    folded = replace(target, fields=merge(target.fields, copy.fields).fields, unsettled=True)
    if not copy.attempted:
        # Who deleted the only appointment there was meant the meeting.
        return replace(folded, gone=target.gone or (copy.gone and not target.attempted))
    if target.attempted:
        return replace(folded, spare=target.spare | {copy.appointment_id})
    return replace(
        folded,
        appointment_id=copy.appointment_id,
        applied=copy.applied,
        doubt=copy.doubt,
        crm_version=copy.crm_version,
        closed_as=copy.closed_as,
        parties=copy.parties,
        gone=False,
        recent=(*copy.recent, *target.recent),
    )

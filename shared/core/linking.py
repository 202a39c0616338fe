"""A calendar event that turns out to belong to a meeting: its row is folded into the meeting's and points there.

One meeting has a calendar event per synced calendar, and only some deliveries name the meeting. What a calendar
event's row has gathered by then, an appointment included, moves over; from then on every event of it goes to the
meeting's row.
"""

from __future__ import annotations

from dataclasses import replace

from shared.core.errors import RowConflict, Transient
from shared.core.identity import MeetingKey
from shared.core.meeting import MeetingState
from shared.core.merge import merge
from shared.core.ports import Meetings

MAX_ROUNDS = 12


async def link(copy: MeetingKey, to: MeetingKey, *, meetings: Meetings, new_appointment_id: str) -> None:
    """Make `copy` point to `to`, folding in first what its row holds. A link that exists stays as it is.

    The order matters: the meeting has the fields before the copy's row stops taking any, so a crash in between only
    folds them again, which changes nothing. Raises `Transient` where others keep changing the rows.
    """
    for _ in range(MAX_ROUNDS):
        state, version = await meetings.load(copy)
        if state is not None and state.moved_to:
            return
        try:
            if state is not None and (state.fields or state.attempted):
                target, target_version = await meetings.load(to)
                folded = _fold(target or MeetingState({}, new_appointment_id), state)
                if folded != target:
                    await meetings.save(to, folded, version=target_version)
            moved = replace(state or MeetingState({}, ""), moved_to=str(to), parked="")
            await meetings.save(copy, moved, version=version)
        except RowConflict:
            continue
        return
    raise Transient("Many events of this calendar event at once; this one tries again.", service="storage")


def _fold(target: MeetingState, copy: MeetingState) -> MeetingState:
    """`target` with the fields of `copy`, and with its appointment unless `target` has one of its own."""
    folded = replace(target, fields=merge(target.fields, copy.fields).fields)
    if target.attempted or not copy.attempted:
        return folded
    return replace(
        folded,
        appointment_id=copy.appointment_id,
        applied=copy.applied,
        doubt=copy.doubt,
        crm_version=copy.crm_version,
        closed_as=copy.closed_as,
        parties=copy.parties,
        recent=(*copy.recent, *target.recent),
    )

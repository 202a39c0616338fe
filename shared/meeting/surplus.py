"""Second appointments of a meeting: two in the calendar would be one too many."""

from __future__ import annotations

from shared.errors import LostRace
from shared.meeting.appointment import Policy
from shared.meeting.mirror import CANCELED
from shared.meeting.ports import FenceRefused, Ports, Stored, TargetMissing

_WHY = "it was made before two records of Outreach turned out to be one meeting"


async def withdraw(stored: Stored, *, policy: Policy, ports: Ports, notes: list[str]) -> Stored:
    """Cancel appointments that the meeting in `stored` does not need; `notes` gets a sentence for each.

    That comes last. What the event said is remembered and written by then, whatever Dynamics says to this. They are not
    deleted, because somebody may have written into them. Whoever still writes to one is refused. Raises `LostRace`.
    """
    meeting = stored.meeting
    if meeting is None or not (policy.pushing and policy.update):
        return stored
    for surplus in sorted(meeting.mirror.surplus):
        actual = await ports.appointments.read(surplus, ())
        there = actual if actual is not None and not actual.is_closed else None
        if there is not None and meeting.mirror.deleted:
            # Whoever deleted one of two wanted one.
            await ports.meetings.save(stored, meeting.keep_surplus(surplus, there.version))
            raise LostRace
        if there is not None:
            try:
                await ports.appointments.set_state(surplus, CANCELED, version=there.version)
            except (FenceRefused, TargetMissing) as error:
                raise LostRace from error
        meeting = meeting.drop_surplus(surplus)
        stored = await ports.meetings.save(stored, meeting)
        if there is not None:
            notes.append(f"Canceled a second appointment of this meeting, {surplus}: {_WHY}.")
    return stored

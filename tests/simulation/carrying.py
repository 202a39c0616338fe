"""What a worker does with one event: as `shared.pipeline.worker.Sync`, but what fails is not tried again a second time."""

from __future__ import annotations

from shared.errors import Permanent, SyncError, Transient, Unmappable
from shared.meeting.apply import Outcome, apply
from shared.meeting.dead_letters import clear_dead_letters, record_dead_letter
from shared.meeting.decide import Rules
from shared.meeting.identity import MeetingKey
from tests.simulation.scenario import Event, Ports


async def carry_out(event: Event, rules: Rules, ports: Ports) -> Outcome | SyncError:
    """What came of the event; an error where it ended as a dead letter."""
    try:
        outcome = await apply(event.key, event.fields, rules=rules, ports=ports, alias=event.alias)
        await clear_dead_letters(outcome.stored, meetings=ports.meetings, dead_letters=ports.dead_letters)
    except (Unmappable, Permanent, Transient) as error:
        meeting = error.meeting or str(event.key)
        await ports.dead_letters.file(event.dead_letter, meeting, merged=error.merged)
        await record_dead_letter(
            MeetingKey.parse(meeting), meetings=ports.meetings, new_appointment_id=rules.new_appointment_id
        )
        return error
    return outcome

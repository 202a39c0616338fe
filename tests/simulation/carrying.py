"""What a worker does with one event: as `shared.pipeline.worker.Sync`, but what fails is not tried again a second time."""

from __future__ import annotations

from shared.errors import Permanent, SyncError, Transient, Unmappable
from shared.meeting.apply import Outcome, Rules, apply
from shared.meeting.dead_letters import clear_letters, note_letter
from shared.meeting.identity import MeetingKey
from tests.simulation.scenario import Event, Ports


async def carry_out(told: Event, rules: Rules, ports: Ports) -> Outcome | SyncError:
    """What came of the event; an error where it ended as a dead letter."""
    try:
        outcome = await apply(
            told.key,
            told.fields,
            rules=rules,
            meetings=ports.meetings,
            appointments=ports.appointments,
            directory=ports.directory,
            copy_of=told.copy_of,
        )
        if outcome.state is not None and outcome.state.unsettled:
            key = MeetingKey.parse(outcome.meeting)
            await clear_letters(key, outcome.state, outcome.version, meetings=ports.meetings, letters=ports.letters)
    except (Unmappable, Permanent, Transient) as error:
        meeting = error.meeting or str(told.key)
        await ports.letters.file(told.letter, meeting, merged=error.merged)
        await note_letter(
            MeetingKey.parse(meeting), meetings=ports.meetings, new_appointment_id=rules.new_appointment_id
        )
        return error
    return outcome

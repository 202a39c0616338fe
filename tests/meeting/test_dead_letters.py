"""Dead letters and the row of their meeting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from shared.errors import Transient
from shared.meeting.dead_letters import MAX_ROUNDS, clear_dead_letters, filed_under, record_dead_letter, record_end
from shared.meeting.meeting import Meeting, Recent
from shared.meeting.mirror import Mirror
from shared.meeting.outcome import OutcomeKind
from tests.meeting.rows import Rows, key

WRITTEN = Meeting(mirror=Mirror("a", version="1"))
CHAIN = {"task:2": Meeting().become(key("calendarEvent:17")), "calendarEvent:17": Meeting().become(key("meeting:5"))}


@dataclass(frozen=True)
class Filed:
    """A dead letter."""

    meeting: str
    merged: bool


class Pile:
    """Dead letters in memory."""

    def __init__(self, *dead_letters: Filed) -> None:
        self.dead_letters = list(dead_letters)

    async def of_meetings(self, meetings: object) -> list[Filed]:
        """Those of these meetings."""
        assert isinstance(meetings, list)
        return [dead_letter for dead_letter in self.dead_letters if dead_letter.meeting in meetings]

    async def remove(self, dead_letter: Filed) -> bool:
        """Forget one."""
        self.dead_letters.remove(dead_letter)
        return True


async def test_the_meeting_knows_of_a_letter_that_was_filed_under_a_record_that_leads_to_it() -> None:
    """However long the chain: it is found and cleared with the meeting's own."""
    rows = Rows({**CHAIN, "meeting:5": WRITTEN})
    await record_dead_letter(key("task:2"), meetings=rows, new_appointment_id=str)
    stored = rows.rows[key("meeting:5")]
    assert stored.meeting is not None
    assert stored.meeting.unsettled
    assert filed_under(stored.key, stored.meeting) == ["meeting:5", "calendarEvent:17", "task:2"]
    pile = Pile(Filed("task:2", merged=True), Filed("meeting:6", merged=True))
    await clear_dead_letters(stored, meetings=rows, dead_letters=pile)
    assert pile.dead_letters == [Filed("meeting:6", merged=True)]
    assert rows.rows[key("meeting:5")].meeting == replace(stored.meeting, unsettled=False)


async def test_a_meeting_of_which_nothing_is_known_gets_a_row_with_an_id() -> None:
    """Its appointment has the id that it would have had with the first good event."""
    rows = Rows()
    await record_dead_letter(key("meeting:5"), meetings=rows, new_appointment_id="appointment of {}".format)
    stored = await rows.load(key("meeting:5"))
    assert stored.meeting == Meeting(mirror=Mirror("appointment of meeting:5"), unsettled=True)


async def test_whoever_is_always_too_late_gives_up() -> None:
    """The queue brings the event again."""
    rows = Rows({"meeting:5": WRITTEN}, disturbed=MAX_ROUNDS)
    with pytest.raises(Transient):
        await record_dead_letter(key("meeting:5"), meetings=rows, new_appointment_id=str)
    await record_dead_letter(key("meeting:5"), meetings=rows, new_appointment_id=str)


async def test_what_was_not_remembered_stays() -> None:
    """Nobody has carried out what no row knows; the row goes on saying that there is something."""
    rows = Rows({"meeting:5": replace(WRITTEN, unsettled=True)})
    pile = Pile(Filed("meeting:5", merged=False), Filed("meeting:5", merged=True))
    await clear_dead_letters(await rows.load(key("meeting:5")), meetings=rows, dead_letters=pile)
    assert pile.dead_letters == [Filed("meeting:5", merged=False)]
    assert rows.saves == 0


async def test_dead_letters_stay_where_the_row_has_changed_since() -> None:
    """One of them may be about the change."""
    rows = Rows({"meeting:5": replace(WRITTEN, unsettled=True)})
    left = await rows.load(key("meeting:5"))
    await rows.save(left, replace(WRITTEN, unsettled=True))
    pile = Pile(Filed("meeting:5", merged=True))
    await clear_dead_letters(left, meetings=rows, dead_letters=pile)
    assert len(pile.dead_letters) == 1


async def test_a_row_that_knows_of_none_is_not_asked_about() -> None:
    """It costs nothing."""
    rows = Rows({"meeting:5": WRITTEN})
    await clear_dead_letters(
        await rows.load(key("meeting:5")), meetings=rows, dead_letters=Pile(Filed("meeting:5", merged=True))
    )
    await clear_dead_letters(await rows.load(key("meeting:6")), meetings=rows, dead_letters=Pile())
    assert rows.saves == 0


async def test_that_a_dead_letter_is_left_in_doubt_stands_in_the_time_line() -> None:
    """Of the meeting that its record turned out to be."""
    rows = Rows({**CHAIN, "meeting:5": WRITTEN})
    event = Recent("a" * 32, "task.updated", "t", OutcomeKind.DISMISSED)
    await record_end(event, key("task:2"), meetings=rows)
    assert rows.rows[key("meeting:5")].meeting == WRITTEN.record(event)


@pytest.mark.parametrize("there", [{}, {"meeting:5": WRITTEN.forget()}])
async def test_of_what_was_forgotten_nothing_is_said(there: dict[str, Meeting]) -> None:
    """Nor is a row made for what nobody knows."""
    rows = Rows(there)
    await record_end(Recent("a" * 32, "e", "t", OutcomeKind.EXPIRED), key("meeting:5"), meetings=rows)
    assert rows.saves == 0

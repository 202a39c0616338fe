"""Second appointments of a meeting: canceled, or kept where the other one was deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import LostRace
from shared.meeting.appointment import Policy
from shared.meeting.meeting import Meeting
from shared.meeting.mirror import CANCELED, COMPLETED, OPEN, Actual, Mirror
from shared.meeting.ports import Ports, Stored
from shared.meeting.surplus import withdraw
from tests.meeting.dynamics import ClaimRows, Dynamics, Everybody
from tests.meeting.rows import Rows, key

TWO = Meeting(mirror=Mirror("own", version="3", surplus=frozenset({"second"})))


async def withdrawn(
    dynamics: Dynamics, meeting: Meeting = TWO, policy: Policy | None = None
) -> tuple[Stored, list[str]]:
    """The meeting's row after it, and what is said of it."""
    rows, notes = Rows({"meeting:5": meeting}), list[str]()
    stored = await rows.load(key("meeting:5"))
    ports = Ports(rows, dynamics, Everybody(), ClaimRows())
    try:
        await withdraw(stored, policy=policy or Policy(), ports=ports, notes=notes)
    except LostRace:
        notes.append("once more")
    return await rows.load(key("meeting:5")), notes


def second(**changes: object) -> Dynamics:
    """Dynamics with a second appointment."""
    return Dynamics({"second": replace(Actual("1", {}, OPEN), **changes)})  # type: ignore[arg-type]


async def test_the_second_one_is_canceled() -> None:
    """It stays, in case somebody has written into it, and the note says why."""
    dynamics = second()
    stored, (note,) = await withdrawn(dynamics)
    assert dynamics.appointments["second"].state == CANCELED
    assert stored.meeting == replace(TWO, mirror=replace(TWO.mirror, surplus=frozenset()))
    assert "Canceled a second appointment" in note


@pytest.mark.parametrize("dynamics", [Dynamics(), second(state=COMPLETED)])
async def test_what_is_gone_or_closed_is_left_so(dynamics: Dynamics) -> None:
    """There is nothing to cancel, nor to look at again."""
    stored, notes = await withdrawn(dynamics)
    assert (dynamics.asked, notes) == ([], [])
    assert stored.meeting is not None
    assert stored.meeting.mirror.surplus == frozenset()


@pytest.mark.parametrize("policy", [Policy(pushing=False), Policy(update=False)])
async def test_settings_hold_it(policy: Policy) -> None:
    """To cancel is to write."""
    dynamics = second()
    stored, notes = await withdrawn(dynamics, policy=policy)
    assert (dynamics.asked, notes, stored.meeting) == ([], [], TWO)


async def test_the_second_one_is_kept_where_the_first_was_deleted() -> None:
    """Whoever deleted one of two wanted one: it is the meeting's from now on, and may lack anything."""
    stored, notes = await withdrawn(second(), replace(TWO, mirror=replace(TWO.mirror, deleted=True, version=None)))
    assert notes == ["once more"]
    assert stored.meeting is not None
    assert stored.meeting.mirror == Mirror("second", version="1")
    assert stored.meeting.unsettled


async def test_somebody_who_changes_it_meanwhile_comes_first() -> None:
    """The fence refuses, and all begins again."""
    dynamics = second()
    dynamics.between = [lambda: dynamics.change("second", subject="Theirs")]
    stored, notes = await withdrawn(dynamics)
    assert (notes, stored.meeting) == (["once more"], TWO)


async def test_of_a_record_without_a_row_there_is_none() -> None:
    """A meeting that was never saved has no appointments at all."""
    stored = Stored(key("meeting:6"))
    assert (
        await withdraw(stored, policy=Policy(), ports=Ports(Rows(), Dynamics(), Everybody(), ClaimRows()), notes=[])
        == stored
    )

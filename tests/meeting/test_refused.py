"""What an attempt finds out about refusals: one guess is none, of several each is tried alone."""

from __future__ import annotations

import pytest

from shared.meeting.appointment import Desired
from shared.meeting.ports import Refused
from shared.meeting.refused import Refusals

WANTED = Desired({"subject": "Intro", "location": "Room 1", "scheduledstart": "s", "scheduledend": "e"})


def refused(*guesses: set[str]) -> Refused:
    """A refusal that may be about one of these."""
    error = Refused("No.", service="dataverse", code="0x80040203")
    error.guesses, error.why = tuple(map(frozenset, guesses)), "it is too long"
    return error


def test_one_guess_is_none() -> None:
    """The column is done without and remembered; the note has the code and the reason."""
    found = Refusals("m")
    found.learn(refused({"subject"}), WANTED, exists=True)
    assert found.spare(WANTED).columns.keys() == WANTED.columns.keys() - {"subject"}
    assert found.notes == ["subject was refused by Dynamics (0x80040203): it is too long."]


def test_of_several_each_is_tried_alone() -> None:
    """What a write succeeds without was refused; the other one is sent."""
    found, error = Refusals("m"), refused({"subject"}, {"location"})
    found.learn(error, WANTED, exists=True)
    assert "subject" not in found.spare(WANTED).columns
    found.learn(error, WANTED, exists=True)
    assert found.spare(WANTED).columns.keys() == WANTED.columns.keys() - {"location"}
    found.succeed()
    assert list(found.columns) == ["location"]


@pytest.mark.parametrize("error", [refused(), refused({"description"}), refused({"scheduledstart"})])
def test_where_nothing_is_left_to_do_without_the_refusal_stands(error: Refused) -> None:
    """No guess, a column that is not wanted, and the times of a new appointment, which needs both."""
    with pytest.raises(Refused):
        Refusals("m").learn(error, WANTED, exists=False)


def test_times_go_together() -> None:
    """One alone could come to lie on the wrong side of the other."""
    found = Refusals("m")
    found.learn(refused({"scheduledend"}), WANTED, exists=True)
    assert found.spare(WANTED).columns.keys() == {"subject", "location"}

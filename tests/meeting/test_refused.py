"""What an attempt finds out about refusals: one guess is none, of several each is tried alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.meeting.appointment import Desired, fingerprint
from shared.meeting.mirror import Refusal
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.ports import Refused, TargetMissing
from shared.meeting.refused import Refusals

WANTED = Desired({"subject": "Intro", "location": "Room 1", "scheduledstart": "s", "scheduledend": "e"})
BOOKED = replace(WANTED, created_on="2026-03-01T09:00:00Z", created_by="user 3")
ORGANIZED = replace(WANTED, organizer=Party(Role.ORGANIZER, CrmRecord("systemuser", "a")))


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


def test_created_on_and_created_by_are_left_out_and_not_remembered() -> None:
    """There is one create, so nothing of them is kept with the meeting; the note says it once."""
    found, error = Refusals("m"), refused({"createdby"})
    found.learn(error, BOOKED, exists=False)
    found.learn(error, BOOKED, exists=False)
    assert found.spare(BOOKED) == replace(BOOKED, created_by=None)
    assert (found.columns, len(found.notes)) == ({}, 1)


def test_what_was_tried_comes_back_where_it_was_another() -> None:
    """The write is refused without the first guess too, and now for one reason only: the first had none."""
    found = Refusals("m")
    found.learn(refused({"createdby"}, {"location"}), BOOKED, exists=False)
    assert found.spare(BOOKED).created_by is None
    found.learn(refused({"location"}), BOOKED, exists=False)
    assert found.spare(BOOKED) == BOOKED.without({"location"})
    found.succeed()
    assert list(found.columns) == ["location"]


def test_a_write_that_is_repeated_says_nothing_twice() -> None:
    """After a lost race the same write goes well once more."""
    found = Refusals("m")
    found.learn(refused({"subject"}, {"location"}), WANTED, exists=True)
    found.succeed()
    found.succeed()
    assert (list(found.columns), len(found.notes)) == (["subject"], 1)


def test_another_value_is_sent() -> None:
    """What was refused is the value, and not the column."""
    found = Refusals("m")
    found.learn(refused({"subject"}), WANTED, exists=True)
    shorter = replace(WANTED, columns={**WANTED.columns, "subject": "In"})
    assert found.spare(shorter) == shorter


def test_a_list_of_parties_that_was_written_for_the_organizer_costs_the_organizer() -> None:
    """The attendees have not changed, and nobody refused them."""
    found = Refusals("m")
    found.learn(refused({"appointment_activity_parties"}), ORGANIZED, exists=True)
    assert found.spare(ORGANIZED) == WANTED
    assert list(found.columns) == ["organizer"]


@pytest.mark.parametrize(("guesses", "column"), [((), None), (({"description"},), None), (({"location"},), "location")])
def test_a_record_that_is_missing_costs_the_column_that_names_it(
    guesses: tuple[set[str], ...], column: str | None
) -> None:
    """Where no column that is wanted does, nothing is left out."""
    error = TargetMissing("0x80040217")
    error.guesses, error.why = tuple(map(frozenset, guesses)), "there is no such record"
    found = Refusals("m")
    assert found.learn_missing(error, WANTED, exists=True) == (column is not None)
    kept = Refusal(fingerprint("Room 1"), "0x80040217", "there is no such record", "m")
    assert found.columns == ({column: kept} if column else {})

"""`erase`: what is known of one person or one meeting goes, and what stays in Dynamics is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.commands import Commands, booked, saved


@pytest.mark.parametrize("options", [(), ("--prospect", "101", "--meeting", "5"), ("--email", " ")])
def test_one_thing_is_named(ops: Commands, options: tuple[str, ...]) -> None:
    """Neither nothing nor two things at once."""
    assert ops.run("erase", *options).code == 2


def test_a_meeting_goes_once_it_is_confirmed(ops: Commands, tmp_path: Path) -> None:
    """Without --yes nothing changes; with it the command says what it removed, and what stays where."""
    assert ops.run("send-test", saved(tmp_path, booked(950, title="Erase me"))).code == 0
    looked = ops.run("erase", "--meeting", "950", "--json")
    assert (looked.code, looked.document["erased"]) == (1, False)
    (one,) = looked.document["meetings"]
    assert one["meetingId"] == "meeting:950"
    assert one["appointmentId"] in one["appointmentUrl"]
    assert "--yes" in ops.run("erase", "--meeting", "950").out
    gone = ops.run("erase", "--meeting", "950", "--yes", "--json")
    assert (gone.code, gone.document["meetings"]) == (0, [one])
    assert ops.run("erase", "--meeting", "950", "--json").document["meetings"] == []
    assert ops.run("erase", "--email", "nobody@example.org").code == 0

"""What lies beside an export: the rows that were left out, for somebody to open."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.journey import Journey
from shared.admin.backfill import Reject
from tests.samples import law

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    '"=1',
    "'=1",
    "\uff1d1",
    "a;=1",
    "a;b; +1",
    "\x1b=1",
]


def written(folder: Path, meeting: str, reason: str) -> list[str]:
    """The cells of the one row in the rejects file."""
    file = folder / "meetings.csv"
    file.write_text("ID\n", encoding="utf-8")
    journey = Journey(file)
    journey.begin()
    journey.add_rejects([Reject(1, meeting, reason)])
    with journey.rejects_file.open(encoding="utf-8", newline="") as rejects:
        _, cells = csv.reader(rejects)
    return cells


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would carry out `cell`, or a part of it where it cuts at semicolons, tabs and lines."""
    return any(re.match(r"""[\s"]*[=+\-@＝＋－＠]""", part) for part in re.split(r"[;\t\r\n]", cell))  # noqa: RUF001 - wide forms count


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(tmp_path: Path, formula: str) -> None:
    """An export holds what somebody booked; who opens its rejects in a spreadsheet reads it and runs nothing."""
    row, meeting, reason = written(tmp_path, formula, f"{formula} is no number")
    assert row == "1"
    assert not is_formula(meeting)
    assert not is_formula(reason)


@law
@given(text=st.text(st.sampled_from("=+-@;\t\r\n \"'a1\x1b\x9b"), max_size=8))
def test_no_cell_is_a_formula_however_it_is_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Nor does a terminal obey it."""
    _, meeting, _ = written(tmp_path_factory.mktemp("csv"), text, "reason")
    assert not is_formula(meeting)
    assert not set("\x1b\x9b\r") & set(meeting)


@pytest.mark.parametrize("text", ["5", "meeting-5", "a=b", "The end is before the start.", "x; y", "it's"])
def test_what_is_no_formula_stays_as_it_is(tmp_path: Path, text: str) -> None:
    """Nearly everything."""
    assert written(tmp_path, text, text) == ["1", text, text]

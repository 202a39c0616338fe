"""`backfill` against the running app, from the command line to the appointments."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ops.journey import alone
from sandbox.backfill import APP_SETTINGS, Plan, backfill_on
from sandbox.outreach.exports import row, wanted, write_csv
from tests.ops.commands import Commands


def test_backfill_runs_to_the_end_and_counts(ops: Commands, tmp_path: Path) -> None:
    """Good rows become appointments, bad ones a line in the rejects file, and exit code 1 says so."""
    path = write_csv(tmp_path / "meetings.csv", [row(1), row(2), row(17), row(60), row(3, PROSPECT_IDS="[]")])
    dry = ops.run("backfill", str(path), "--dry-run")
    assert (dry.code, "nothing was queued" in dry.out) == (1, True)
    result = ops.run("backfill", str(path), "--rate", "100", "--json")
    assert result.code == 1
    assert result.document["outcomes"] == {"created": 2, "parked": 1}
    assert result.document["reasons"] == [{"outcome": "parked", "reason": "The meeting has no prospect.", "rows": 1}]
    assert "ID is empty" in Path(result.document["rejectsFile"]).read_text()
    assert subjects(ops) == ["Meeting 1", "Meeting 2"]


def test_a_finished_file_is_only_counted_again(ops: Commands, tmp_path: Path) -> None:
    """A finished file is not queued once more; --again queues it, and nothing is written by that."""
    path = str(write_csv(tmp_path / "meetings.csv", [row(4), row(5)]))
    assert ops.run("backfill", path, "--rate", "100").code == 0
    first = ops.dataverse("counters")
    assert ops.run("backfill", path, "--json").document["outcomes"] == {"created": 2}
    assert ops.run("backfill", path, "--again", "--rate", "100").code == 0
    assert ops.dataverse("counters") == first


def test_whoever_runs_it_says_what_the_ids_are(ops: Commands, tmp_path: Path) -> None:
    """Only a resource whose records are meetings can be named, and a file that was begun goes on with the same."""
    path = str(write_csv(tmp_path / "meetings.csv", [row(7)]))
    wrong = ops.run("backfill", path, "--resource", "task")
    assert (wrong.code, "records of meeting and calendarEvent" in told(wrong.err)) == (1, True)
    assert ops.run("backfill", path, "--resource", "calendarEvent", "--rate", "100").code == 0
    shown = ops.run("status", "calendarEvent:1000007", "--json")
    assert shown.document["appointmentId"]
    other = ops.run("backfill", path)
    assert (other.code, "begun with --resource calendarEvent" in told(other.err)) == (1, True)


def test_two_backfills_of_one_file(ops: Commands, tmp_path: Path) -> None:
    """While one is at it, a second one is refused and leaves the first one's progress alone; after it, it goes on."""
    path = write_csv(tmp_path / "meetings.csv", [row(6)])
    with alone(path):
        second = ops.run("backfill", str(path), "--again")
        assert (second.code, "Another back-fill of" in second.err) == (1, True)
        assert list(tmp_path.iterdir()) == [path]
    assert ops.run("backfill", str(path), "--rate", "100").code == 0


@pytest.mark.parametrize(
    "plan",
    [Plan(first=1001, rows=300, rate=100), Plan(first=2001, rows=120, rate=100, form="jsonl")],
    ids=["csv", "jsonl"],
)
def test_a_killed_backfill_goes_on(ops: Commands, tmp_path: Path, plan: Plan) -> None:
    """Killed twice, and the app once: nothing is missing, twice or wrong, and each bad row is one line of the rejects.

    `python -m sandbox backfill` does the same with 50,000 rows.
    """
    ops.stack.host.restart(**APP_SETTINGS)
    count = backfill_on(ops.stack, plan, tmp_path, Console(file=StringIO()))
    assert count.problems == []
    assert (count.kills, count.app_kills) == (2, 1)
    assert count.appointments == sum(wanted(number) is not None for number in plan.numbers)


def told(text: str) -> str:
    """`text` as it was before it was broken into lines."""
    return " ".join(text.split())


def subjects(ops: Commands) -> list[str]:
    return sorted(one["subject"] for one in ops.dataverse("state")["appointments"])


def test_backfill_of_what_is_no_export(ops: Commands, tmp_path: Path) -> None:
    """A wrong file is wrong usage."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary,\n")
    assert ops.run("backfill", str(path)).code == 2
    assert ops.run("backfill", str(tmp_path / "missing.csv")).code == 2

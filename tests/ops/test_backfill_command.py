"""`backfill` against the running app, from the command line to the appointments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.ops.commands import Commands
from tests.ops.exports import good, row, write_csv

ROOT = Path(__file__).parents[2]


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


def test_a_killed_backfill_goes_on(ops: Commands, tmp_path: Path) -> None:
    """SIGKILL twice, resume: each good row is one appointment that was written once, each bad row one line."""
    numbers = range(301, 421)  # of no other test: the app remembers meetings from one to the next
    expected = sorted(f"Meeting {number}" for number in good(420) if number in numbers)
    path = write_csv(tmp_path / "meetings.csv", (row(number) for number in numbers))
    progress = path.with_name("meetings.csv.progress.json")
    command = [sys.executable, "-m", "ops", "backfill", str(path), "--rate", "100", "--json"]

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, **ops.environment}
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE)  # noqa: S603 - our own command

    def reached(row_number: int) -> bool:
        return progress.exists() and json.loads(progress.read_text())["row"] >= row_number

    for kill_at in (30, 75):
        with start() as running:
            while not reached(kill_at) and running.poll() is None:
                time.sleep(0.01)
            assert running.poll() is None, "it was over before it could be killed"
            running.kill()
    with start() as running:
        out, _ = running.communicate()
    document = json.loads(out)
    assert document["outcomes"] == {"created": len(expected)}
    assert (document["queued"], document["rejected"]) == (len(expected), 3)
    assert subjects(ops) == expected
    assert ops.dataverse("counters")["PATCH appointments 201"] == len(expected)
    assert "PATCH appointments 200" not in ops.dataverse("counters")


def subjects(ops: Commands) -> list[str]:
    return sorted(one["subject"] for one in ops.dataverse("state")["appointments"])


def test_backfill_of_what_is_no_export(ops: Commands, tmp_path: Path) -> None:
    """A wrong file is wrong usage."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary,\n")
    assert ops.run("backfill", str(path)).code == 2
    assert ops.run("backfill", str(tmp_path / "missing.csv")).code == 2

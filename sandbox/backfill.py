"""`python -m sandbox backfill`: a back-fill that is killed and taken up again, and then every appointment compared.

The command of the admin (`python -m ops backfill`) is killed with SIGKILL at a third and at two thirds of the file, and
the app at a half. What each row must become is written down by whoever wrote the file (`sandbox/outreach/exports.py`).
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import httpx
from rich.console import Console
from rich.table import Table

from sandbox.appointments import Appointment, all_appointments, differences
from sandbox.azurite import ROOT
from sandbox.child import Child
from sandbox.environment import machine_environment
from sandbox.outreach.exports import REJECTED, is_queued, row, wanted, write_csv, write_json_lines
from sandbox.patience import PATIENCE
from sandbox.stack import Stack

Form = Literal["csv", "jsonl"]
WRITERS: Final[dict[Form, Callable[[Path, Iterable[dict[str, Any]]], Path]]] = {
    "csv": write_csv,
    "jsonl": write_json_lines,
}
# After a kill of the app the queue gives what was in flight back after this long; in Azure it is ten minutes.
APP_SETTINGS: Final = {"SANDBOX_QUEUE_LEASE_SECONDS": "5"}
POLL_SECONDS: Final = 0.05
EXAMPLES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` and `ahead` are the command's options. Kills are given as parts of the file, from 0 to 1.

    `first`: the number of the first row, by which its meeting and all that it says are told apart from other files.
    """

    rows: int = 50_000
    first: int = 1
    rate: float = 50
    ahead: int = 200
    form: Form = "csv"
    kills: tuple[float, ...] = (1 / 3, 2 / 3)
    app_kill: float = 0.5

    @property
    def numbers(self) -> range:
        """The rows of `sandbox.outreach.exports` that are in the file."""
        return range(self.first, self.first + self.rows)


@dataclass(slots=True)
class Count:
    """What is printed in the end. `wrong`: an appointment with a column that is not as the file says."""

    kills: int = 0
    app_kills: int = 0
    seconds: float = 0.0
    appointments: int = 0
    missing: int = 0
    duplicated: int = 0
    wrong: int = 0
    dataverse_calls: int = 0
    peak_bytes: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def backfill(plan: Plan, console: Console | None = None) -> int:
    """Run it; 0 only if every row became what it must."""
    console = console or Console()
    with TemporaryDirectory() as folder, Stack("backfill", settings=APP_SETTINGS) as stack:
        count = backfill_on(stack, plan, Path(folder), console)
    console.print(_table(plan, count))
    for problem in count.problems[:EXAMPLES_SHOWN]:
        console.print(problem, markup=False, highlight=False)
    return 1 if count.problems else 0


def backfill_on(stack: Stack, plan: Plan, folder: Path, console: Console) -> Count:
    """Run it on a stack that is up with `APP_SETTINGS`; the files go into `folder`."""
    count = Count()
    file = WRITERS[plan.form](folder / f"meetings.{plan.form}", map(row, plan.numbers))
    console.print(f"Up; {plan.rows:,} rows in {file.stat().st_size:,} bytes, logs in {stack.logs}", highlight=False)
    started = time.monotonic()
    _Run(stack, plan, file, count, console).to_the_end()
    count.seconds = time.monotonic() - started
    asyncio.run(_compare(stack, plan, count))
    _compare_rejects(file, plan, count)
    return count


class _Run:
    """The command from its first start to its own end, with the kills in between."""

    def __init__(self, stack: Stack, plan: Plan, file: Path, count: Count, console: Console) -> None:
        self._stack = stack
        self._plan = plan
        self._progress_file = file.with_name(f"{file.name}.progress.json")
        self._count = count
        self._console = console
        options = ["--rate", str(plan.rate), "--ahead", str(plan.ahead), "--json"]
        self._child = Child(
            "back-fill",
            [sys.executable, "-m", "ops", "backfill", file, *options],
            log=stack.logs / "ops.log",
            environment={**machine_environment(), **stack.app_settings()},
            folder=ROOT,
        )

    def to_the_end(self) -> None:
        """Start it again after every kill, and take what it says at its end."""
        kills = [round(part * self._plan.rows) for part in self._plan.kills]
        app_kills = [round(self._plan.app_kill * self._plan.rows)]
        tenths = [round(part * self._plan.rows / 10) for part in range(1, 10)]
        started = time.monotonic()
        self._child.start()
        while self._child.running:
            time.sleep(POLL_SECONDS)
            row = self._row()
            self._count.peak_bytes = max(self._count.peak_bytes, _peak_bytes(self._child.pid))
            if tenths and row >= tenths[0]:
                tenths.pop(0)
                self._console.print(f"  {row:,} rows after {time.monotonic() - started:,.0f} s", highlight=False)
            if app_kills and row >= app_kills[0]:
                app_kills.pop(0)
                self._stack.kill("worker")
                self._count.app_kills += 1
            if kills and row >= kills[0]:
                kills.pop(0)
                self._child.kill()
                self._count.kills += 1
                self._child.start()
        try:
            self._count.said = json.loads(self._child.output())
        except ValueError:
            self._count.problems.append(f"The command ended without its document.\n{self._child.last_lines()}")

    def _row(self) -> int:
        try:
            return int(json.loads(self._progress_file.read_text())["row"])
        except FileNotFoundError:
            return 0


def _peak_bytes(pid: int | None) -> int:
    """The most memory that a process has had resident; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


async def _compare(stack: Stack, plan: Plan, count: Count) -> None:
    """Every row against the appointments in the stand-in; a subject names its row."""
    found: dict[str, list[Appointment]] = {}
    for appointment in (await all_appointments(stack.dataverse.url)).values():
        found.setdefault(appointment.subject or "", []).append(appointment)
    for number in plan.numbers:
        want = wanted(number)
        if want is None:
            continue
        mine = found.pop(want.subject or "", [])
        count.appointments += len(mine)
        if not mine:
            count.missing += 1
            count.problems.append(f"Row {number} has no appointment.")
            continue
        if len(mine) > 1:
            count.duplicated += len(mine) - 1
            count.problems.append(f"Row {number} has {len(mine)} appointments.")
        if wrong := differences(mine[0], want):
            count.wrong += 1
            count.problems.append(f"Row {number}: {'; '.join(wrong)}")
    for subject, extra in found.items():
        count.wrong += len(extra)
        count.problems.append(f"{subject!r} must be no appointment.")
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        count.dataverse_calls = (await client.get(f"{stack.dataverse.url}/__sandbox/counters")).json()["total"]


def _compare_rejects(file: Path, plan: Plan, count: Count) -> None:
    """The rejects file has each bad row once; the command counted every row."""
    with file.with_name(f"{file.name}.rejects.csv").open(encoding="utf-8", newline="") as rejects:
        rejected = [int(entry["row"]) for entry in csv.DictReader(rejects)]
    must = [place for place, number in enumerate(plan.numbers, start=1) if number % 100 in REJECTED]
    if rejected != must:
        count.problems.append(f"The rejects file has {len(rejected)} rows, and must have {len(must)}.")
    said = (count.said.get("row"), count.said.get("queued"), sum((count.said.get("outcomes") or {}).values()))
    queued = sum(is_queued(number) for number in plan.numbers)
    if said != (plan.rows, queued, queued):
        count.problems.append(f"Rows, queued and settled are {said}, and must be {(plan.rows, queued, queued)}.")


def _table(plan: Plan, count: Count) -> Table:
    table = Table(title="A back-fill, killed and taken up again", show_header=False)
    outcomes = ", ".join(f"{many:,} {kind}" for kind, many in (count.said.get("outcomes") or {}).items())
    for name, value in (
        ("rows", f"{plan.rows:,} of {plan.form}"),
        ("the command killed", f"{count.kills} times"),
        ("the app killed", f"{count.app_kills} times"),
        ("appointments", f"{count.appointments:,}"),
        ("missing", f"{count.missing:,}"),
        ("duplicated", f"{count.duplicated:,}"),
        ("wrong", f"{count.wrong:,}"),
        ("left out, rejected", f"{count.said.get('skipped', 0):,}, {count.said.get('rejected', 0):,}"),
        ("what became of the others", outcomes),
        ("Dataverse calls per row", f"{count.dataverse_calls / plan.rows:.3f}"),
        ("most memory of the command", f"{count.peak_bytes / 1e6:,.0f} MB"),
        ("seconds", f"{count.seconds:,.0f}, {plan.rows / count.seconds:,.0f} rows a second"),
    ):
        table.add_row(name, value)
    return table

"""`python -m bench`: measure everything, print the table, and fail where a counted budget is broken."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import adopting, calls, cold_start, contention, correct, cost, processes, pure, rates
from bench.laboratory import Laboratory
from bench.report import Measure, broken, to_json, to_table
from sandbox.child import ChildFailed, interruptible
from sandbox.npm import InstallFailed
from shared.http.loopback import past_the_proxy

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Size:
    """How much: processes for imports and first events, meetings for each part, rounds, events for memory."""

    imports: int = 11
    starts: int = 5
    cold_starts: int = 5
    counted: int = 60
    crowds: int = 4
    core_loops: int = 20
    rounds: int = 5
    raced: int = 60
    compared: int = 300
    remembered: int = 5_000


PARTS = 9
# The table's, where nobody looks at a terminal.
WIDTH = 120
QUICK = Size(
    imports=1,
    starts=1,
    cold_starts=0,
    counted=12,
    crowds=1,
    core_loops=2,
    rounds=1,
    raced=16,
    compared=24,
    remembered=100,
)


@app.command()
def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="small numbers: counts are exact, times are rough")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of the table")] = False,
) -> None:
    """Measure the product beside a naive build of the same job; 1 where a counted budget is broken."""
    said = Console(stderr=True)
    course = Course(said)
    with interruptible(), Laboratory() as laboratory, course.bar:
        measures = measure(laboratory, QUICK if quick else Size(), course)
    if as_json:
        sys.stdout.write(json.dumps(to_json(measures, quick=quick), indent=2) + "\n")
    else:
        shown = Console()
        shown.width = max(shown.width, WIDTH)
        shown.print(to_table(measures))
    over = broken(measures)
    for one in over:
        said.print(f"Over budget: {one.section}: {one.what}", style="bold red", highlight=False)
    raise typer.Exit(1 if over else 0)


def measure(laboratory: Laboratory, size: Size, course: Course) -> list[Measure]:
    """Every part, in turn."""
    found: list[Measure] = []
    course.begin("imports and first events")
    starts = processes.time_starts(laboratory, imports=size.imports, starts=size.starts, report=course.detail)
    found += processes.start_measures(starts)
    course.begin("cold starts")
    found += cold_start.time_cold_starts(laboratory, starts=size.cold_starts, report=course.detail)
    course.begin("calls")
    ours, naive = asyncio.run(calls.count_calls(laboratory, many=size.counted, report=course.detail))
    found += calls.measures(ours, naive)
    looking = asyncio.run(adopting.count_adopting(laboratory, many=size.counted, report=course.detail))
    found += adopting.measures(looking)
    course.begin("calls when events meet")
    found += asyncio.run(contention.count_crowds(laboratory, meetings=size.crowds, report=course.detail))
    for latency_ms in (0.0, rates.REMOTE_MS):
        course.begin(f"rates, services that take {latency_ms:.0f} ms")
        race = rates.take_turns(
            laboratory, many=size.raced, rounds=size.rounds, latency_ms=latency_ms, report=course.detail
        )
        found += rates.measures(*asyncio.run(race), latency_ms=latency_ms)
    course.begin("repeats and disorder")
    found += correct.measures(*asyncio.run(correct.compare(laboratory, many=size.compared, report=course.detail)))
    course.begin(f"memory over {size.remembered:,} events")
    found += processes.measure_memory(laboratory, events=size.remembered, report=course.detail)
    course.begin("the pure core")
    found += pure.measure_core(loops=size.core_loops)
    return found + cost.measures(ours.applied, naive.applied)


class Course:
    """Says how far it is: a bar in a terminal, else a line for each part."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._console = console
        self._task = self.bar.add_task("starting", total=PARTS)
        self._part = ""
        self._number = 0

    def begin(self, part: str) -> None:
        """The next part begins."""
        self._number += 1
        self._part = part
        if not self._console.is_terminal:
            self._console.print(f"{self._number} of {PARTS}: {part}", highlight=False)
        self.bar.update(self._task, description=part, completed=self._number - 1)

    def detail(self, text: str) -> None:
        """Where the part stands; only a terminal shows it."""
        self.bar.update(self._task, description=f"{self._part}: {text}")


if __name__ == "__main__":
    os.environ |= past_the_proxy(os.environ)
    try:
        app(prog_name="python -m bench")
    except (ChildFailed, InstallFailed) as failed:
        Console(stderr=True).print(str(failed), markup=False, highlight=False)
        sys.exit(1)

"""Right beside fast: repeats, disorder and workers side by side, then every appointment against what it must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.builds import Build, Naive, Product
from bench.laboratory import Laboratory
from bench.report import Measure
from bench.workload import Meeting, Wanted, in_disorder, in_turn, meetings, warming
from sandbox.appointments import read_appointment

# Long enough for two events of one meeting to meet.
_LATENCY_MS = 20.0
_FIRST = 500_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of `meetings` meetings `lost` have no appointment and `stale` not the last state; `duplicated`: one too many.

    `failed`: events that ended in an error and that nobody will try again.
    """

    events: int
    meetings: int
    failed: int
    lost: int
    duplicated: int
    stale: int


async def compare(laboratory: Laboratory, *, many: int, report: Callable[[str], None]) -> tuple[Verdict, Verdict]:
    """What each build makes of the same `many` meetings."""
    environment = laboratory.installation("bench-correct")
    asked = meetings(range(_FIRST, _FIRST + many))
    report("ours")
    ours = await _check(laboratory, Product(environment), asked)
    report("naive")
    return ours, await _check(laboratory, Naive(environment), asked)


def measures(ours: Verdict, naive: Verdict) -> list[Measure]:
    """The table's lines."""
    section = f"{ours.events:,} events of {ours.meetings:,} meetings, a tenth twice, a tenth late"
    return [
        Measure(section, "meetings lost", ours.lost, naive=naive.lost, budget=0, counted=True),
        Measure(section, "appointments too many", ours.duplicated, naive=naive.duplicated, budget=0, counted=True),
        Measure(section, "meetings in a stale state", ours.stale, naive=naive.stale, budget=0, counted=True),
        Measure(section, "events that ended in an error", ours.failed, naive=naive.failed, budget=0, counted=True),
    ]


async def _check(laboratory: Laboratory, build: Build, asked: Sequence[Meeting]) -> Verdict:
    try:
        await laboratory.clean(latency_ms=_LATENCY_MS)
        await build.run(in_turn(warming(1)))
        before = {row["activityid"] for row in await laboratory.appointments()}
        run = await build.run(in_disorder(asked))
        failed = run.failed + await build.dead_letters()
    finally:
        await build.aclose()
    numbers = range(asked[0].number, asked[-1].number + 1)
    found: dict[int, list[Wanted]] = {}
    nobodys = 0
    for row in await laboratory.appointments():
        if row["activityid"] in before:
            continue
        number = build.meeting_of(row, numbers)
        if number is None:
            nobodys += 1
        else:
            found.setdefault(number, []).append(Wanted.of(read_appointment(row)))
    return Verdict(
        events=run.events,
        meetings=len(asked),
        failed=failed,
        lost=sum(meeting.number not in found for meeting in asked),
        duplicated=nobodys + sum(len(same) - 1 for same in found.values()),
        stale=sum(meeting.number in found and meeting.wanted not in found[meeting.number] for meeting in asked),
    )

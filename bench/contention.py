"""Events of one meeting that come at the same moment: what it costs that they meet.

How they meet is chance, so nothing here is the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.builds import WORKERS, Build, Naive, Product
from bench.calls import PerEvent
from bench.laboratory import Counts, Laboratory
from bench.rates import REMOTE_MS
from bench.report import Measure
from bench.workload import hurried, in_turn, warming

_FIRST = 700_000
_WARM = 11


async def count_crowds(laboratory: Laboratory, *, meetings: int, report: Callable[[str], None]) -> list[Measure]:
    """What each event costs where `WORKERS` changes of one meeting are carried out side by side, `meetings` times."""
    report("ours")
    ours = await _count(laboratory, Product, meetings)
    report("naive")
    naive = await _count(laboratory, Naive, meetings)
    section = f"an event, where {WORKERS} change one meeting at once on one instance"
    return [
        Measure(section, "Dataverse calls", ours.dataverse, naive=naive.dataverse, budget=1.05),
        Measure(section, "table operations", ours.tables, naive=naive.tables, budget=4),
    ]


async def _count(laboratory: Laboratory, make: Callable[[Mapping[str, str]], Build], meetings: int) -> PerEvent:
    total = Counts()
    await laboratory.clean()
    async with laboratory.wired() as wires:
        build = make(laboratory.installation("bench-contention", storage=wires.storage))
        try:
            await build.run(in_turn(warming(_WARM)))
            for number in range(_FIRST, _FIRST + meetings):
                booked, changes = hurried(number, many=WORKERS)
                await build.run([booked])
                await laboratory.slow_down(REMOTE_MS)
                before = await wires.counts()
                await build.run(changes)
                total += await wires.counts() - before
                await laboratory.slow_down(0)
        finally:
            await build.aclose()
    return PerEvent.of(total, meetings * WORKERS)

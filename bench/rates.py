"""How fast, as a ratio: both builds take turns with the same deliveries, against the same services, in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.builds import WORKERS, Build, Naive, Product, Run
from bench.laboratory import Laboratory
from bench.report import Measure
from bench.workload import in_turn, meetings, warming

# Answers of real services take this long at the least; it makes waiting, not computing, the larger part.
REMOTE_MS = 100.0
_FIRST = 10_000
# The same for every meeting: else events of one meeting meet at the end, which `contention` is about.
_CHANGES = range(3, 4)


@dataclass(slots=True)
class Rounds:
    """The runs of one build."""

    runs: list[Run] = field(default_factory=list)

    def median(self, figure: Callable[[Run], float]) -> float:
        """The median over all runs."""
        return statistics.median(figure(run) for run in self.runs)


async def take_turns(
    laboratory: Laboratory, *, many: int, rounds: int, latency_ms: float, report: Callable[[str], None]
) -> tuple[Rounds, Rounds]:
    """`rounds` rounds of `many` meetings for each build, ours first in one round and second in the next."""
    environment = laboratory.installation("bench-rates")
    product, naive = Product(environment), Naive(environment)
    ours, theirs = Rounds(), Rounds()
    turns: list[tuple[Build, Rounds]] = [(product, ours), (naive, theirs)]
    try:
        await laboratory.clean()
        await product.run(in_turn(warming(1)))
        for number in range(rounds):
            report(f"round {number + 1} of {rounds}")
            first = _FIRST * (number + 1) + int(latency_ms)
            deliveries = in_turn(meetings(range(first, first + many), seed=number, changes=_CHANGES))
            for build, runs in turns:
                await laboratory.clean(latency_ms=latency_ms)
                runs.runs.append(await build.run(deliveries))
            turns.reverse()
    finally:
        await product.aclose()
        await naive.aclose()
    return ours, theirs


def measures(ours: Rounds, naive: Rounds, *, latency_ms: float) -> list[Measure]:
    """The table's lines."""
    where = f"services that take {latency_ms:.0f} ms" if latency_ms else "services that answer at once"
    section = f"{where}, {WORKERS} events at once"

    def line(what: str, unit: str, figure: Callable[[Run], float]) -> Measure:
        return Measure(section, what, ours.median(figure), unit, naive=naive.median(figure))

    found = [
        line("events per second, delivery to appointment", "/s", lambda run: run.events / run.seconds),
        line("sync, p50", "ms", lambda run: percentile(run.syncs, 50) * 1000),
        line("sync, p95", "ms", lambda run: percentile(run.syncs, 95) * 1000),
        line("answer to Outreach, p50", "ms", lambda run: percentile(run.answers, 50) * 1000),
        line("answer to Outreach, p95", "ms", lambda run: percentile(run.answers, 95) * 1000),
    ]
    if not latency_ms:
        found.append(line("processor time of the worker, per event", "ms", lambda run: run.cpu / run.events * 1000))
    return found


def percentile(times: list[float], percent: int) -> float:
    """The smallest of `times` that `percent` of them do not exceed."""
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

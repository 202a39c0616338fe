"""What it costs to look for the appointment that is there already: one call more for each create, else none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.builds import Product
from bench.calls import PerEvent, cost_of
from bench.laboratory import Counts, Laboratory
from bench.report import Measure
from bench.workload import in_turn, meetings, step_by_step, warming
from shared.mapping_file import DEFAULT_MAPPING_FILE

_WARM, _FIRST = 1, 1_000


@dataclass(frozen=True, slots=True)
class Adopting:
    """`created`: a booking for which nothing is there; `changed`: an event of a meeting that has its appointment."""

    created: PerEvent
    changed: PerEvent


async def count_adopting(laboratory: Laboratory, *, many: int, report: Callable[[str], None]) -> Adopting:
    """The product's calls for `many` meetings, under a mapping that adopts."""
    report("with a mapping that adopts")
    await laboratory.clean()
    with tempfile.TemporaryDirectory() as folder:
        mapping = Path(folder) / "mapping.json"
        content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
        mapping.write_text(json.dumps({**content, "existing": {"adopt": "always"}}), encoding="utf-8")
        async with laboratory.wired() as wires:
            settings = laboratory.installation("bench-adopting", storage=wires.storage)
            build = Product({**settings, "MAPPING_FILE": str(mapping)})
            try:
                await build.run(in_turn(warming(_WARM)))
                bookings, *changes = step_by_step(meetings(range(_FIRST, _FIRST + many), inviting=0))
                created = await cost_of(wires, build, bookings)
                changed = sum([await cost_of(wires, build, step) for step in changes], Counts())
            finally:
                await build.aclose()
    return Adopting(PerEvent.of(created, len(bookings)), PerEvent.of(changed, sum(map(len, changes))))


def measures(found: Adopting) -> list[Measure]:
    """The table's lines."""
    created, changed = "a booking, where existing appointments are looked for", "a change, where they are"
    return [
        Measure(created, "Dataverse calls", found.created.dataverse, budget=2.05, counted=True),
        Measure(created, "table operations", found.created.tables, budget=4, counted=True),
        Measure(changed, "Dataverse calls", found.changed.dataverse, budget=1.05, counted=True),
        Measure(changed, "table operations", found.changed.tables, budget=4, counted=True),
    ]

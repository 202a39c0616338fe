"""Playing one schedule again, step by step, from the line that a failure prints."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.invariants import check
from simulation.scenario import as_it_is
from simulation.scenarios import ALL
from simulation.seeded_bugs import SEEDED_BUGS
from simulation.world import Simulation, Violation, World

_FIRST_FRESH = 100
_PEOPLE = {"p": "a person edits", "s": "the settings change", "r": "the sweep sends on"}
_FAULTS = {"-": " (dies before it)", "+": " (dies after it)", "~": " (on its way, worker gone)", "=": " (sent twice)"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What happened, line by line, and the promise that was broken ("" for none)."""

    transcript: tuple[str, ...]
    violation: str


def replay(line: str) -> Replayed:
    """Play the schedule in `line`: `[bug / ]scenario: moves`."""
    name, _, schedule = line.rpartition(": ")
    bug, _, scenario_name = name.rpartition(" / ")
    variant = next((one for one in SEEDED_BUGS if one.__name__ == bug), as_it_is)
    scenario = next(one for one in ALL if one.name == scenario_name)
    simulation = Simulation(scenario, variant)
    world = simulation.start()
    transcript = []
    try:
        for number, move in enumerate(schedule.split()):
            fresh = _FIRST_FRESH + 2 * number
            transcript.append(_line(simulation, world, move, fresh=fresh))
            world = simulation.after_untidily(world, move, fresh=fresh)
            check(simulation, world)
    except Violation as violation:
        return Replayed(tuple(transcript), str(violation))
    return Replayed(tuple(transcript), "")


def _line(simulation: Simulation, world: World, move: str, *, fresh: int) -> str:
    if move in _PEOPLE:
        return f"{move:3} {_PEOPLE[move]}"
    fault = _FAULTS.get(move[-1], "")
    answer = "" if move[-1] in "-~" else f" -> {simulation.answer(world, move, fresh=fresh)}"
    return f"{move:3} {simulation.operation(world, move)}{fault}{answer}"

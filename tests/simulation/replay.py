"""Playing one schedule again, step by step, from the line that a failure prints."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.explore import NO_END, is_plain
from tests.simulation.invariants import check
from tests.simulation.other_ways import asks_for_the_version
from tests.simulation.scenario import as_it_is
from tests.simulation.scenarios import scenario
from tests.simulation.seeded_bugs import SEEDED_BUGS
from tests.simulation.workers import endless_patience
from tests.simulation.world import Simulation, Violation, World

_WITHOUT_OPERATION = {
    "p": "a person edits",
    "s": "the settings change",
    "r": "the sweep sends on",
    "d": "dead letters are replayed",
}
_FAULTS = {"-": " (dies before it)", "+": " (dies after it)", "~": " (under way, nobody waits)", "=": " (sent twice)"}
_VARIANTS = (*SEEDED_BUGS, asks_for_the_version)
# Versions made by the move number n are n * 2 + this, so that a reader can tell them apart.
_FIRST_VERSION = 100
_LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What happened, line by line, and the promise that was broken ("" for none)."""

    transcript: tuple[str, ...]
    violation: str


@endless_patience()
def replay(line: str) -> Replayed:
    """Play the schedule in `line`: `[variant / ]scenario: moves`, the moves as in `world`.

    Where nothing breaks it goes on until all is quiet, one worker after the other. A move that is not possible (the
    code has changed since the schedule was found) is passed over.
    """
    name, _, schedule = line.rpartition(": ")
    bug, _, scenario_name = name.rpartition(" / ")
    variant = next((one for one in _VARIANTS if one.__name__ == bug), as_it_is)
    simulation = Simulation(scenario(scenario_name), variant)
    world = simulation.start()
    transcript: list[str] = []
    moves = iter(schedule.split())
    try:
        while move := next(moves, "") or _next_plain_move(simulation, world):
            if len(transcript) == _LONGEST:
                raise Violation(NO_END)  # noqa: TRY301 - as the exploring says it
            if move not in simulation.moves(world) and not move.endswith("-"):
                transcript.append(f"{move:3} is not possible")
                continue
            fresh = _FIRST_VERSION + 2 * len(transcript)
            transcript.append(_told(simulation, world, move, fresh=fresh))
            world = simulation.after_untidily(world, move, fresh=fresh)
            check(simulation, world)
    except Violation as violation:
        return Replayed(tuple(transcript), str(violation))
    return Replayed(tuple(transcript), "")


def _next_plain_move(simulation: Simulation, world: World) -> str:
    """The next step of a worker, or else a late request, the next settings, the sweep; "" when all is quiet."""
    return "" if simulation.is_quiet(world) else next(move for move in simulation.moves(world) if is_plain(move))


def _told(simulation: Simulation, world: World, move: str, *, fresh: int) -> str:
    if move in _WITHOUT_OPERATION:
        return f"{move:3} {_WITHOUT_OPERATION[move]}"
    answer = "" if move[-1] in "-~" else f" -> {simulation.answer(world, move, fresh=fresh)}"
    return f"{move:3} {simulation.operation(world, move)}{_FAULTS.get(move[-1], '')}{answer}"

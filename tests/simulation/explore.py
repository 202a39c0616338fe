"""Going through what can happen: all of it, or a seeded sample."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from tests.simulation.invariants import check
from tests.simulation.scenario import Scenario, Variant, as_it_is
from tests.simulation.workers import endless_patience
from tests.simulation.world import DONE, Simulation, Violation, World

# In a random walk, how likely a fault is beside a plain move.
_FAULT_WEIGHT = 0.12


@dataclass(frozen=True, slots=True)
class Explored:
    """How much was seen: different worlds, the moves between them, worlds in which all was quiet, refusals met."""

    worlds: int
    moves: int
    quiet: int
    refusals: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sampled:
    """How much a sample saw: schedules, their moves in all, different worlds on their way."""

    schedules: int
    moves: int
    worlds: int


class Broken(AssertionError):
    """A schedule that breaks a promise; the message holds the line that plays it again."""

    def __init__(self, scenario: Scenario, schedule: list[str], variant: Variant, violation: Violation) -> None:
        bug = "" if variant is as_it_is else f"{variant.__name__} / "
        self.line = f"{bug}{scenario.name}: {' '.join(schedule)}"
        self.violation = str(violation)
        super().__init__(f"{self.violation}\nreplay({self.line!r})")


@endless_patience()
def explore(scenario: Scenario, *, variant: Variant = as_it_is) -> Explored:
    """Every schedule of `scenario`, of any length. Raises `Broken` with a shortest schedule that breaks a promise.

    Schedules that lead to the same world go on alike, so each world is gone through once, nearest first.
    """
    simulation = Simulation(scenario, variant)
    start = simulation.start()
    came: dict[World, tuple[World, str] | None] = {start: None}
    waiting = deque([start])
    moves = quiet = 0
    while waiting:
        world = waiting.popleft()
        quiet += simulation.is_quiet(world)
        for move in simulation.moves(world):
            moves += 1
            try:
                following = simulation.after(world, move)
                if following in came:
                    continue
                came[following] = world, move
                check(simulation, following)
            except Violation as violation:
                raise Broken(scenario, [*_way_to(world, came), move], variant, violation) from None
            waiting.append(following)
    return Explored(len(came), moves, quiet, simulation.refusals)


@endless_patience()
def sample(scenario: Scenario, *, schedules: int, seed: int, variant: Variant = as_it_is) -> Sampled:
    """So many random schedules of `scenario`, the same ones for the same seed. Raises `Broken`."""
    simulation = Simulation(scenario, variant)
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample
    start = simulation.start()
    seen: set[World] = set()
    moves = 0
    for _ in range(schedules):
        world, schedule = start, list[str]()
        while offered := list(simulation.moves(world)):
            weights = [_FAULT_WEIGHT if move[-1] in "+~=" else 1.0 for move in offered]
            (move,) = chance.choices(offered, weights)
            schedule.append(move)
            try:
                world = simulation.after(world, move)
                if world not in seen:
                    check(simulation, world)
            except Violation as violation:
                raise Broken(scenario, schedule, variant, violation) from None
            seen.add(world)
        moves += len(schedule)
    return Sampled(schedules, moves, len(seen))


@endless_patience()
def most_loads_alone(scenario: Scenario) -> int:
    """How many rows the worker that takes longest loads until it ends, if from some world on nobody disturbs it."""
    simulation = Simulation(scenario, as_it_is)
    start = simulation.start()
    seen, waiting, most = {start}, [start], 0
    while waiting:
        world = waiting.pop()
        for number in simulation.carried(world):
            alone, loads = world, 0
            while alone.events[number] != DONE:
                loads += simulation.is_load(alone, number)
                alone = simulation.after(alone, str(number + 1))
            most = max(most, loads)
        for move in simulation.moves(world):
            following = simulation.after(world, move)
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return most


def _way_to(world: World, came: dict[World, tuple[World, str] | None]) -> list[str]:
    moves: list[str] = []
    step = came[world]
    while step is not None:
        moves.append(step[1])
        step = came[step[0]]
    return moves[::-1]

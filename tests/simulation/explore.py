"""Going through what can happen: all of it, or a seeded sample, or one schedule again."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from simulation.invariants import check
from simulation.scenario import Scenario, Variant, as_it_is
from simulation.world import Simulation, Violation, World

# In a random walk, how likely a fault is beside each plain move.
FAULT_WEIGHT = 0.12


@dataclass(frozen=True, slots=True)
class Explored:
    """How much was seen: different worlds, the moves between them, and the worlds among them in which all was quiet."""

    worlds: int
    moves: int
    quiet: int
    places: int


class Broken(AssertionError):
    """A schedule that breaks a promise; the message holds the line that plays it again."""

    def __init__(self, scenario: Scenario, schedule: list[str], variant: Variant, violation: Violation) -> None:
        text = written(scenario, schedule, variant)
        super().__init__(f"{violation}\nreplay({text!r})")
        self.text = text
        self.violation = str(violation)


def written(scenario: Scenario, schedule: list[str], variant: Variant) -> str:
    """A schedule as one line."""
    bug = "" if variant is as_it_is else f"{variant.__name__} / "
    return f"{bug}{scenario.name}: {' '.join(schedule)}"


def explore(scenario: Scenario, *, variant: Variant = as_it_is) -> Explored:
    """Every schedule of `scenario`, of any length. Raises `Broken` with a shortest schedule that breaks a promise."""
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
                raise Broken(scenario, [*_path(came, world), move], variant, violation) from None
            waiting.append(following)
    return Explored(len(came), moves, quiet, len(simulation.places))


def _path(came: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    moves: list[str] = []
    step = came[world]
    while step is not None:
        moves.append(step[1])
        step = came[step[0]]
    return moves[::-1]


@dataclass(slots=True)
class Sampled:
    """What a sample came to."""

    schedules: int
    moves: int
    worlds: int


def sample(scenario: Scenario, *, schedules: int, seed: int, variant: Variant = as_it_is) -> Sampled:
    """So many random schedules of `scenario`, the same ones for the same seed. Raises `Broken`."""
    simulation = Simulation(scenario, variant)
    start = simulation.start()
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample
    seen: set[World] = set()
    moves = 0
    for _ in range(schedules):
        world, schedule = start, list[str]()
        while True:
            offered = list(simulation.moves(world))
            if not offered or (simulation.is_quiet(world) and chance.random() < 0.5):
                break
            weights = [FAULT_WEIGHT if move[-1] in "-+~=" else 1.0 for move in offered]
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

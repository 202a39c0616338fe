"""Going through what can happen: all of it, or a seeded sample."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.invariants import check
from tests.simulation.scenario import Scenario, Variant, as_it_is
from tests.simulation.workers import endless_patience
from tests.simulation.world import DONE, Simulation, Violation, World

NO_END = "it never comes to an end, though nothing fails any more"

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

    Schedules that lead to the same world go on alike, so each world is gone through once, nearest first. At the end
    every world must have a way to a quiet one on which nothing fails and nobody edits, so that nobody is ever stuck.
    """
    simulation = Simulation(scenario, variant)
    worlds = [simulation.start()]
    numbers = {worlds[0]: 0}
    came: list[tuple[int, str]] = [(0, "")]
    leads_to: list[list[int]] = [[]]
    moves, quiet = 0, list[int]()
    for number, world in enumerate(worlds):  # which grows meanwhile
        if simulation.is_quiet(world):
            quiet.append(number)
        for move in simulation.moves(world):
            moves += 1
            try:
                following = simulation.after(world, move)
                reached = numbers.setdefault(following, len(worlds))
                if reached == len(worlds):
                    worlds.append(following)
                    came.append((number, move))
                    leads_to.append([])
                    check(simulation, following)
            except Violation as violation:
                raise Broken(scenario, [*_way_to(number, came), move], variant, violation) from None
            if is_plain(move):
                leads_to[reached].append(number)
    ending = _all_that_lead_to(quiet, leads_to)
    endless = next((number for number in range(len(worlds)) if number not in ending), None)
    if endless is not None:
        raise Broken(scenario, _way_to(endless, came), variant, Violation(NO_END))
    return Explored(len(worlds), moves, len(quiet), simulation.refusals)


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


def is_plain(move: str) -> bool:
    """Whether `move` is neither a fault nor an edit."""
    return move[-1] not in "-+~=" and move != "p"


def _all_that_lead_to(ends: list[int], leads_to: list[list[int]]) -> set[int]:
    found, waiting = set(ends), list(ends)
    while waiting:
        for world in leads_to[waiting.pop()]:
            if world not in found:
                found.add(world)
                waiting.append(world)
    return found


def _way_to(world: int, came: list[tuple[int, str]]) -> list[str]:
    moves: list[str] = []
    while world:
        world, move = came[world]
        moves.append(move)
    return moves[::-1]

"""Whether the exploring itself can be believed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import pytest

from shared.meeting.apply import MAX_ROUNDS
from tests.simulation.explore import explore, most_loads_alone
from tests.simulation.interned import hashable, split
from tests.simulation.other_ways import asks_for_the_version
from tests.simulation.scenario import as_it_is
from tests.simulation.scenarios import scenario
from tests.simulation.workers import by_frames, by_history, endless_patience
from tests.simulation.world import Simulation, World


@pytest.mark.parametrize("name", ["a person edits the column", "a person adds an attendee to a new one"])
def test_reading_the_version_after_the_write_does_no_harm(name: str) -> None:
    """Where Dynamics answers without the row, somebody may write between our write and our reading of its version."""
    assert explore(replace(scenario(name), faults=0), variant=asks_for_the_version).quiet


@pytest.mark.parametrize("name", ["create and update", "a person adds an attendee to a new one", "the owner leaves"])
def test_a_worker_that_nobody_disturbs_ends_soon(name: str) -> None:
    """From wherever others leave it, a worker alone needs far fewer rounds than it is given."""
    assert most_loads_alone(replace(scenario(name), faults=0)) <= MAX_ROUNDS // 2


@pytest.mark.parametrize(("name", "depth"), [("create and update", 12), ("attendees change and a person adds one", 9)])
@endless_patience()
def test_telling_workers_apart_by_their_frames_loses_nothing(name: str, depth: int) -> None:
    """Taking two workers for one when their frames are equal reaches the same stores as telling them apart for ever."""
    case = replace(scenario(name), faults=1)
    by_what_they_are = _stores_within(depth, Simulation(case, as_it_is, tell_apart=by_frames))
    by_what_they_saw = _stores_within(depth, Simulation(case, as_it_is, tell_apart=by_history))
    assert by_what_they_are == by_what_they_saw


def _stores_within(depth: int, simulation: Simulation) -> set[Hashable]:
    seen: set[World] = {simulation.start()}
    edge = list(seen)
    for _ in range(depth):
        reached = {simulation.after(world, move) for world in edge for move in simulation.moves(world)}
        edge = list(reached - seen)
        seen |= reached
    return {_shape(simulation, world) for world in seen}


def _shape(simulation: Simulation, world: World) -> Hashable:
    """What stands in the stores, but for the names of versions, and whether anything is still to be done."""
    stores = simulation.stores(world)
    return split(hashable(stores.table))[0], split(hashable(stores.crm))[0], simulation.is_quiet(world)

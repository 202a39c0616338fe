"""Each case is explored once in a test run; what was seen is summed up at its end."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from tests.simulation.explore import Explored, Sampled, explore
from tests.simulation.scenario import Scenario
from tests.summary import SUMMARY

# With a death or a late request they take two thirds of the time of all; so they have those with `--all` only.
LARGEST: Final = frozenset(
    {
        "Outbound Update goes off and on",
        "a calendar event and its meeting each have an appointment",
        "a calendar event gets an appointment while it turns out to be of a meeting that has one",
        "a column leaves the mapping, a person edits another",
        "a meeting and a calendar event are each said to be the other one's",
        "a person deletes a row that is being taken over",
        "a person moves owner and organizer while attendees change",
        "a service does not answer while a calendar event turns out to be of a meeting",
        "a service does not answer while a task tells of its meeting along a calendar event",
        "a state is refused, and the rest is written",
        "a task names a calendar event while that turns out to be of a meeting",
        "a task tells of its meeting along two calendar events, while the last link is made",
        "a task that has told of a calendar event tells more while that turns out to be of a meeting",
        "a title is refused for good from the first create on",
        "create as held, then not held after all",
    }
)

_EXPLORED: pytest.StashKey[dict[str, Explored]] = pytest.StashKey()
_SAMPLED: pytest.StashKey[list[Sampled]] = pytest.StashKey()


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector away from a million small tuples; a fifth of the time is its."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def explored(pytestconfig: pytest.Config) -> Callable[[Scenario], Explored]:
    """Explore a case, or give what was seen when it was explored before."""
    seen = pytestconfig.stash.setdefault(_EXPLORED, {})

    def once(scenario: Scenario) -> Explored:
        if scenario.name not in seen:
            small = scenario.name not in LARGEST or pytestconfig.getoption("everything")
            seen[scenario.name] = explore(scenario if small else replace(scenario, faults=0))
        return seen[scenario.name]

    return once


@pytest.fixture
def sampled(pytestconfig: pytest.Config) -> list[Sampled]:
    """Where a test puts what it sampled."""
    return pytestconfig.stash.setdefault(_SAMPLED, [])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say how much was gone through."""
    config = session.config
    whole = list(config.stash.get(_EXPLORED, {}).values())
    samples = config.stash.get(_SAMPLED, [])
    if whole:
        config.stash[SUMMARY].append(
            f"simulation: {len(whole)} cases explored to the end: {sum(one.worlds for one in whole):,} different worlds, "
            f"{sum(one.moves for one in whole):,} moves between them, {sum(one.quiet for one in whole):,} quiet ends"
        )
    if samples:
        config.stash[SUMMARY].append(
            f"simulation: {sum(one.schedules for one in samples):,} random schedules of {len(samples)} larger cases: "
            f"{sum(one.moves for one in samples):,} moves through {sum(one.worlds for one in samples):,} different worlds"
        )

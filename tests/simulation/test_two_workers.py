"""Every schedule of two workers: every order, every death before and after every step, every write that comes late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.explore import Explored
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import TWO_WORKERS


@pytest.mark.parametrize("case", TWO_WORKERS, ids=lambda case: case.name)
def test_two_workers_keep_every_promise(case: Scenario, explored: Callable[[Scenario], Explored]) -> None:
    """In every world that can come about there is at most one appointment, and when all is quiet it is right."""
    assert explored(case).quiet

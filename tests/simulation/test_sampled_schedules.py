from __future__ import annotations

import pytest

from tests.simulation.explore import Sampled, sample
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import SAMPLED

SCHEDULES = 30
SEED = 20260105


@pytest.mark.parametrize("case", SAMPLED, ids=lambda case: case.name)
def test_many_workers_keep_every_promise_in_a_sample_of_schedules(case: Scenario, sampled: list[Sampled]) -> None:
    """Three and four workers, several deaths and edits: too much to explore, so a sample that is the same every time."""
    found = sample(case, schedules=SCHEDULES, seed=SEED)
    sampled.append(found)
    assert found.schedules == SCHEDULES

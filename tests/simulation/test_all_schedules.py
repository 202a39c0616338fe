"""Every schedule of two and three workers: every order; with two, also a death before and after every step, late writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.explore import Explored
from tests.simulation.scenario import Scenario
from tests.simulation.scenarios import EXPLORED, scenario


@pytest.mark.parametrize("case", EXPLORED, ids=lambda case: case.name)
def test_every_promise_is_kept_in_every_schedule(case: Scenario, explored: Callable[[Scenario], Explored]) -> None:
    """In every world that can come about there is at most one appointment; each has a way to the end, and there all is right."""
    assert explored(case).quiet


def test_the_cases_meet_every_refusal_that_the_stores_know(explored: Callable[[Scenario], Explored]) -> None:
    """No promise is kept only because nothing ever went wrong."""
    cases = (scenario("update after held"), scenario("the contact was merged"))
    met = frozenset[str]().union(*(explored(case).refusals for case in cases))
    assert met == {"RowConflict", "FenceRefused", "AppointmentClosed", "TargetMissing"}

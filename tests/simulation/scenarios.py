"""The cases that are explored exhaustively with two workers, and those that are sampled with three and four."""

from __future__ import annotations

from dataclasses import replace

from shared.core.apply import CANCELED, COMPLETED
from shared.core.appointment import Policy
from simulation.scenario import MEETING, Edit, Scenario, booked, event, mapping, of_calendar_event, rules
from simulation.stores import Organisation

_STRICT = Organisation(strict=True)
_OTHER_ORDER = Organisation(strict=True, checks_first="closed")
_AFTER = replace
_TITLE = event(5, title="Second")

TWO_WORKERS: tuple[Scenario, ...] = (
    Scenario("create twice", (booked(), booked()), faults=2),
    Scenario("create and update", (booked(), _TITLE), faults=2),
    Scenario("create, update and the update again", (booked(), _TITLE, _TITLE), faults=1),
    Scenario(
        "two updates of one column",
        (event(5, title="Second"), event(6, title="Third")),
        before=(booked(),),
        faults=2,
    ),
    Scenario(
        "there and back again",
        (event(5, title="Second"), event(6, title="First")),
        before=(booked(),),
        faults=2,
    ),
)

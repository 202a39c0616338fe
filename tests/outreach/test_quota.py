"""How much of the hourly allowance is left: as the headers tell, or by counting."""

from __future__ import annotations

import pytest

from shared.outreach.quota import HOURLY_LIMIT, RESERVE, Budget
from tests.clock import Clock


def after(clock: Clock, **headers: str) -> Budget:
    budget = Budget(now=clock.seconds)
    budget.answered({f"x-ratelimit-{name}": value for name, value in headers.items()})
    return budget


@pytest.mark.parametrize(
    ("limit", "remaining", "scarce"),
    [
        ("10000", "2501", False),
        ("10000", "2500", True),
        ("10000, 20000", "9999, 19988", False),
        ("10000, 20000", "2000, 12000", True),
        ("20000, 10000", "12000, 2000", True),
        ("10000;w=3600", "9000", False),
        ("", "2400", True),
        ("", "", False),
        ("rubbish", "rubbish", False),
    ],
)
def test_allowance_in_every_form(clock: Clock, limit: str, remaining: str, *, scarce: bool) -> None:
    """One number or two, the tighter one counts; what cannot be read is not believed."""
    reset = str(int(clock.seconds()) + 600)
    budget = after(clock, limit=limit, remaining=remaining, reset=reset)
    assert budget.seconds_until_spare() == (600.0 if scarce else 0.0)


@pytest.mark.parametrize(("reset", "seconds"), [("+600", 600.0), ("600", 600.0), ("+9999", 3600.0), ("", 3600.0)])
def test_reset_in_every_form(clock: Clock, reset: str, seconds: float) -> None:
    """A time since 1970, or seconds from now, and never later than an hour from now."""
    text = str(int(clock.seconds()) + int(reset)) if reset.startswith("+") else reset
    assert after(clock, remaining="0", reset=text).seconds_until_spare() == seconds


def test_allowance_starts_anew(clock: Clock) -> None:
    """When the hour is over there is spare capacity again."""
    budget = after(clock, remaining="0", reset=str(int(clock.seconds()) + 600))
    clock.pass_by(seconds=601)
    assert budget.seconds_until_spare() == 0.0


def test_without_headers_our_own_requests_are_counted(clock: Clock) -> None:
    """Where no header tells, what we sent in the hour must do."""
    budget = Budget(now=clock.seconds)
    for _ in range(int(HOURLY_LIMIT * (1 - RESERVE)) - 1):
        budget.answered({})
    assert budget.seconds_until_spare() == 0.0
    budget.answered({})
    assert budget.seconds_until_spare() == 3600.0

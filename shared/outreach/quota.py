"""How much of Outreach's hourly allowance is left, and how much of that is kept for the sync's own look-ups.

10,000 requests an hour and user (https://developers.outreach.io/api/making-requests), shared with whatever else works
under that user. The headers tell; where they are missing, counting our own requests must do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

HOURLY_LIMIT = 10_000
# The part of the allowance that only events under way may use; sweep and back-fill stop above it.
RESERVE = 0.25
_WINDOW_SECONDS = 3600.0
_LIMIT, _REMAINING, _RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
# A number above this is a time since 1970; below, it can only be seconds from now.
_EPOCH = 1_000_000_000


class Budget:
    """Counts answers and reads their headers. `now` gives seconds since 1970."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._limit = HOURLY_LIMIT
        self._remaining = HOURLY_LIMIT
        self._until = 0.0

    def answered(self, headers: Mapping[str, str]) -> None:
        """One request was made. Believe what its answer says; two limits in one header count as the tighter one."""
        self._start_anew_when_due()
        self._remaining -= 1
        limits, remaining, reset = (_numbers(headers.get(name, "")) for name in (_LIMIT, _REMAINING, _RESET))
        if limits:
            self._limit = min(limits)
        if remaining:
            self._remaining = min(remaining)
        if reset:
            until = max(reset) if max(reset) > _EPOCH else self._now() + max(reset)
            self._until = min(float(until), self._now() + _WINDOW_SECONDS)

    def seconds_until_spare(self) -> float:
        """For how long work that can wait must wait; 0 when there is more than the reserve."""
        self._start_anew_when_due()
        if self._remaining > self._limit * RESERVE:
            return 0.0
        return max(self._until - self._now(), 1.0)

    def _start_anew_when_due(self) -> None:
        if self._now() >= self._until:
            self._remaining = self._limit
            self._until = self._now() + _WINDOW_SECONDS


def _numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d{1,12}", text)]

"""When to leave a service alone: it said so (`Retry-After`), or it failed again and again.

One per process and service. While it is open nobody calls; then one probe goes first, and everybody follows when that
one succeeds. So a day's outage costs a few calls a minute and not one per waiting event.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from shared.errors import Transient, called

FAILURES_TO_OPEN = 5
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0


class Breaker:
    """Counts failures and keeps the pause. `clock` is a monotonic clock in seconds."""

    def __init__(self, service: str, *, clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until = 0.0
        self._probing = False
        self.throttled_seconds = 0.0

    def pause(self) -> float:
        """For how many more seconds nobody may call; 0 when calls are welcome."""
        return max(0.0, self._open_until - self._clock())

    def before_call(self) -> None:
        """Raises `Transient` with the seconds to wait while the service is to be left alone."""
        waits = self.pause()
        if waits > 0:
            raise self._closed(waits)
        if self._failures >= FAILURES_TO_OPEN:
            if self._probing:
                raise self._closed(1.0)
            self._probing = True

    def succeeded(self) -> None:
        """The service answered: everything is as it should be."""
        self._failures, self._pause, self._probing = 0, FIRST_PAUSE, False

    def throttled(self, retry_after: float) -> None:
        """The service asked everybody to wait."""
        self._probing = False
        self.throttled_seconds += retry_after
        self._open_until = max(self._open_until, self._clock() + retry_after)

    def failed(self) -> None:
        """No answer, or one that says the service is unwell."""
        self._probing = False
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN:
            pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads load
            self._open_until = max(self._open_until, self._clock() + pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def gave_up(self) -> None:
        """The call ended without a word on the service's health, for example because it was cancelled."""
        self._probing = False

    def _closed(self, seconds: float) -> Transient:
        reason = f"{called(self._service)} asked for a pause or is not answering; waiting before the next call."
        return Transient(reason, service=self._service, code="paused", retry_after=seconds)

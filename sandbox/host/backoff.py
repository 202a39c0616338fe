"""How long a queue trigger waits before it looks again: the extension's randomized exponential back-off.

100 ms after a poll that followed messages, then 100 ms more, doubling with ± 20 %, up to maxPollingInterval.
"""

from __future__ import annotations

import math
import random

MINIMUM = 0.1
RANDOMNESS = 0.2


class PollingDelay:
    """The delays of one queue listener, in seconds."""

    def __init__(self, maximum: float, *, chance: random.Random | None = None) -> None:
        self._maximum = maximum
        self._chance = chance or random.Random()
        self._current = 0.0
        self._exponent = 0

    def after_messages(self) -> float:
        """Start over: the queue was busy a moment ago."""
        self._current = min(MINIMUM, self._maximum)
        self._exponent = 1
        return self._current

    def after_nothing(self) -> float:
        """The queue is still empty, missing or unreachable."""
        if self._current != self._maximum:
            self._current = min(self._next(), self._maximum)
            self._exponent += 1
        return self._current

    def _next(self) -> float:
        if self._exponent == 0:
            return MINIMUM
        factor = self._chance.uniform(1 - RANDOMNESS, 1 + RANDOMNESS)
        return MINIMUM + factor * math.ldexp(MINIMUM, self._exponent - 1)

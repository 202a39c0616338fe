"""When to try again, and when to stop: the queue trigger has no back-off of its own.

A message that met transient trouble is put back with a growing delay. About a day after it first failed it becomes a
dead letter, from which it can be replayed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

GIVE_UP_AFTER = timedelta(hours=24)
FIRST_DELAY = 4.0
LONGEST_DELAY = 900.0


def delay_seconds(attempt: int, *, retry_after: float | None, jitter: float, waited: float = 0.0) -> float:
    """How long to wait before attempt number `attempt` + 1.

    Doubles from 4 s to 15 min; `jitter` (0 to 1) spreads what failed together over half the delay. Never less than
    the service asked for. `waited`: for how many seconds it has been failing; a quarter of that is waited at least, so
    that an outage of hours costs an event a few tries and not one a minute.
    """
    doubled = min(max(FIRST_DELAY * 2.0 ** min(attempt, 20), waited / 4), LONGEST_DELAY)
    spread = doubled * (0.5 + jitter / 2)
    return spread if retry_after is None else max(spread, retry_after + jitter * min(doubled, 30.0))


def is_exhausted(first_failed_at: datetime, now: datetime) -> bool:
    """Whether the message has been failing for about a day."""
    return now - first_failed_at >= GIVE_UP_AFTER

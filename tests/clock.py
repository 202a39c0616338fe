"""A clock that only a test moves, and a sleep that takes no time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """The time of day, which only a test moves."""

    moment: datetime = START

    def now(self) -> datetime:
        """The time, aware."""
        return self.moment

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self.moment.timestamp()

    def pass_by(self, **span: float) -> None:
        """Let time pass, in the words of `timedelta`."""
        self.moment += timedelta(**span)


@dataclass
class Naps:
    """A sleep that takes no time; it keeps how long it should have been, and may do something meanwhile."""

    meanwhile: Callable[[], None] = lambda: None
    taken: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.meanwhile()

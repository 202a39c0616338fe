"""Trouble on request: which request of the stand-in meets which trouble. Carrying it out is in `app`."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.outreach.errors import (
    Refusal,
    gone,
    maintenance,
    missing_scope,
    not_found,
    rate_limited,
    unauthorized_json,
    unauthorized_text,
)

ANSWERED: Final = ("429", "503", "503_seconds", "500", "401", "401_json", "403", "404", "410")
BROKEN: Final = ("drop_before", "drop_after", "timeout")


@dataclass(frozen=True, slots=True)
class Fault:
    """One trouble. `path`: only requests whose path begins so. `drop_after`: applied, then the connection is closed."""

    kind: str
    retry_after: float = 1.0
    hold_seconds: float = 30.0
    path: str = ""

    @classmethod
    def parse(cls, entry: str | Mapping[str, Any], *, retry_after: float, hold_seconds: float) -> Fault:
        """A kind by name, or an object with `kind` and what differs from the defaults."""
        given = {"kind": entry} if isinstance(entry, str) else dict(entry)
        if given.get("kind") not in (*ANSWERED, *BROKEN):
            raise ValueError(f"unknown fault {given.get('kind')!r}: use one of {[*ANSWERED, *BROKEN]}")
        try:
            return cls(**({"retry_after": retry_after, "hold_seconds": hold_seconds} | given))
        except TypeError as error:
            raise ValueError(f"unknown field in fault {given}") from error

    def refusal(self) -> Refusal | None:
        """The answer that it stands for; `None` where the connection breaks."""
        seconds = f"{self.retry_after:g}"
        until = datetime.now(UTC) + timedelta(seconds=self.retry_after)
        answers: dict[str, Callable[[], Refusal]] = {
            "429": lambda: rate_limited(seconds),
            "503": lambda: maintenance(until.isoformat(timespec="seconds").replace("+00:00", "Z")),
            "503_seconds": lambda: maintenance(seconds),
            "500": lambda: Refusal(500, text="Internal Server Error\n"),
            "401": unauthorized_text,
            "401_json": lambda: unauthorized_json("Invalid JWT token.", "The token has expired."),
            "403": lambda: missing_scope("prospects.read"),
            "404": lambda: not_found("resource", 0),
            "410": lambda: gone("resource", 0),
        }
        return answers[self.kind]() if self.kind in answers else None


@dataclass(slots=True)
class FaultPlan:
    """First the queue of planned faults, then chance."""

    rate: float = 0.0
    faults: tuple[Fault, ...] = ()
    latency_ms: float = 0.0
    queue: deque[Fault] = field(default_factory=deque)
    chance: random.Random = field(default_factory=random.Random)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> FaultPlan:
        """The plan in `{"rate", "kinds", "next", "retry_after", "hold_seconds", "latency_ms", "seed"}`."""
        known = {"rate", "kinds", "next", "retry_after", "hold_seconds", "latency_ms", "seed"}
        if set(given) - known:
            raise ValueError(f"unknown {sorted(set(given) - known)}; use {sorted(known)}")
        times = {
            "retry_after": float(given.get("retry_after", 1)),
            "hold_seconds": float(given.get("hold_seconds", 30)),
        }
        return cls(
            rate=float(given.get("rate", 0)),
            faults=tuple(Fault.parse(entry, **times) for entry in given.get("kinds", ())),
            latency_ms=float(given.get("latency_ms", 0)),
            queue=deque(Fault.parse(entry, **times) for entry in given.get("next", ())),
            chance=random.Random(given.get("seed")),
        )

    def draw(self, path: str) -> Fault | None:
        """The fault of this request; a planned one is used up."""
        for fault in self.queue:
            if path.startswith(fault.path):
                self.queue.remove(fault)
                return fault
        if self.rate and self.faults and self.chance.random() < self.rate:
            return self.chance.choice(self.faults)
        return None

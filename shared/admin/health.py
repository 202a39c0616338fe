"""Is everything reachable that the sync needs? Answered from memory for a few seconds, because anybody may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shared.errors import SyncError

FRESH_SECONDS = 5.0
# So old a report may be for those who come while another is being made: with a part that hangs that takes seconds, and
# they would take up the instance's places for requests, Outreach's among them.
STANDS_IN_SECONDS = 30.0
PATIENCE_SECONDS = 8.0

# Raises where the part is not well; returns what is to be noted all the same, or nothing.
Check = Callable[[], Awaitable[str | None]]


class Health:
    """`checks` by name of the part; `clock` is a monotonic clock in seconds."""

    def __init__(self, checks: Mapping[str, Check], *, clock: Callable[[], float]) -> None:
        self._checks = checks
        self._clock = clock
        self._last: tuple[float, dict[str, Any]] | None = None
        self._lock = asyncio.Lock()

    async def report(self) -> dict[str, Any]:
        """`{"status": "ok" | "unhealthy", "parts": {name: {"status": …, "reason": …}}}`; reasons hold no secrets.

        A part that is `ok` has a `reason` only where there is something to note.
        """
        last = self._not_older_than(STANDS_IN_SECONDS if self._lock.locked() else FRESH_SECONDS)
        if last is not None:
            return last
        async with self._lock:
            last = self._not_older_than(FRESH_SECONDS)
            if last is not None:
                return last
            results = await asyncio.gather(*(self._one(check) for check in self._checks.values()))
            parts = dict(zip(self._checks, results, strict=True))
            well = all(part["status"] == "ok" for part in parts.values())
            report = {"status": "ok" if well else "unhealthy", "parts": parts}
            self._last = (self._clock(), report)
            return report

    def _not_older_than(self, seconds: float) -> dict[str, Any] | None:
        return self._last[1] if self._last is not None and self._clock() - self._last[0] < seconds else None

    async def _one(self, check: Check) -> dict[str, str]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                note = await check()
        except TimeoutError:
            return {"status": "unreachable", "reason": "No answer in time."}
        except SyncError as error:
            return {"status": "unreachable", "reason": str(error) or type(error).__name__}
        except (ValueError, KeyError, TypeError):
            return {"status": "unreachable", "reason": "Its answer makes no sense; is the address right?"}
        return {"status": "ok", "reason": note} if note else {"status": "ok"}

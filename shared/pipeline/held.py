"""Deliveries that nobody can store yet: their calls wait without an answer, because any answer would be the last word.

Outreach counts every HTTP answer as delivered, and tries again only after silence. A call outlives its sender: it
stores the event itself as soon as that can be done, however long ago the sender hung up. A process that is told to end
lets it run on, so nothing here listens for that, and a call that is cancelled all the same ends without an answer.

Every call tries for itself, when it is its turn: one a second while storage is away, by whoever has waited longest, and
all others once that has succeeded. So no task outlives the call that began it, and each log line belongs to a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.errors import NotStored, Transient
from shared.telemetry import HELD, line
from shared.timestamps import Clock, sortable

log = logging.getLogger("outreach_dynamics.held")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one process holds at most, and how it goes about it.

    seconds        from arrival until a call gives up. Azure ends a call after 230 seconds
                   (https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout)
    calls, bytes   of different deliveries; `httpConcurrency` in Bicep is larger than `calls`, so others are answered
    copy_seconds   from a copy's arrival until it gives up: its sender hangs up after 5, and the first is held on
    pause          seconds between two tries while storage is away
    at_once        how many store at the same time once it is back
    between_lines  seconds between two log lines
    """

    seconds: float = 120.0
    calls: int = 50
    bytes: int = 16 * 1024 * 1024
    copy_seconds: float = 6.0
    pause: float = 1.0
    at_once: int = 8
    between_lines: float = 10.0


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True, eq=False)
class _Call(Generic[T]):
    place: str
    size: int
    since: str
    # What came of it, for its copies: None where it gave up.
    outcome: asyncio.Future[T | None]


class Held(Generic[T]):
    """The calls of this process that wait, by the digest of what they hold."""

    def __init__(self, *, now: Clock, bounds: Bounds = BOUNDS) -> None:
        self._now = now
        self._bounds = bounds
        self._calls: dict[str, _Call[T]] = {}
        self._bytes = 0
        self._said_at = float("-inf")
        self._turns: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_turn = float("-inf")
        # Calls that have their turn and are not done with it.
        self._under_way = 0
        self._failures = 0
        self._gate = asyncio.Semaphore(bounds.at_once)

    def __contains__(self, digest: str) -> bool:
        return digest in self._calls

    def is_beyond(self, digest: str, *, place: str, size: int) -> bool:
        """Whether a delivery of `size` bytes for `place` cannot be stored now, since others wait for it, nor be held.

        Who asks before the first try answers at once, and takes up none of the instance's places for requests.
        """
        away = any(call.place == place for call in self._calls.values())
        return away and digest not in self._calls and not self._has_room(size)

    async def hold(self, digest: str, *, place: str, size: int, seconds: float, store: Callable[[], Awaitable[T]]) -> T:
        """What `store` returns once it succeeds, for a delivery of `size` bytes that has waited for `seconds` already.

        `store` is called again for as long as it raises `Transient`; what else it raises is raised. `place` names where
        it stores. Raises `NotStored` beyond the bounds.
        """
        if digest in self._calls:  # a copy came in while both were tried
            return await self.follow(digest, seconds=seconds)
        if not self._has_room(size):
            raise NotStored("bounds")
        call = self._admit(digest, place, size)
        stored: T | None = None
        try:
            async with asyncio.timeout(self._bounds.seconds - seconds):
                stored = await self._stored(store)
        except TimeoutError as error:
            raise NotStored("waited") from error
        finally:
            call.outcome.set_result(stored)
            self._dismiss(digest)
        return stored

    async def follow(self, digest: str, *, seconds: float = 0.0) -> T:
        """What comes of the delivery that is held under `digest`, of which this is a copy that came `seconds` ago.

        Raises `NotStored` where nothing does while the sender of the copy is there. Nothing is lost by that: the first
        one is held on.
        """
        outcome = self._calls[digest].outcome
        await asyncio.wait({outcome}, timeout=max(0.0, self._bounds.copy_seconds - seconds))
        stored = outcome.result() if outcome.done() else None
        if stored is None:
            raise NotStored("copy")
        return stored

    def _has_room(self, size: int) -> bool:
        return len(self._calls) < self._bounds.calls and self._bytes + size <= self._bounds.bytes

    def _admit(self, digest: str, place: str, size: int) -> _Call[T]:
        loop = asyncio.get_running_loop()
        if not self._calls:
            self._last_turn = loop.time()  # this call has just tried
        call: _Call[T] = _Call(place, size, sortable(self._now()), loop.create_future())
        self._calls[digest] = call
        self._bytes += size
        HELD.record(len(self._calls))
        self._say()
        return call

    def _dismiss(self, digest: str) -> None:
        self._bytes -= self._calls.pop(digest).size
        HELD.record(len(self._calls))
        if not self._calls:
            self._said_at = float("-inf")

    def _say(self) -> None:
        """Report how many are held, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._said_at >= self._bounds.between_lines:
            self._said_at = now
            since = next(iter(self._calls.values())).since
            log.warning(line("holding", count=len(self._calls), bytes=self._bytes, since=since))

    async def _stored(self, store: Callable[[], Awaitable[T]]) -> T:
        while True:
            async with self._turn():
                self._say()
                failures = self._failures
                async with self._gate:
                    # While this one waited at the gate another has failed: back to one try a second.
                    if failures == self._failures:
                        try:
                            stored = await store()
                        except Transient:
                            self._failures += 1
                        else:
                            self._wake(len(self._turns))
                            return stored

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for this call's turn; within it no other gets one by the clock."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._arrange()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._under_way -= 1
            else:
                self._turns.remove(turn)
            self._arrange()

    def _arrange(self) -> None:
        """See to it that somebody gets the next turn."""
        if self._turns and not self._under_way and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._last_turn + self._bounds.pause), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._last_turn = asyncio.get_running_loop().time()
        self._wake(1)

    def _wake(self, many: int) -> None:
        """Give a turn to the `many` that have waited longest."""
        waiting = [turn for turn in self._turns if not turn.done()]
        for turn in waiting[:many]:
            self._turns.remove(turn)
            turn.set_result(None)
            self._under_way += 1

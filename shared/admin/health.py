"""Is everything reachable that the sync needs? Anybody may ask, so the services are asked once a minute at most."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared.errors import AnothersAccount, BadSettings, Transient, describe
from shared.settings import Settings, notes
from shared.telemetry import line, where
from shared.timestamps import Clock, sortable

log = logging.getLogger("outreach_dynamics.health")

FRESH_SECONDS = 60.0
# So old a report may be for those who come while another is being made: with a part that hangs that takes seconds, and
# they would take up the instance's places for requests, Outreach's among them.
STANDS_IN_SECONDS = 120.0
PATIENCE_SECONDS = 8.0

# Raises where the part is not well; returns what is to be noted all the same, or nothing.
Check = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `reason`: why it is not well, or what is to be noted of one that is; nothing secret is in it."""

    well: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How each part is, by name, and since when that is known."""

    checked_at: str
    parts: Mapping[str, Part]

    @property
    def well(self) -> bool:
        """Whether every part is."""
        return all(part.well for part in self.parts.values())


class Health:
    """`checks` by name of the part; `clock` is a monotonic clock in seconds."""

    def __init__(self, checks: Mapping[str, Check], *, clock: Callable[[], float], now: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._now = now
        self._last: tuple[float, Report] | None = None
        self._look: asyncio.Task[Report] | None = None

    async def report(self) -> Report:
        """How everything is, seen a moment ago at most."""
        look = self._look
        under_way = look is not None and not look.done()
        last = self._not_older_than(STANDS_IN_SECONDS if under_way else FRESH_SECONDS)
        if last is not None:
            return last
        if look is None or look.done():
            look = self._look = asyncio.create_task(self._examine())
        # Shielded: whoever hangs up takes nothing from the others, and does not make the next one ask again.
        return await asyncio.shield(look)

    def _not_older_than(self, seconds: float) -> Report | None:
        return self._last[1] if self._last is not None and self._clock() - self._last[0] < seconds else None

    async def _examine(self) -> Report:
        results = await asyncio.gather(*map(self._one, self._checks.values()))
        parts = dict(zip(self._checks, results, strict=True))
        report = Report(sortable(self._now()), parts)
        self._last = (self._clock(), report)
        return report

    async def _one(self, check: Check) -> Part:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                note = await check()
        except (ValueError, KeyError, TypeError):
            return Part(well=False, reason="Its answer makes no sense; is the address right?")
        except Exception as error:  # noqa: BLE001 - without a report the services would be asked again by everybody
            described = describe(error)
            if described.unforeseen:
                log.error(line("unforeseen", correlation_id="", error=type(error).__name__, at=where(error)))  # noqa: TRY400 - its message may repeat a value
            return Part(well=False, reason=described.words)
        return Part(well=True, reason=note or "")


def reached(ask: Callable[[], Awaitable[object]]) -> Check:
    """A part is well if it answers."""

    async def check() -> None:
        await ask()

    return check


def settings_check(
    settings: Callable[[], Settings], environment: Mapping[str, str], *, check_owner: Callable[[], Awaitable[None]]
) -> Check:
    """Settings are well if none is wrong and the storage account is ours; what is odd is noted."""

    async def check() -> str:
        try:
            problems = settings().ingest.secrets.problems
        except BadSettings as error:
            problems = error.problems
        try:
            await check_owner()
        except AnothersAccount as error:
            problems = (*problems, *error.problems)
        if problems:
            raise Transient(" ".join(problems), service="settings")
        return " ".join(notes(environment))

    return check

"""The lag of the last day as a picture: the geometry; a template draws it. Logarithmic, because an outage is hours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.console.words import lasting
from shared.storage.statistics import SLOT, Totals, slot_of

DAY = timedelta(days=1)
WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 88, 8, 14, 30
# So far apart must two labels be; on a phone they are large.
_APART = 24
_LINES = (1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400)
_HOURS_BETWEEN_LABELS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One slot: from `y` down to the axis the slowest event, `mean_y` the average."""

    x: float
    y: float
    width: float
    height: float
    mean_y: float
    slot: datetime
    mean: float
    slowest: float
    events: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A line or a label on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template needs. `summary` says the same in a sentence."""

    bars: tuple[Bar, ...]
    levels: tuple[Tick, ...]
    hours: tuple[Tick, ...]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    floor: int = HEIGHT - BOTTOM


def lag_chart(slots: Mapping[datetime, Totals], now: datetime) -> Chart:
    """The chart of the 24 hours that end with the slot of `now`."""
    first = slot_of(now) + SLOT - DAY
    shown = {slot: totals for slot, totals in sorted(slots.items()) if slot >= first and totals.lags}
    slowest = max((totals.lag_max for totals in shown.values()), default=0.0)
    top = next((line for line in _LINES[2:] if line >= slowest), _LINES[-1])
    width = (WIDTH - LEFT - RIGHT) / (DAY / SLOT)

    def y(seconds: float) -> float:
        share = math.log10(min(max(seconds, 1.0), top)) / math.log10(top)
        return round(HEIGHT - BOTTOM - 2 - share * (HEIGHT - BOTTOM - TOP - 2), 1)

    def x(moment: datetime) -> float:
        return round(LEFT + (moment - first) / SLOT * width, 1)

    bars = tuple(
        Bar(
            x=x(slot) + 0.5,
            y=y(totals.lag_max),
            width=round(width - 1, 1),
            height=round(HEIGHT - BOTTOM - y(totals.lag_max), 1),
            mean_y=y(totals.lag_sum / totals.lags),
            slot=slot,
            mean=totals.lag_sum / totals.lags,
            slowest=totals.lag_max,
            events=totals.lags,
        )
        for slot, totals in shown.items()
    )
    full_hours = (first + SLOT * number for number in range(int(DAY / SLOT)))
    hours = tuple(
        Tick(x(moment), f"{moment:%H:%M}")
        for moment in full_hours
        if moment.minute == 0 and moment.hour % _HOURS_BETWEEN_LABELS == 0
    )
    levels = _apart(Tick(y(line), lasting(line).replace(".0", "")) for line in reversed(_LINES) if line <= top)
    return Chart(bars, levels, hours, _summary(bars))


def _apart(ticks: Iterable[Tick]) -> tuple[Tick, ...]:
    """Those of `ticks`, from the top down, that do not come too close to the one above."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= _APART:
            kept.append(tick)
    return tuple(kept)


def _summary(bars: tuple[Bar, ...]) -> str:
    if not bars:
        return "In the last 24 hours no event changed Dynamics."
    events = sum(bar.events for bar in bars)
    mean = sum(bar.mean * bar.events for bar in bars) / events
    worst = max(bars, key=lambda bar: bar.slowest)
    return (
        f"In the last 24 hours {events} {'event' if events == 1 else 'events'} changed Dynamics, on average "
        f"{lasting(mean)} after the change in Outreach; the slowest took {lasting(worst.slowest)}, at about "
        f"{worst.slot:%H:%M} UTC."
    )

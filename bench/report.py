"""What was measured, held against its budget: as a table for people, as JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table

Verdict = Literal["ok", "over", ""]

_CAPTION = (
    "A count over its budget fails the run; a time, which is different on every machine, is only reported. What each "
    "line means, and where the dollars come from: docs/performance.md."
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One line. `budget`: at most this much of `ours`. `counted`: the same on every machine, so a budget must hold.

    A time is different on every machine and in every minute; its budget is judged and never fails the run.
    """

    section: str
    what: str
    ours: float
    unit: str = ""
    naive: float | None = None
    budget: float | None = None
    counted: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours ÷ naive."""
        return self.ours / self.naive if self.naive else None

    @property
    def verdict(self) -> Verdict:
        """Whether the budget holds; empty where there is none."""
        if self.budget is None:
            return ""
        return "ok" if self.ours <= self.budget else "over"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def broken(measures: Sequence[Measure]) -> list[Measure]:
    """Counted budgets that do not hold."""
    return [measure for measure in measures if measure.counted and measure.verdict == "over"]


def to_json(measures: Sequence[Measure], *, quick: bool) -> dict[str, Any]:
    """The whole run."""
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.platform()}
    return {
        "quick": quick,
        "machine": machine,
        "measures": [measure.to_json() for measure in measures],
        "broken": [measure.what for measure in broken(measures)],
    }


def to_table(measures: Sequence[Measure]) -> Table:
    """One line for each, in groups."""
    table = Table(
        title="The product beside a naive build of the same job",
        title_justify="left",
        caption=_CAPTION,
        caption_justify="left",
    )
    table.add_column("")
    for name in ("budget", "ours", "naive", "ours ÷ naive"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    section = ""
    for measure in measures:
        if measure.section != section:
            section = measure.section
            table.add_section()
            table.add_row(f"[bold]{section}[/]")
        table.add_row(
            f"  {measure.what}" + (f" [dim]{measure.note}[/]" if measure.note else ""),
            "" if measure.budget is None else f"≤ {_number(measure.budget)}",
            _amount(measure.ours, measure.unit),
            "" if measure.naive is None else _amount(measure.naive, measure.unit),
            "" if measure.ratio is None else _number(measure.ratio),
            _shown(measure),
        )
    return table


def _shown(measure: Measure) -> str:
    return {"ok": "[green]ok[/]", "over": "[bold red]over[/]" if measure.counted else "[yellow]over[/]", "": ""}[
        measure.verdict
    ]


def _amount(value: float, unit: str) -> str:
    return f"${value:,.2f}" if unit == "$" else f"{_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"

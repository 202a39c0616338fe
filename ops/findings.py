"""Findings of a check: what is right, what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

State = Literal["ok", "warning", "problem", "skipped"]

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("ok  ", "green"),
    "warning": ("note", "yellow"),
    "problem": ("BAD ", "bold red"),
    "skipped": ("skip", "dim"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fix` says what to do, unless it is all right."""

    area: str
    state: State
    what: str
    fix: str = ""


def has_problems(findings: Iterable[Finding]) -> bool:
    """Whether any of them keeps the sync from working as configured."""
    return any(finding.state == "problem" for finding in findings)


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """As `--json` prints them."""
    return {"ok": not has_problems(findings), "findings": [asdict(finding) for finding in findings]}


def say(findings: Sequence[Finding], console: Console) -> None:
    """Print them by area, the fix beneath each."""
    for area in dict.fromkeys(finding.area for finding in findings):
        console.print(Text(area, style="bold"))
        for finding in findings:
            if finding.area == area:
                _say_one(finding, console)
    bad = sum(finding.state == "problem" for finding in findings)
    notes = sum(finding.state == "warning" for finding in findings)
    if bad:
        console.print(Text(f"{bad} to mend, {notes} to note.", style="bold red"))
    else:
        console.print(Text(f"All is well; {notes} to note.", style="bold green"))


def _say_one(finding: Finding, console: Console) -> None:
    mark, style = _MARKS[finding.state]
    table = Table.grid(padding=(0, 2))
    table.add_row("", Text(mark, style=style), Text(finding.what, overflow="fold"))
    if finding.fix:
        table.add_row("", "", Text(f"-> {finding.fix}", overflow="fold"))
    console.print(table)

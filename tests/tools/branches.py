"""Says how much of each room the last run under coverage took; exit code 1 where a branch of the meeting was not taken.

`make coverage` runs it after the tests.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from coverage import Coverage

MEETING = "shared/meeting"


def rooms(report: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """By room, lines and branches: how many there are, and how many were taken."""
    there: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for file, found in report["files"].items():
        room, summary = _room(Path(file)), found["summary"]
        there[room] += summary["num_statements"] + summary["num_branches"]
        taken[room] += summary["covered_lines"] + summary["covered_branches"]
    return {room: (there[room], taken[room]) for room in sorted(there)}


def _room(file: Path) -> str:
    """`shared/meeting` of `shared/meeting/merge.py`; `shared` of a module that is in no room."""
    return "/".join(file.parts[:2] if file.parts[0] == "shared" and len(file.parts) > 2 else file.parts[:1])


def not_taken(report: dict[str, Any]) -> list[str]:
    """Lines and branches of the meeting that no test took."""
    return [
        f"{file}: lines {found['missing_lines']}, branches {found['missing_branches']}"
        for file, found in report["files"].items()
        if _room(Path(file)) == MEETING and (found["missing_lines"] or found["missing_branches"])
    ]


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "coverage.json")
        measured = Coverage()
        measured.load()
        measured.json_report(outfile=str(file))
        report = json.loads(file.read_text(encoding="utf-8"))
    print("lines and branches that a test takes, by room:")
    found = rooms(report)
    for room, (there, taken) in {**found, "all": _sum(found)}.items():
        print(f"  {room:20} {taken / max(there, 1):7.2%} of {there}")
    missing = not_taken(report)
    for line in missing:
        print(f"no test takes {line}")
    return 1 if missing else 0


def _sum(found: dict[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(there for there, _ in found.values()), sum(taken for _, taken in found.values())


if __name__ == "__main__":
    sys.exit(main())

"""Draws the rooms of the code into docs/architecture.md: who imports whom, without what follows from other arrows.

python -m tests.tools.rooms
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import grimp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
_PICTURE = re.compile(r"(?<=<!-- rooms -->\n).*?(?=<!-- /rooms -->)", re.DOTALL)

Arrows = Mapping[str, frozenset[str]]


def imports() -> Arrows:
    """By room, the rooms that it imports."""
    graph = grimp.build_graph("shared", "functions", "ops", "sandbox")
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            here, there = _room(module), _room(imported)
            if here != there:
                found.setdefault(here, set()).add(there)
    return {room: frozenset(rooms) for room, rooms in found.items()}


def _room(module: str) -> str:
    """`meeting` of `shared.meeting.merge`, `ops` of `ops.checks.storage`."""
    package, *rest = module.split(".")
    return rest[0] if package == "shared" and rest else package


def reduced(arrows: Arrows) -> Arrows:
    """`arrows` without those that others say already."""
    return {
        room: frozenset(
            target
            for target in targets
            if not any(_leads(other, target, arrows) for other in targets if other != target)
        )
        for room, targets in arrows.items()
    }


def _leads(start: str, end: str, arrows: Arrows) -> bool:
    seen, left = set[str](), [start]
    while left:
        room = left.pop()
        if room == end:
            return True
        if room not in seen:
            seen.add(room)
            left += arrows.get(room, ())
    return False


def picture() -> str:
    """The mermaid text."""
    lines = [
        f"  {room} --> {target}" for room, targets in sorted(reduced(imports()).items()) for target in sorted(targets)
    ]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```", ""])


def drawn(page: str) -> str:
    """The picture that stands in the page."""
    found = _PICTURE.search(page)
    assert found is not None
    return found[0]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_PICTURE.sub(lambda _: picture(), text), encoding="utf-8")

"""docs/architecture.md is true: the picture is that of the code, and each file that it names holds what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.rooms import PAGE, drawn, imports, picture, reduced

ROOT = PAGE.parent.parent
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w./-]+\.\w+)` \| (.*) \|$", TEXT, re.MULTILINE)


def test_the_picture_is_that_of_the_code() -> None:
    """Drawn anew it is the same; if not: python -m tests.tools.rooms."""
    assert drawn(TEXT) == picture()


def test_the_picture_leaves_out_only_what_follows() -> None:
    """Whoever imports somebody reaches them along the arrows."""
    arrows, kept = imports(), reduced(imports())
    for room, targets in arrows.items():
        reached, left = set[str](), [room]
        while left:
            for target in kept.get(left.pop(), ()):
                if target not in reached:
                    reached.add(target)
                    left.append(target)
        assert targets <= reached, room


@pytest.mark.parametrize(("file", "says"), ROWS, ids=[file for file, _ in ROWS])
def test_each_file_holds_what_the_page_says(file: str, says: str) -> None:
    """It is there, and every name that stands beside it is in it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    for name in re.findall(r"`([^`]+)`", says):
        assert name in text, f"{file} has no {name}"


def test_every_room_is_told() -> None:
    """The table of rooms names every folder of `shared/`, and every other room of the picture."""
    (table,) = re.findall(r"^\| room \|.*?(?=\n\n)", TEXT, re.MULTILINE | re.DOTALL)
    rooms = {path.parent.name for path in (ROOT / "shared").glob("*/__init__.py")} | {"functions", "ops", "sandbox"}
    assert {room for room in rooms if f"`shared/{room}`" not in table and f"`{room}`" not in table} == set()


def test_six_changes_are_worked_through() -> None:
    """Each with the files that it touches, the test among them."""
    _, *changes = TEXT.partition("## Six changes")[2].split("\n### ")
    assert len(changes) == 6
    for change in changes:
        files = re.findall(r"^\| `(\S+)` \|", change, re.MULTILINE)
        assert len(files) >= 3
        assert any(Path(file).parts[0] == "tests" for file in files)

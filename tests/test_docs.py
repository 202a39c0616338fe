"""What the pages say is what the code does: tables of the README and the mapping page against their sources."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.mapping import Condition
from shared.meeting.transforms import TRANSFORMS
from shared.settings import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "infra").glob("*.md")])


def test_readme_has_every_mapping_row() -> None:
    """The README's mapping table has the rows of the built-in mapping, in its order, and their columns."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if re.match(r"\| [A-Z][\w? ]+ \| .* \|", line)]
    for row in load_mapping(DEFAULT_MAPPING_FILE).rows:
        (line,) = [line for line in table if line.startswith(f"| {row.row} |")]
        named = {"appointment_activity_parties": "activity parties"}.get(row.column, f"`{row.column}`")
        assert named in line


def test_readme_tells_every_default() -> None:
    """The README's settings table has the defaults that the code has."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for setting in SETTINGS:
        shown = "**required**" if setting.default is None else f"`{setting.default}`" if setting.default else "none"
        assert f"| `{setting.name}` | {shown} |" in text


def test_mapping_page_names_every_transform_and_condition() -> None:
    """Nothing that the mapping file may hold is missing from its page."""
    text = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
    operators = get_args(Condition.model_fields["is_"].annotation)
    for name in (*TRANSFORMS, *operators):
        assert f"`{name}`" in text


def test_mapping_page_examples_are_right() -> None:
    """The page's examples are rows that the mapping takes."""
    text = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
    examples = [json.loads(found) for found in re.findall(r'\{\s*"row".*?\]\s*\}', text, re.DOTALL)]
    default = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    assert len(examples) == 2
    assert examples[0] in default["rows"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the project finds it."""
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target

"""What the pages say is what the code does: tables of the README and the mapping page against their sources."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.mapping import Condition, parse_mapping
from shared.meeting.transforms import TRANSFORMS
from shared.settings import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "infra").glob("*.md")])


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
    starts = [found.start() for found in re.finditer(r'\{\s*"row"', text)]
    examples = [json.JSONDecoder().raw_decode(text[start:])[0] for start in starts]
    default = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    assert examples[0] in default["rows"]
    own = {row["column"]: row for row in examples[1:]}
    assert len(own) >= 3
    mapping = parse_mapping(default | {"rows": [*default["rows"], *own.values()]}, origin="docs/mapping.md")
    assert own.keys() <= {row.column for row in mapping.rows}


def anchors(page: Path) -> set[str]:
    """What a link to a heading of `page` may end in, as GitHub makes it of the heading."""
    found: Counter[str] = Counter()
    names = set()
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).strip().replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the project finds it, and the heading in it."""
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        target, _, heading = link.partition("#")
        file = page.parent / target if target else page
        assert file.exists(), link
        if heading and file.suffix == ".md":
            assert heading in anchors(file), link


def test_links_to_the_world_are_whole() -> None:
    """A link that leaves the project names its host, and never one of a machine."""
    for page in PAGES:
        for link in re.findall(r"\]\((\w+:[^)\s]+)\)", page.read_text(encoding="utf-8")):
            assert re.match(r"https://[\w.-]+\.\w{2,}(/|$)", link), link


def test_pages_that_the_code_names_are_there() -> None:
    """Whatever sends a reader to a page sends them to one that exists."""
    named = {
        (str(file.relative_to(ROOT)), page)
        for pattern in ("shared/**/*.py", "functions/*.py", "ops/**/*.py", "infra/**/*.bicep", "*.toml", "Makefile")
        for file in ROOT.glob(pattern)
        for page in re.findall(r"\b(?:docs|infra)/[\w/-]+\.md\b", file.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    for file, page in named:
        assert (ROOT / page).exists(), f"{file} names {page}"

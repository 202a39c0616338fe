"""The bench itself: it runs, its counted budgets hold, and it fails where one does not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from sandbox.azurite import ROOT

SECONDS = 3600.0


@pytest.fixture(scope="module")
def quick() -> tuple[int, dict[str, Any]]:
    """Exit code and findings of one quick run."""
    command = [sys.executable, "-m", "bench", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - our own program
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def found(findings: dict[str, Any], section: str) -> dict[str, dict[str, Any]]:
    """The measures of the sections whose name begins so, by what they are."""
    return {one["what"]: one for one in findings["measures"] if one["section"].startswith(section)}


def test_counted_budgets_hold(quick: tuple[int, dict[str, Any]]) -> None:
    """A quick run ends well, and every budget that is counted was really held against a number."""
    code, findings = quick
    assert findings["broken"] == []
    assert code == 0
    assert sum(one["counted"] for one in findings["measures"]) == 16


def test_an_applied_event_costs_what_the_design_says(quick: tuple[int, dict[str, Any]]) -> None:
    """One Dataverse call, four table operations, one queue message, and nobody is asked about people who are known."""
    applied = found(quick[1], "an event that is applied")
    assert {what: one["ours"] for what, one in applied.items()} == {
        "Dataverse calls": 1,
        "table operations": 4,
        "messages put into the queue": 1,
        "Outreach calls": 0,
    }


def test_the_counters_count(quick: tuple[int, dict[str, Any]]) -> None:
    """The naive build's calls are seen too: a look-up and a write at least, and people for every booking."""
    applied = found(quick[1], "an event that is applied")
    assert applied["Dataverse calls"]["naive"] >= 2
    assert applied["Outreach calls"]["naive"] > 0.5
    strange = found(quick[1], "an event that names somebody new")
    assert strange["Outreach calls"]["ours"] == 1


def test_every_part_was_measured(quick: tuple[int, dict[str, Any]]) -> None:
    """Nothing is left out, and no time or size is nothing."""
    measures = quick[1]["measures"]
    for section in ("a fresh worker", "services that answer at once", "services that take", "the pure core", "dollars"):
        part = found(quick[1], section)
        assert part, section
        assert all(one["ours"] > 0 for one in part.values())
    assert any("a tenth twice" in one["section"] for one in measures)


def test_the_page_has_every_line(quick: tuple[int, dict[str, Any]]) -> None:
    """docs/performance.md shows a run with all the lines that there are; numbers in their names may differ."""
    page = _without_numbers((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))
    for one in quick[1]["measures"]:
        assert f"**{_without_numbers(one['section'])}**" in page
        assert f"| {_without_numbers(one['what'])}" in page


def _without_numbers(text: str) -> str:
    return re.sub(r"[\d,.]*\d", "0", text)

"""What GitHub may do: pinned actions, least permissions, and a package of exactly what runs in Azure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.name: path.read_text() for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
RUNS_IN_AZURE = ["function_app.py", "host.json", "requirements.txt", "functions", "shared"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit(name: str) -> None:
    """A tag can be moved to other code, a commit cannot; the version stands beside it for people."""
    actions = re.findall(r"uses: (?!\./)(.+)", WORKFLOWS[name])
    assert "uses:" in WORKFLOWS[name]
    for action in actions:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_one_action_has_one_version() -> None:
    """The workflows do not drift apart."""
    pins = {action for text in WORKFLOWS.values() for action in re.findall(r"uses: (\S+@\S+)", text)}
    assert pins
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_and_no_more(name: str) -> None:
    """What a job needs beyond reading, it asks for itself: a token to sign in to Azure with."""
    assert "\npermissions:\n  contents: read\n\n" in WORKFLOWS[name]
    assert set(re.findall(r"^ +([\w-]+): write$", WORKFLOWS[name], re.MULTILINE)) <= {"id-token"}
    assert not re.search(r"\$\{\{[^}]*secrets\.", WORKFLOWS[name])


def test_the_package_is_what_runs_in_azure() -> None:
    """The workflow packs these files by name."""
    packed = re.search(r"zip -qr app\.zip (.+) -x", WORKFLOWS["deploy.yml"])
    assert packed
    assert packed[1].split() == RUNS_IN_AZURE


def test_funcignore_leaves_the_same_package() -> None:
    """Tools that pack the folder leave out all that the workflow does not name."""
    rules = [rule for rule in (ROOT / ".funcignore").read_text().splitlines() if rule and not rule.startswith("#")]

    def ignored(path: Path) -> bool:
        fitting = [rule for rule in rules if path.is_dir() or not rule.endswith("/")]
        return any(path.match(rule.rstrip("/")) for rule in fitting)

    assert {path.name for path in ROOT.iterdir() if not ignored(path)} == set(RUNS_IN_AZURE)

"""What GitHub may do: pinned actions, least permissions, and a package of exactly what runs in Azure."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
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


@pytest.mark.parametrize("name", WORKFLOWS)
def test_one_script_sets_variables(name: str) -> None:
    """Nothing else writes to the files that GitHub reads variables, paths and outputs from."""
    assert not re.search(r"GITHUB_(ENV|PATH|OUTPUT|STATE)", WORKFLOWS[name])


def handed_over(variables: object, folder: Path) -> dict[str, str]:
    """The variables that the steps which follow see, by GitHub's rules."""
    file = folder / "env"
    file.write_text("BEFORE=1\n")
    shell = shutil.which("sh")
    assert shell
    subprocess.run(  # noqa: S603 - our own script
        [shell, str(ROOT / "infra/hooks/github-env.sh")],
        env={"PATH": os.environ["PATH"], "GITHUB_ENV": str(file)},
        input=json.dumps(variables),
        text=True,
        check=True,
    )
    lines = iter(file.read_bytes().decode().split("\n"))
    found: dict[str, str] = {}
    for line in lines:
        if not line:
            continue
        name, mark, end = line.partition("<<")
        if mark and "=" not in name:
            found[name] = "\n".join(itertools.takewhile(lambda line, end=end: line != end, lines))  # type: ignore[misc]
        else:
            name, _, found[name] = line.partition("=")
    assert found.pop("BEFORE") == "1"
    return found


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not on the path; GitHub's runners have it")
class TestVariables:
    @pytest.mark.parametrize(
        "value",
        [
            "plain",
            "",
            "a=b",
            "one\nPATH=/tmp\ntwo",
            "BASH_ENV<<X\n/tmp/evil\nX",
            "ends\n\n",
            "\n",
            "carriage\r\nreturn\rPATH=x",
            "$(id) `id` ${PATH} \\ ' \"",
            "Zürich 🗓",
        ],
    )
    def test_a_value_is_one_value(self, tmp_path: Path, value: str) -> None:
        """However many lines it has, and whatever they look like."""
        assert handed_over({"DATAVERSE_URL": value, "SYNC_PUSHING": "true"}, tmp_path) == {
            "DATAVERSE_URL": value,
            "SYNC_PUSHING": "true",
        }

    def test_the_end_of_a_value_cannot_be_guessed(self, tmp_path: Path) -> None:
        """It is another one each time."""
        ends = set()
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            handed_over({"DATAVERSE_URL": "x"}, folder)
            ends.add((folder / "env").read_text().splitlines()[-1])
        assert len(ends) == 2
        assert all(re.fullmatch(r"[0-9a-f]{32}", end) for end in ends)

    @pytest.mark.parametrize(
        "name", ["PATH", "BASH_ENV", "LD_PRELOAD", "GITHUB_TOKEN", "X\nPATH", "SYNC_A\nPATH", "azure_x"]
    )
    def test_names_are_ours(self, tmp_path: Path, name: str) -> None:
        """A variable of the repository takes the place of none that a shell or a program obeys."""
        assert handed_over({name: "evil"}, tmp_path) == {}

    def test_every_setting_and_output_comes_through(self, tmp_path: Path) -> None:
        """What the parameters read, and what the template returns."""
        parameters = (ROOT / "infra/main.bicepparam").read_text()
        names = re.findall(r"readEnvironmentVariable\('(\w+)'", parameters)
        names += re.findall(r"^output (\w+) ", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE)
        assert len(names) > 30
        given = dict.fromkeys([*names, "AZURE_RESOURCE_GROUP", "OUTREACH_S2S_GUID"], "x")
        assert handed_over(given, tmp_path) == given

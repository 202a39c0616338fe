"""The real host as a part of the stack: where it is looked for, and what it is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox import functions_host
from sandbox.azurite import ROOT
from sandbox.functions_host import FunctionsHost, HostNotAtHand, start_program
from sandbox.stack import Stack


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A start program that is there; nothing here starts it."""
    program = tmp_path / "start"
    program.touch()
    monkeypatch.setenv(functions_host.VARIABLE, str(program))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    return program


def test_where_it_is_missing_one_sentence_says_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable's program alone counts where the variable is set; a stack says so before anything starts."""
    monkeypatch.setenv(functions_host.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(HostNotAtHand) as raised:
        Stack("absent", host="functions", logs=tmp_path)
    said = str(raised.value)
    assert functions_host.VARIABLE in said
    assert "../shared/tools/functions-host/start" in said
    assert (said.count(". "), said.endswith(".")) == (0, True)


def test_the_start_program_of_the_variable_goes_first(at_hand: Path) -> None:
    """Whoever names one gets that one."""
    assert start_program() == at_hand


def test_it_is_given_the_deployed_files_and_the_keys_of_the_stack(at_hand: Path, tmp_path: Path) -> None:
    """The app's folder is what is deployed, without a local.settings.json; the keys lie in the folder of the run."""
    host = FunctionsHost.prepare(tmp_path / "run", function_key="f", admin_key="a")
    command = [str(part) for part in host.command(7071)]
    app, keys = (Path(command[command.index(option) + 1]) for option in ("--app", "--keys"))
    assert command[1] == str(at_hand)
    assert sorted(path.name for path in app.iterdir()) == ["function_app.py", "functions", "host.json", "shared"]
    assert all(path.resolve() == ROOT / path.name for path in app.iterdir())
    document = json.loads((keys / "host.json").read_text())
    assert (document["masterKey"]["value"], document["functionKeys"][0]["value"]) == ("a", "f")
    FunctionsHost.prepare(tmp_path / "run", function_key="f", admin_key="a")


def test_what_is_deployed_is_what_the_deployment_takes() -> None:
    """Nothing that .funcignore leaves out is in the app's folder, and nothing that the app imports is missing."""
    ignored = {line.strip("/") for line in (ROOT / ".funcignore").read_text().splitlines()}
    assert ignored.isdisjoint(functions_host.DEPLOYED)
    tracked = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    left = tracked - ignored - {"__pycache__"} - {path.name for path in ROOT.glob("*.md")}
    assert left - {"requirements.txt"} == set(functions_host.DEPLOYED)

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import bicep
from tests.tools.bicep import ROOT, compiler, said_about, variables_needed

COMPILER = """#!/bin/sh
{does}
"""


def program(folder: Path, does: str) -> str:
    """A compiler that does this at every call."""
    made = folder / "compiler"
    made.write_text(COMPILER.format(does=does))
    made.chmod(0o755)
    return str(made)


@pytest.mark.parametrize("does", ["echo a warning", "echo a warning >&2", "exit 1"])
def test_a_word_or_a_failure_is_told(tmp_path: Path, does: str) -> None:
    """A warning fails as an error does, on whichever output it is said."""
    assert said_about(tmp_path, program(tmp_path, does)).count("exit status") == 3


def test_silence_is_success(tmp_path: Path) -> None:
    """A compiler that says nothing found nothing."""
    assert said_about(tmp_path, program(tmp_path, "exit 0")) == ""


def test_a_parameter_file_gets_the_variables_that_it_needs_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a developer has set for a real deployment decides nothing."""
    monkeypatch.setenv("SYNC_ON_CANCEL", "of-the-developer")
    (tmp_path / "a.bicepparam").write_text("param a = readEnvironmentVariable('DATAVERSE_URL')\n")
    said = said_about(tmp_path, program(tmp_path, "env"))
    assert "DATAVERSE_URL=for-the-compiler" in said
    assert "SYNC_ON_CANCEL" not in said


def test_variables_with_a_default_are_not_needed() -> None:
    """Only what the compiler would miss is made up."""
    assert variables_needed(
        "param a = readEnvironmentVariable('A')\nparam b = int(readEnvironmentVariable('B', '1'))"
    ) == ["A"]


@pytest.mark.parametrize("variable", variables_needed((ROOT / "infra/main.bicepparam").read_text()))
def test_the_readme_names_the_variables_that_must_be_set(variable: str) -> None:
    """Without them the Azure CLI gives a number and no advice."""
    readme = (ROOT / "infra/README.md").read_text()
    sentence = readme.partition("have no default:")[2].partition("`examples/`")[0]
    assert f"`{variable}`" in sentence
    assert f"{variable}=" in readme.partition("Azure CLI alone")[2].partition("az deployment")[0]


def test_without_a_compiler_it_says_what_it_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody takes the silence of a compiler that is not there for its consent."""
    monkeypatch.setattr(bicep, "AT_HAND", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bicep.main() == 0
    assert "skipped 9 templates and 4 parameter files" in capsys.readouterr().out


IDENTITIES = """param location string
resource one 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'one'
  location: location
}
resource other 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: one.properties.clientId
  location: location
  colour: 'red'
  dependsOn: [one]
}
"""


def test_the_real_compiler_knows_the_rules_and_the_types(tmp_path: Path) -> None:
    """It finds a rule of the repository's own set broken, and a property that Azure's types do not know."""
    real = compiler()
    if real is None:
        pytest.skip(f"neither {bicep.AT_HAND} nor bicep on the path")
    (tmp_path / "bicepconfig.json").write_bytes((ROOT / "infra/bicepconfig.json").read_bytes())
    (tmp_path / "main.bicep").write_text(IDENTITIES)
    said = said_about(tmp_path, real)
    assert "no-unnecessary-dependson" in said
    assert "BCP037" in said

"""Where the browser of the tests comes from: what is there is used, what is missing is installed or told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.console import chromium

Put = Callable[[str, str], None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a program onto the path, on which there is nothing else but a shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("BIN", str(folder))

    def made(name: str, does: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)

    return made


def calls() -> list[str]:
    """What the programs have noted, in order."""
    noted = Path(os.environ["CALLS"])
    return noted.read_text().splitlines() if noted.exists() else []


def provided() -> str:
    """What is told while a browser is provided."""
    told: list[str] = []
    chromium.provide(told.append)
    return "\n".join(told)


def test_a_browser_that_is_there_costs_nothing(put: Put) -> None:
    """Nothing is installed and nothing said."""
    put("google-chrome", "exit 0")
    put("apt-get", 'echo "$@" >> "$CALLS"')
    assert provided() == ""
    assert calls() == []


def test_a_notice_in_place_of_a_browser_is_none(put: Put) -> None:
    """A package that only says which snap to install does not count; one that runs does."""
    put("chromium-browser", "exit 1")
    assert chromium.chromium() is None
    put("google-chrome-stable", "exit 0")
    assert str(chromium.chromium()).endswith("google-chrome-stable")


def test_a_missing_browser_is_installed(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was never asked what packages there are."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    install = """echo "$@" >> "$CALLS"; [ "$1" = update ] || printf '#!/bin/sh\\nexit 0\\n' > "$BIN/chromium"
    [ "$1" = update ] || /bin/chmod +x "$BIN/chromium" """
    put("apt-get", install)
    assert provided() == f"==> Browser: {chromium.INSTALL}"
    assert calls() == ["update", "install --yes --no-install-recommends chromium"]
    assert chromium.chromium() is not None


def test_without_the_right_to_install_it_is_told(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who is not root learns what to type; nothing fails."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    put("apt-get", 'echo "$@" >> "$CALLS"')
    assert chromium.INSTALL in provided()
    assert calls() == []


def test_an_installation_that_fails_is_told(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, say: the reason lies in the file that is named, and the tests go on without a browser."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    put("apt-get", "echo no network; exit 100")
    told = provided()
    assert "That did not work" in told
    log = Path(told.partition("(")[2].partition(")")[0])
    assert log.read_text() == "no network\nno network\n"
    log.unlink()


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_where_a_browser_is_required(monkeypatch: pytest.MonkeyPatch, value: str, *, expected: bool) -> None:
    """In CI a silent skip would hide what was not tested."""
    monkeypatch.setenv("CI", value)
    assert chromium.required() is expected

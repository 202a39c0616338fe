"""Packages of npm: installed once, whole or not at all, with a Node that is new enough."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import npm as module
from sandbox.azurite import install_azurite
from sandbox.npm import InstallFailed, NpmPackage, find_node, install

PACKAGE = NpmPackage("Thing", "@owner/thing", "1.2.3", brings=1)


def test_an_installed_azurite_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call finds it and starts no npm."""
    install_azurite()
    monkeypatch.setattr(module, "_npm_install", lambda *_: pytest.fail("npm was started again"))
    node, script = install_azurite()
    assert node.exists()
    assert script.exists()


# Stands in for npm: takes a while and leaves what a real install would leave.
FAKE_NPM = """
import json, pathlib, time
time.sleep(0.3)
with open({calls!r}, "a") as calls:
    calls.write("x")
package = pathlib.Path("node_modules/@owner/thing")
package.mkdir(parents=True)
(package / "package.json").write_text(json.dumps({{"version": {version!r}}}))
"""


@pytest.fixture
def fake_npm(tmp_path: Path) -> dict[str, str]:
    """An environment whose `npm` is quick and counts its calls in `calls`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "npm.py").write_text(FAKE_NPM.format(calls=str(tmp_path / "calls"), version=PACKAGE.version))
    # The first line of a script cannot name a program whose path holds a space.
    (tools / "npm").write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(tools / 'npm.py'))}\n")
    (tools / "npm").chmod(0o755)
    (tools / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    (tools / "node").chmod(0o755)
    return {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def test_two_processes_install_once(tmp_path: Path, fake_npm: dict[str, str]) -> None:
    """Two runs that start at once end with one installation, and both succeed."""
    program = "import sys, pathlib, sandbox.npm as n; "
    program += f"n.install(n.{PACKAGE!r}, pathlib.Path(sys.argv[1]))"
    runs = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=fake_npm, stderr=subprocess.DEVNULL)  # noqa: S603 - our own program
        for _ in range(3)
    ]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert (tmp_path / "calls").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("thing-")) == []


def test_another_version_is_replaced(tmp_path: Path, fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there of an older version goes away whole."""
    old = tmp_path / "thing" / "node_modules" / "@owner" / "thing"
    old.mkdir(parents=True)
    (old / "package.json").write_text('{"version": "1.0.0"}')
    (old / "leftover").touch()
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    install(PACKAGE, tmp_path)
    assert json.loads((old / "package.json").read_text())["version"] == PACKAGE.version
    assert not (old / "leftover").exists()


def test_a_failing_npm_leaves_nothing_and_says_so(
    tmp_path: Path, fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error carries the reason that npm gave, without its stack, and the next run starts from nothing."""
    said = "npm error FetchError: no network here\nnpm error     at ClientRequest (index.js:130:14) {\nnpm error }\n"
    (tmp_path / "tools" / "npm").write_text(f"#!/bin/sh\nprintf '%s' '{said}' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    with pytest.raises(InstallFailed, match=r"no network here$"):
        install(PACKAGE, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thing.lock", "tools"]


@pytest.mark.parametrize("version", ["v18.20.0", "nonsense"])
def test_a_node_that_is_too_old_is_not_taken(
    tmp_path: Path, fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """An old or broken Node leads to the one from PyPI."""
    (tmp_path / "tools" / "node").write_text(f"#!/bin/sh\necho {version}\n")
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    other = module.Node(Path("/node-of-pypi"), ("npm",))
    monkeypatch.setattr(module, "_node_from_pypi", lambda: other)
    assert find_node() == other


def test_a_node_that_is_new_enough_is_taken(fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own Node is preferred."""
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    assert find_node().program.parent == Path(fake_npm["PATH"].split(os.pathsep)[0])

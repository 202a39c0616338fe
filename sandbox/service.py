"""One part of the stack as a child process: how a program is started, where it answers, how it ends."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from sandbox.azurite import ROOT
from sandbox.certificates import Certificates
from sandbox.child import POLL_SECONDS, Child, ChildFailed, free_port
from sandbox.patience import PATIENCE

PORT_ATTEMPTS: Final = 5

_LISTENING: Final = re.compile(r"listening on (http://127\.0\.0\.1:\d+)\s")
_RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)

Module = Literal["dataverse", "outreach", "identity", "insights", "host"]


class Program(Protocol):
    """A program that listens on a port of 127.0.0.1. Times in seconds."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def start_seconds(self) -> float:
        """How long it may take until it is ready."""

    @property
    def stop_seconds(self) -> float:
        """How long it may take to end in good order."""

    def command(self, port: int) -> Sequence[str | Path]:
        """What to run; the folder is the repository's."""

    def address(self, output: str, *, port: int) -> str | None:
        """Its base address as soon as it is ready, judged by its output or by asking it."""

    def workers(self, pid: int) -> list[int] | None:
        """Process ids of what runs the app beside `pid`, the program; `None` where the program itself runs it."""


@dataclass(frozen=True, slots=True)
class OwnProgram:
    """A module of the sandbox that prints one line with `listening on` when it is ready.

    A stand-in with `certificates` listens on the next port too, behind TLS.
    """

    name: Module
    options: tuple[str, ...] = ()
    certificates: Certificates | None = None
    start_seconds: float = PATIENCE
    stop_seconds: float = PATIENCE

    def command(self, port: int) -> list[str | Path]:
        """As a person would start it."""
        folder: list[str | Path] = ["--certificates", self.certificates.folder] if self.certificates else []
        return [sys.executable, "-m", f"sandbox.{self.name}", "--port", str(port), *self.options, *folder]

    def address(self, output: str, *, port: int) -> str | None:  # noqa: ARG002 - it prints its port
        """The one that it prints."""
        found = _LISTENING.search(output)
        return found[1] if found else None

    def workers(self, pid: int) -> None:
        """Our host has none."""


class Service:
    """A program as a child, on the same port from one start to the next."""

    def __init__(self, program: Program, *, log: Path, environment: Mapping[str, str], port: int | None = None) -> None:
        """`environment`: all of it. `port`: the one wanted; without it, at 0, or where it is taken, a free one."""
        self.program = program
        self._log = log
        self._environment = dict(environment)
        self._port = port or None
        self._url: str | None = None
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """Its program's name."""
        return self.program.name

    @property
    def url(self) -> str:
        """Its base address."""
        if self._url is None:
            raise ChildFailed(f"{self.name} has no address before its first start; call start().")
        return self._url

    @property
    def tls_port(self) -> int:
        """Where it listens behind TLS, if it does."""
        return int(self.url.rpartition(":")[2]) + 1

    @property
    def child(self) -> Child:
        """Its process."""
        if self._child is None:
            raise ChildFailed(f"{self.name} was not started; call start().")
        return self._child

    def start(self) -> None:
        """Start and wait until it is ready; after a stop, on the same port."""
        if self._url is not None:
            self._start(int(self._url.rpartition(":")[2]))
            return
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._start(self._port if attempt == 1 and self._port is not None else free_port())
            except ChildFailed as error:
                if "address already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
            else:
                return

    def restart(self, **settings: str) -> None:
        """Stop in good order and start again, with these settings changed."""
        self.stop()
        self._environment |= settings
        self.start()

    def memory(self) -> float:
        """MiB that it and its workers have in memory now; 0 while it is away."""
        pid = self.child.pid
        return sum(map(_resident, [pid, *(self.program.workers(pid) or [])])) if pid is not None else 0.0

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._child is not None:
            self._child.stop(seconds=self.program.stop_seconds)

    def kill(self) -> None:
        """End it, and its worker with it, at once, as a crash of the machine would (SIGKILL)."""
        if self._child is not None:
            self._child.kill()

    def kill_worker(self) -> None:
        """End only the worker that runs the app, at once; the program starts it again by itself.

        Where the two are one process, both end and are started again.
        """
        deadline = time.monotonic() + self.program.start_seconds
        while (workers := self.program.workers(self.child.pid or 0)) == []:
            if not self.child.running or time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} has no worker to kill.\n{self.child.last_lines()}")
            time.sleep(POLL_SECONDS)
        if workers is None:
            self.kill()
            self.start()
            return
        for worker in workers:
            os.kill(worker, signal.SIGKILL)

    def _start(self, port: int) -> None:
        command = self.program.command(port)
        child = self._child = Child(self.name, command, log=self._log, environment=self._environment, folder=ROOT)
        child.start()
        child.wait_until_ready(
            lambda output: self.program.address(output, port=port) is not None, seconds=self.program.start_seconds
        )
        self._url = self.program.address(child.output(), port=port)


def _resident(pid: int) -> float:
    try:
        found = _RESIDENT.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0

"""One child process: its log, its readiness, its end.

A child never outlives its parent, even if the parent is killed outright: on Linux the kernel is asked for that
(`PR_SET_PDEATHSIG`). The kernel means the parent's *thread*, so start children from a thread that lives on.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from sandbox.environment import machine_environment
from sandbox.patience import PATIENCE

POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1
# Below the ephemeral range of Linux and macOS: a client that keeps trying a closed ephemeral port of its own machine
# can be given that very port as its own, connect to itself, and so keep the server from coming back.
PORTS = range(12_000, 32_000)


class ChildFailed(Exception):
    """A child process ended or did not become ready; the message ends with the last lines of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on. Somebody else may take it before its user does."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ChildFailed("No free TCP port on 127.0.0.1 among 200 tried; stop what holds them and try again.")


def _dies_with_parent() -> Callable[[], None] | None:
    """What the child runs before its program starts; `None` where the system has no such promise."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between the fork and the request
            os._exit(1)

    return ask_kernel


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGTERM and Ctrl-C end the program so that children are stopped in good order.

    SIGINT is asked for by name: a shell that starts a program in the background has it ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Child:
    """A program run as a child in a process group of its own, with both of its outputs in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """`environment`: all of the child's environment; `None`: what every program gets. `folder`: where it runs."""
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._environment = machine_environment() if environment is None else dict(environment)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id, or `None` before the start."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the program; it need not be ready when this returns."""
        if self.running:
            raise ChildFailed(f"{self.name} is already running; stop it first.")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours, no shell reads it
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=_dies_with_parent(),  # noqa: PLW1509 - two system calls that take no lock
            )

    def wait_until_ready(self, ready: Callable[[str], bool], *, seconds: float) -> None:
        """Wait until `ready(output since the start)`. Raises `ChildFailed` if the child ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready(self.output()):
            if not self.running:
                raise ChildFailed(f"{self.name} ended before it was ready.\n{self.last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ChildFailed(f"{self.name} was not ready after {seconds:g} s.\n{self.last_lines()}")
            time.sleep(POLL_SECONDS)

    def output(self) -> str:
        """What the program has printed since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def last_lines(self, count: int = 20) -> str:
        """The end of the output and where all of it is, for an error message."""
        return "\n".join([*self.output().splitlines()[-count:], f"(all of it: {self.log})"])

    def stop(self, *, seconds: float = PATIENCE) -> int | None:
        """Ask the program to end (SIGTERM) and kill it after `seconds`. Returns the exit code, if it ever ran."""
        if self._process is None:
            return None
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send the program itself a signal, as a terminal or a service manager would."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit code. Raises `ChildFailed` if it goes on."""
        if self._process is None:
            raise ChildFailed(f"{self.name} was not started; call start().")
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ChildFailed(f"{self.name} did not end within {seconds:g} s.\n{self.last_lines()}") from error

    def kill(self) -> None:
        """End the program and everything that it started, at once (SIGKILL)."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

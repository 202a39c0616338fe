"""Child processes: ready, ended, killed, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.child import Child, ChildFailed, interruptible
from tests.patience import PATIENCE

SLEEPER = "import time; print('ready', flush=True); time.sleep(3600)"
# Ends in good order on SIGTERM, and says so.
POLITE = """
import signal, sys, time
def end(*_):
    print("ended in good order", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(3600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(3600)
"""


def _child(tmp_path: Path, program: str) -> Child:
    return Child("test child", [sys.executable, "-c", program], log=tmp_path / "child.log")


def _is_ready(output: str) -> bool:
    return "ready" in output


def _alive(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not fetched by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _alive(pid)


def test_a_child_is_ready_when_its_output_says_so(tmp_path: Path) -> None:
    """start() returns at once, wait_until_ready() when the line is there."""
    child = _child(tmp_path, SLEEPER)
    child.start()
    child.wait_until_ready(_is_ready, seconds=PATIENCE)
    assert child.running
    child.kill()
    assert not child.running


def test_a_child_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The error carries the end of the log and where all of it is."""
    child = _child(tmp_path, "raise SystemExit('no such setting')")
    child.start()
    with pytest.raises(ChildFailed, match="no such setting") as caught:
        child.wait_until_ready(_is_ready, seconds=PATIENCE)
    assert str(tmp_path / "child.log") in str(caught.value)


def test_a_child_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    """After the time is over the child is gone."""
    child = _child(tmp_path, SLEEPER)
    child.start()
    with pytest.raises(ChildFailed, match="not ready"):
        child.wait_until_ready(lambda _: False, seconds=0)
    assert not child.running


def test_stop_lets_a_child_end_in_good_order(tmp_path: Path) -> None:
    """SIGTERM first; its exit code is handed back."""
    child = _child(tmp_path, POLITE)
    child.start()
    child.wait_until_ready(_is_ready, seconds=PATIENCE)
    assert child.stop() == 7
    assert "ended in good order" in child.output()


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    """SIGKILL after the grace."""
    child = _child(tmp_path, DEAF)
    child.start()
    child.wait_until_ready(_is_ready, seconds=PATIENCE)
    assert child.stop(seconds=0.05) == -signal.SIGKILL


def test_stopping_what_never_ran_is_no_error(tmp_path: Path) -> None:
    """A stack that failed half-way stops all its parts alike."""
    child = _child(tmp_path, SLEEPER)
    assert child.stop() is None
    child.kill()


def test_output_is_that_of_the_last_start(tmp_path: Path) -> None:
    """The readiness of the run before does not count for the next; the log file keeps both."""
    child = _child(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(3600)")
    pids = []
    for _ in range(2):
        child.start()
        child.wait_until_ready(lambda output: output.endswith("\n"), seconds=PATIENCE)
        pids.append(str(child.pid))
        assert child.output().split() == pids[-1:]
        child.stop()
    assert (tmp_path / "child.log").read_text().split() == pids


def test_a_running_child_is_not_started_twice(tmp_path: Path) -> None:
    """The second start is refused instead of losing sight of the first process."""
    child = _child(tmp_path, SLEEPER)
    child.start()
    with pytest.raises(ChildFailed, match="already running"):
        child.start()
    child.kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_a_child_ends_when_its_parent_is_killed_outright(tmp_path: Path) -> None:
    """SIGKILL leaves the parent no time to do anything, and still no child is left."""
    parent_program = f"""
import sys, time
from pathlib import Path
from sandbox.child import Child
child = Child("grandchild", [sys.executable, "-c", {SLEEPER!r}], log=Path({str(tmp_path / "grandchild.log")!r}))
child.start()
child.wait_until_ready(lambda output: "ready" in output, seconds=20)
print(child.pid, flush=True)
time.sleep(3600)
"""
    with subprocess.Popen([sys.executable, "-c", parent_program], stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603 - our own program
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert _alive(grandchild)
        parent.kill()
    assert _wait_until_gone(grandchild)


def test_sigterm_becomes_an_interrupt_and_only_within() -> None:
    """Within the block SIGTERM raises KeyboardInterrupt; afterwards the old handler is back."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before

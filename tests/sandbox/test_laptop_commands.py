"""The commands that people type: `python -m sandbox …` and `make …`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sandbox.azurite import ROOT
from sandbox.child import Child, free_port
from sandbox.environment import machine_environment
from sandbox.outreach.deliveries import MeetingScript
from sandbox.stack import HostKind
from tests.patience import PATIENCE

MAKE = shutil.which("make")


def _run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - our own program


@contextmanager
def _running(tmp_path: Path, *arguments: str, ready: str, **settings: str) -> Iterator[Child]:
    environment = {**machine_environment(), **settings}
    log = tmp_path / "command.log"
    child = Child("command", [sys.executable, *arguments], log=log, environment=environment, folder=ROOT)
    child.start()
    try:
        child.wait_until_ready(lambda output: re.search(ready, output) is not None, seconds=PATIENCE)
        yield child
    finally:
        child.kill()


@pytest.mark.parametrize("part", ["dataverse", "outreach"])
def test_a_stand_in_runs_alone_and_ends_on_sigterm(tmp_path: Path, part: str) -> None:
    """It prints its address once, answers there, and ends with 0."""
    with _running(tmp_path, "-m", "sandbox", part, "--port", "0", ready=r"listening on http://\S+\s") as child:
        (url,) = re.findall(r"^listening on (http://127\.0\.0\.1:\d+)$", child.output(), re.MULTILINE)
        assert httpx.get(f"{url}/__sandbox/counters").json()["total"] == 0
        assert child.stop() == 0


def test_the_host_runs_alone_and_ends_on_sigterm(tmp_path: Path, azurite: str) -> None:
    """It prints one line with `listening`, needs nothing but its environment, and ends without complaints."""
    settings = {
        "AzureWebJobsStorage": azurite,
        "OUTREACH_WEBHOOK_SECRET": "a-secret-for-tests-only",
        "DATAVERSE_URL": f"http://127.0.0.1:{free_port()}",
        "OUTREACH_API_URL": f"http://127.0.0.1:{free_port()}",
    }
    port = free_port()
    with _running(tmp_path, "-m", "sandbox", "host", "--port", str(port), ready="listening", **settings) as child:
        response = httpx.get(f"http://127.0.0.1:{port}/api/health")
        assert response.status_code == 503
        parts = {name: part["status"] for name, part in response.json()["parts"].items()}
        assert {name for name, status in parts.items() if status != "ok"} == {"dataverse", "outreach"}
        assert child.output().count("listening") == 1
        assert child.stop() == 0
        assert "ERROR" not in child.output()


@pytest.mark.parametrize("command", ["host", "up", "dataverse"])
def test_a_port_that_is_none_is_a_usage_error(command: str) -> None:
    """It is reported in a sentence."""
    done = _run(command, "--port", "99999")
    assert (done.returncode, "--port" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


UP = """
import pathlib, sys
from rich.console import Console
from sandbox.up import up
sys.exit(up(Console(), port=0, host=sys.argv[2], folder=pathlib.Path(sys.argv[1])))
"""


def test_up_runs_until_ctrl_c(tmp_path: Path, host_kind: HostKind) -> None:
    """It prints what to type, its example is accepted, and Ctrl-C ends all of it with 0."""
    with _running(tmp_path, "-c", UP, str(tmp_path), host_kind, ready="Ctrl-C stops") as child:
        addresses = json.loads((tmp_path / "up.json").read_text())
        example = str(tmp_path / "examples" / "1-booked.json")
        sent = _run("send", example, "--url", addresses["webhook_url"], "--secret", addresses["webhook_secret"])
        assert (sent.returncode, sent.stdout[:8]) == (0, "HTTP 202")
        assert child.pid is not None
        child.signal(signal.SIGINT)
        assert child.wait(PATIENCE) == 0
        assert not (tmp_path / "up.json").exists()
        with pytest.raises(httpx.TransportError):
            httpx.get(addresses["webhook_url"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the part's process in /proc")
def test_up_ends_when_a_part_ends_by_itself(tmp_path: Path, host_kind: HostKind) -> None:
    """A stack with a hole in it is no stack: it says which part ended, and ends with 1."""
    with _running(tmp_path, "-c", UP, str(tmp_path), host_kind, ready="Ctrl-C stops") as child:
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        (outreach,) = [pid for pid in children if b"sandbox.outreach" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(outreach), signal.SIGKILL)
        assert child.wait(PATIENCE) == 1
        assert "outreach has ended by itself" in child.output()


def test_send_reads_standard_input_and_fails_on_a_refusal(tmp_path: Path) -> None:
    """A 4xx answer is shown and ends with 1, because whoever sends by hand wants to know."""
    body = json.dumps(MeetingScript(1).booked().document)
    with _running(tmp_path, "-m", "sandbox.outreach", "--port", "0", ready=r"listening on http://\S+\s") as child:
        (url,) = re.findall(r"listening on (\S+)", child.output())
        done = _run("send", "-", "--url", f"{url}/nowhere", "--secret", "s", text=body)
    assert (done.returncode, done.stdout[:8]) == (1, "HTTP 404")


@pytest.mark.parametrize("content", ["no json", "[]"])
def test_send_says_what_is_wrong_with_its_file(content: str) -> None:
    """What is no JSON object is not sent."""
    done = _run("send", "-", "--url", "http://127.0.0.1:1/", "--secret", "s", text=content)
    assert done.returncode == 2
    assert "JSON" in done.stderr


def test_azurite_runs_alone_and_ends_on_sigterm(tmp_path: Path) -> None:
    """It prints its connection string and keeps the data in the folder named."""
    folder = tmp_path / "data"
    with _running(tmp_path, "-m", "sandbox", "azurite", "--folder", str(folder), ready="TableEndpoint") as child:
        assert child.stop() == 0
    assert (folder / "__azurite_db_table__.json").exists()


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_make_alone_names_every_target_with_its_sentence() -> None:
    """The default target is the help, and no target is without a sentence."""
    assert MAKE is not None
    done = subprocess.run([MAKE, "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own Makefile
    told = dict(re.findall(r"^  make (\w+) +(\S.*)$", done.stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(told) == set(phony[1].split())


# Stands in for a Python of another version: it answers as one does to the two questions that the Makefile asks.
OTHER_PYTHON = """#!/bin/sh
case "$2" in *sys.exit*) exit 1 ;; *) echo 3.15 ;; esac
"""


def _make_without_python(folder: Path, *options: str) -> str:
    """What `make lint` says in a copy of the project on a machine without a Python that fits."""
    assert MAKE is not None
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, folder)
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sh", "rm", "echo", "awk", "tee"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "python3").write_text(OTHER_PYTHON)
    (tools / "python3").chmod(0o755)
    environment = {"PATH": str(tools)}
    done = subprocess.run(  # noqa: S603 - our own Makefile
        [MAKE, "lint", *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stderr


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_make_says_when_there_is_no_python(tmp_path: Path) -> None:
    """Where no Python fits the error says what to do, and nothing is left behind."""
    assert "No Python 3.11 to 3.14 on the path." in _make_without_python(tmp_path)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("python3", "python3 is Python 3.15; this needs one from 3.11 to 3.14."),
        ("nowhere/python", "PYTHON=nowhere/python is no Python that runs."),
    ],
)
def test_a_python_that_does_not_fit_is_told_before_anything_is_installed(
    tmp_path: Path, named: str, sentence: str
) -> None:
    """Pip would only say that it finds no package."""
    assert _make_without_python(tmp_path, f"PYTHON={named}").startswith(sentence)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_a_virtual_environment_of_another_python_is_told(tmp_path: Path) -> None:
    """One that an older Python made, and one that was made with another than is named now."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text(OTHER_PYTHON)
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    said = _make_without_python(tmp_path)
    assert said.startswith(".venv has Python 3.15; this needs one from 3.11 to 3.14: type make clean first.")

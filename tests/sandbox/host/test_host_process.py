"""The host as a process: its one line, its signals, its death, its refusals to start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sandbox.azurite import ROOT, StorageNames
from tests.patience import PATIENCE
from tests.sandbox.host.running import count, queue_client

APP = """
from __future__ import annotations

import asyncio
import json
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
loop = asyncio.get_running_loop()
entered = asyncio.Event()
go_on = asyncio.Event()


@app.route(route="entered")
async def has_entered(req: func.HttpRequest) -> func.HttpResponse:
    await entered.wait()
    return func.HttpResponse("yes")


@app.route(route="go-on")
async def let_go(req: func.HttpRequest) -> func.HttpResponse:
    go_on.set()
    return func.HttpResponse("yes")


@app.route(route="sleep")
def sleep(req: func.HttpRequest) -> func.HttpResponse:
    loop.call_soon_threadsafe(entered.set)
    time.sleep(600)
    return func.HttpResponse("awake")


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    entered.set()
    await go_on.wait()
"""
HOST_JSON = {
    "version": "2.0",
    "extensionBundle": {"id": "bundle", "version": "[4.*, 5.0.0)"},
    "extensions": {"queues": {"maxPollingInterval": "00:00:00.2", "messageEncoding": "none"}},
}


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text(json.dumps(HOST_JSON))
    return tmp_path


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "sandbox.host", "--port", "0", "--root", str(folder), *options]


class HostProcess:
    """A host in a process of its own, ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.line = process.stdout.readline()
        self.url = self.line.split()[-1]

    def get(self, path: str) -> str:
        return httpx.get(f"{self.url}/{path}", timeout=PATIENCE).text

    def end(self) -> tuple[int, str]:
        """Ask it to stop; its exit code and what more it printed."""
        self.process.send_signal(signal.SIGTERM)
        more, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, more


@contextmanager
def host_process(folder: Path, **environ: str) -> Iterator[HostProcess]:
    with (
        (folder / "stderr.log").open("w") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            command(folder),
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield HostProcess(process)
        finally:
            process.kill()


def test_the_process_prints_one_line_and_stops_cleanly(
    app_folder: Path, azurite: str, storage_names: StorageNames
) -> None:
    """What is in work at the signal is finished first."""
    queue = storage_names.queue("work")
    with queue_client(azurite, queue) as client:
        client.create_queue()
        client.send_message("text")

    with host_process(app_folder, AzureWebJobsStorage=azurite, QUEUE=queue) as host:
        assert host.line.startswith("listening on http://127.0.0.1:")
        assert host.get("api/entered") == "yes"
        host.get("api/go-on")
        code, more = host.end()

    assert (code, more) == (0, "")
    assert count(azurite, queue) == 0
    assert "keys are not checked" in (app_folder / "stderr.log").read_text()


def test_a_thread_that_does_not_end_does_not_hold_up_the_stop(
    app_folder: Path, azurite: str, storage_names: StorageNames
) -> None:
    """Nobody can cancel it, so the process goes without it."""
    environ = {"AzureWebJobsStorage": azurite, "QUEUE": storage_names.queue("none")}
    with host_process(app_folder, SANDBOX_SHUTDOWN_GRACE_SECONDS="0.2", **environ) as host:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{host.url}/api/sleep", timeout=httpx.Timeout(PATIENCE, read=0.2))
        assert host.get("api/entered") == "yes"
        code, _ = host.end()

    assert code == 0


def test_a_killed_host_leaves_its_messages_to_the_lease(
    app_folder: Path, azurite: str, storage_names: StorageNames
) -> None:
    """They are invisible until it ends, then the next host gets them again."""
    queue = storage_names.queue("work")
    environ = {"AzureWebJobsStorage": azurite, "QUEUE": queue}
    with queue_client(azurite, queue) as client:
        client.create_queue()
        client.send_message("hidden for long")

        for lease in ("3600", "2"):
            with host_process(app_folder, SANDBOX_QUEUE_LEASE_SECONDS=lease, **environ) as host:
                assert host.get("api/entered") == "yes"
                host.process.kill()
                host.process.wait()
            if lease == "3600":
                assert client.peek_messages() == []
                assert count(azurite, queue) == 1
                client.clear_messages()
                client.send_message("hidden for two seconds")

        with host_process(app_folder, **environ) as host:
            assert host.get("api/entered") == "yes"
            host.get("api/go-on")
            host.end()
        assert count(azurite, queue) == 0


def failure_of(folder: Path, *options: str, **environ: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        command(folder, *options),
        cwd=ROOT,
        env={**os.environ, "AzureWebJobsStorage": "", "QUEUE": "", **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_missing_setting_stops_the_start(app_folder: Path) -> None:
    """First the binding expression, then the connection."""
    assert "'%QUEUE%' does not resolve to a value; set QUEUE" in failure_of(app_folder)
    assert "set AzureWebJobsStorage to a connection string" in failure_of(app_folder, QUEUE="work")


def test_an_app_that_cannot_be_imported_stops_the_start(app_folder: Path) -> None:
    """The reason is reported, where Azure would just show no functions."""
    (app_folder / "function_app.py").write_text("import nonsense_module")

    assert "No module named 'nonsense_module'" in failure_of(app_folder)
    assert "importing other failed" in failure_of(app_folder, "--app", "other:app")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import azure.functions as func", "has no FunctionApp"),
        (
            "import azure.functions as func\napp = func.FunctionApp()\nother = func.FunctionApp()",
            "several function apps",
        ),
        ("import azure.functions as func\napp = func.FunctionApp()", "The app has no functions"),
    ],
)
def test_a_module_must_hold_exactly_one_app(app_folder: Path, source: str, words: str) -> None:
    """The worker looks for it by its type."""
    (app_folder / "function_app.py").write_text(source)

    assert words in failure_of(app_folder)


def test_queue_triggers_need_an_extension_bundle(app_folder: Path, azurite: str) -> None:
    """In Azure they would not load, so they do not here."""
    (app_folder / "host.json").write_text('{"version": "2.0"}')

    assert 'no "extensionBundle"' in failure_of(app_folder, QUEUE="work", AzureWebJobsStorage=azurite)


def test_a_port_that_is_taken_stops_the_start(app_folder: Path, azurite: str, storage_names: StorageNames) -> None:
    """With the system's own words."""
    queue = storage_names.queue("none")
    with host_process(app_folder, AzureWebJobsStorage=azurite, QUEUE=queue) as host:
        port = host.url.rpartition(":")[2]

        assert "in use" in failure_of(app_folder, "--port", port, AzureWebJobsStorage=azurite, QUEUE=queue)

"""Our host and Microsoft's over the same small app, `probe/`, with the same keys and settings."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from azure.storage.queue import QueueClient

from sandbox.azurite import StorageNames
from sandbox.environment import machine_environment
from sandbox.functions_host import SETTINGS as FUNCTIONS_HOST_SETTINGS
from sandbox.functions_host import FunctionsHost, HostNotAtHand, start_program
from sandbox.patience import PATIENCE
from sandbox.service import OwnProgram, Program, Service
from sandbox.stack import HostKind

FUNCTION_KEY: Final = "function-key"
ADMIN_KEY: Final = "admin-key"
BODY_LIMIT: Final = 1_000_000


PROBE: Final = Path(__file__).parent / "probe" / "function_app.py"
HOST_JSON: Final = {
    "version": "2.0",
    "functionTimeout": "00:10:00",
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
    "logging": {"logLevel": {"default": "Warning"}},
    "extensions": {
        "queues": {"maxPollingInterval": "00:00:00.2", "visibilityTimeout": "00:00:00", "messageEncoding": "base64"}
    },
}


def choose(kind: HostKind, asked: HostKind, *, slow: bool = False) -> HostKind:
    """`kind`, where a test is to run on it; `asked` is what `--host` says. Skips the test otherwise.

    Plain `make test` holds both hosts against the rows; a slow one waits for `make test HOST=functions`.
    """
    if kind == "sandbox" and asked == "functions":
        pytest.skip("make test without HOST=functions runs it on our host")
    if kind == "functions":
        try:
            start_program()
        except HostNotAtHand as error:
            pytest.skip(str(error))
        if slow and asked != "functions":
            pytest.skip("it takes its time on the real host: make test HOST=functions")
    return kind


@dataclass(frozen=True)
class ProbeHost:
    """A running host over the probe app. `queue` is the one that it works on."""

    kind: HostKind
    service: Service
    journal_file: Path
    storage: str
    queue: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.service.url.rpartition(":")[2])

    def journal(self, name: str | None = None) -> list[dict[str, Any]]:
        """What the functions noted, oldest first; of one name, or of all."""
        lines = self.journal_file.read_text(encoding="utf-8").splitlines() if self.journal_file.exists() else []
        notes = [json.loads(line) for line in lines]
        return [one for one in notes if name is None or one["name"] == name]

    def noted(self, what: str, name: str) -> int:
        """How often a function noted this."""
        return sum(one["what"] == what for one in self.journal(name))

    def release(self) -> None:
        """Let go what works until it is reported."""
        Path(f"{self.journal_file}.release").touch()

    def send(self, *orders: str | Mapping[str, Any]) -> None:
        """Put messages into the queue, encoded as host.json says; an order is JSON."""
        with self.client() as queue:
            for order in orders:
                text = order if isinstance(order, str) else json.dumps(order)
                queue.send_message(base64.b64encode(text.encode()).decode())

    def client(self, suffix: str = "") -> QueueClient:
        """The queue, or with a suffix its neighbour, as a test looks at it: texts as they are stored."""
        return QueueClient.from_connection_string(self.storage, f"{self.queue}{suffix}")

    def left(self, suffix: str = "") -> int:
        """How many messages the queue holds, whether they can be seen or not."""
        with self.client(suffix) as queue:
            return int(queue.get_queue_properties().approximate_message_count or 0)


def until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait for what happens in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@contextmanager
def probe_host(
    kind: HostKind,
    folder: Path,
    storage: str,
    *,
    host_json: Mapping[str, Any] | None = None,
    queue: str = "",
    settings: Mapping[str, str] | None = None,
) -> Iterator[ProbeHost]:
    """A host in `folder`, started; `host_json` over the usual one, `settings` as environment."""
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "host.json"
    written.write_text(json.dumps({**HOST_JSON, **(host_json or {})}))
    names = StorageNames(f"probe{time.time_ns():x}")
    found = queue or names.queue("work")
    journal = folder / "journal"
    program, own = _program(kind, folder, [PROBE, written])
    environment = {
        **machine_environment(),
        **own,
        "AzureWebJobsStorage": storage,
        "PROBE_QUEUE": found,
        "PROBE_JOURNAL": str(journal),
        **(settings or {}),
    }
    service = Service(program, log=folder / "host.log", environment=environment)
    with QueueClient.from_connection_string(storage, found) as client:
        if not queue:
            client.create_queue()
    try:
        service.start()
        yield ProbeHost(kind, service, journal, storage, found)
    finally:
        service.kill()


def _program(kind: HostKind, folder: Path, files: list[Path]) -> tuple[Program, Mapping[str, str]]:
    if kind == "functions":
        prepared = FunctionsHost.prepare(folder, function_key=FUNCTION_KEY, admin_key=ADMIN_KEY, files=files)
        return prepared, FUNCTIONS_HOST_SETTINGS
    root = folder / "app"
    root.mkdir(exist_ok=True)
    for file in files:
        (root / file.name).unlink(missing_ok=True)
        (root / file.name).symlink_to(file)
    keys = {"SANDBOX_FUNCTION_KEY": FUNCTION_KEY, "SANDBOX_ADMIN_KEY": ADMIN_KEY}
    return OwnProgram("host", ("--root", str(root))), keys

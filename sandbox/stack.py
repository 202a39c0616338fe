"""The whole product on this machine: Azurite, the two stand-ins and the app, each a process of its own.

    with Stack("demo") as stack:
        httpx.get(f"{stack.host_url}/api/health")

Every process listens on 127.0.0.1 only, logs into a folder of `.sandbox/logs`, and ends with the process that started
it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from sandbox.azurite import ROOT, SANDBOX_FOLDER, Azurite, Persistence
from sandbox.child import Child, ChildFailed, free_port
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from shared.settings import SETTINGS

FUNCTION_KEY: Final = "sandbox-function-key"
ADMIN_KEY: Final = "sandbox-admin-key"
WEBHOOK_SECRET: Final = "sandbox-webhook-secret"
EVENTS_ROUTE: Final = "/api/outreach/events"

START_SECONDS: Final = 60.0
PORT_ATTEMPTS: Final = 5
LOG_FOLDERS_KEPT: Final = 10

_LISTENING: Final = re.compile(r"listening on (http://127\.0\.0\.1:\d+)\s")
# What a developer's shell may hold for a real organisation; none of it may reach the sandbox.
_NOT_INHERITED: Final = re.compile(r"AzureWebJobs|SYNC_|OUTREACH_|DATAVERSE_|AZURE_|MAPPING_FILE|SANDBOX_|FUNCTIONS_")

Part = Literal["dataverse", "outreach", "host"]


class Service:
    """One of our own programs as a child, on the same port from one start to the next."""

    def __init__(self, part: Part, *, log: Path, environment: Mapping[str, str], port: int | None = None) -> None:
        """`port`: the one wanted; without it, or where it is taken, a free one."""
        self.part = part
        self._log = log
        self._environment = dict(environment)
        self._port = port
        self._url: str | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Its base address."""
        if self._url is None:
            raise ChildFailed(f"{self.part} has no address before its first start; call start().")
        return self._url

    @property
    def child(self) -> Child:
        """Its process."""
        if self._child is None:
            raise ChildFailed(f"{self.part} was not started; call start().")
        return self._child

    def start(self) -> None:
        """Start and wait until it listens; after a stop, on the same port."""
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

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._child is not None:
            self._child.kill()

    def _start(self, port: int) -> None:
        command = [sys.executable, "-m", f"sandbox.{self.part}", "--port", str(port)]
        self._child = Child(self.part, command, log=self._log, environment=self._environment, folder=ROOT)
        self._child.start()
        self._child.wait_until_ready(lambda output: _LISTENING.search(output) is not None, seconds=START_SECONDS)
        found = _LISTENING.search(self._child.output())
        self._url = found[1] if found else None


@dataclass(frozen=True, slots=True)
class Access:
    """The keys of one stack; they protect nothing."""

    function_key: str = FUNCTION_KEY
    admin_key: str = ADMIN_KEY
    webhook_secret: str = WEBHOOK_SECRET


class Stack:
    """All four parts, started and stopped together. `host`, `dataverse`, `outreach` and `azurite` can be had apart.

    `settings` are the app's, over those that make it talk to the stand-ins. `port`: where the app should listen.
    """

    def __init__(
        self,
        name: str,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        persistence: Persistence = "memory",
        logs: Path | None = None,
    ) -> None:
        self.access = Access()
        self.logs = logs or _log_folder(name)
        self.azurite = Azurite(persistence=persistence)
        clean = {key: value for key, value in os.environ.items() if not _NOT_INHERITED.match(key)}
        self._environment = {**clean, "PYTHONUNBUFFERED": "1"}
        self._settings = dict(settings or {})
        self._port = port
        self.dataverse = Service("dataverse", log=self.logs / "dataverse.log", environment=self._environment)
        self.outreach = Service("outreach", log=self.logs / "outreach.log", environment=self._environment)
        self._host: Service | None = None

    @property
    def host(self) -> Service:
        """The app on its host."""
        if self._host is None:
            raise ChildFailed("The stack is not up; call start().")
        return self._host

    @property
    def host_url(self) -> str:
        """The app's base address."""
        return self.host.url

    @property
    def webhook_url(self) -> str:
        """What would be registered with Outreach: the key goes along, because a webhook sends no header of ours."""
        return f"{self.host_url}{EVENTS_ROUTE}?code={self.access.function_key}"

    def start(self) -> None:
        """Start all parts, each when those that it needs are ready."""
        self.azurite.start()
        self.dataverse.start()
        self.outreach.start()
        self._host = Service(
            "host",
            log=self.logs / "host.log",
            environment={**self._environment, **self.app_settings()},
            port=self._port,
        )
        self._host.start()

    def app_settings(self) -> dict[str, str]:
        """The whole environment that the app needs, so that no `local.settings.json` fills a gap."""
        return {
            **{setting.name: setting.default or "" for setting in SETTINGS},
            "AzureWebJobsStorage": self.azurite.connection_string,
            "OUTREACH_WEBHOOK_SECRET": self.access.webhook_secret,
            "OUTREACH_API_URL": self.outreach.url,
            "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
            "DATAVERSE_URL": self.dataverse.url,
            "SANDBOX_FUNCTION_KEY": self.access.function_key,
            "SANDBOX_ADMIN_KEY": self.access.admin_key,
            **self._settings,
        }

    def stop(self) -> None:
        """Stop all parts, the app first so that it can finish what it has begun."""
        if self._host is not None:
            self._host.stop()
        self.outreach.stop()
        self.dataverse.stop()
        self.azurite.__exit__()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _log_folder(name: str) -> Path:
    """A new folder for the logs of one run; of the older ones the last few stay."""
    parent = SANDBOX_FOLDER / "logs"
    parent.mkdir(parents=True, exist_ok=True)
    older = sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in older[: max(0, len(older) - LOG_FOLDERS_KEPT + 1)]:
        shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))

"""The whole product on this machine: Azurite, the two stand-ins and the app, each a process of its own.

    with Stack("demo") as stack:
        httpx.get(f"{stack.host_url}/api/health")

Every process listens on 127.0.0.1 only, logs into a folder of `.sandbox/logs`, and ends with the process that started
it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from sandbox.azurite import SANDBOX_FOLDER, Azurite, Persistence
from sandbox.child import ChildFailed
from sandbox.deployed import Deployment
from sandbox.environment import machine_environment
from sandbox.functions_host import SETTINGS as FUNCTIONS_HOST_SETTINGS
from sandbox.functions_host import FunctionsHost
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from sandbox.service import OwnProgram, Program, Service
from shared.settings import SETTINGS

FUNCTION_KEY: Final = "sandbox-function-key"
ADMIN_KEY: Final = "sandbox-admin-key"
WEBHOOK_SECRET: Final = "sandbox-webhook-secret"
EVENTS_ROUTE: Final = "/api/outreach/events"

LOG_FOLDERS_KEPT: Final = 10

# The host that runs the app: ours, or Microsoft's where it is at hand.
HostKind = Literal["sandbox", "functions"]


@dataclass(frozen=True, slots=True)
class Access:
    """The keys of one stack; they protect nothing."""

    function_key: str = FUNCTION_KEY
    admin_key: str = ADMIN_KEY
    webhook_secret: str = WEBHOOK_SECRET


class Stack:
    """All four parts, started and stopped together. `host`, `dataverse`, `outreach` and `azurite` can be had apart.

    `host`: what runs the app. `identity`: as deployed, with a managed identity and without any key (`deployed`).
    `settings` are the app's, over those that make it talk to the stand-ins. `port`: where the app should listen.
    """

    def __init__(
        self,
        name: str,
        *,
        host: HostKind = "sandbox",
        identity: bool = False,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        persistence: Persistence = "memory",
        logs: Path | None = None,
    ) -> None:
        """Raises `HostNotAtHand`."""
        self.access = Access()
        self.logs = logs or _log_folder(name)
        self._program, self._host_settings = self._host_of(host)
        self._environment = machine_environment()
        self.deployment = Deployment(self.logs, self._environment) if identity else None
        certificates = self.deployment.certificates if self.deployment else None
        self.azurite = Azurite(persistence=persistence, certificates=certificates)
        self._settings = dict(settings or {})
        self._port = port
        self.dataverse = self._stand_in(OwnProgram("dataverse", certificates=certificates))
        self.outreach = self._stand_in(OwnProgram("outreach"))
        self._hosts: list[Service] = []

    def _host_of(self, kind: HostKind) -> tuple[Program, Mapping[str, str]]:
        """The program that runs the app, and what it wants to be told beside the app's own settings."""
        access = self.access
        if kind == "functions":
            folder = self.logs / "functions-host"
            prepared = FunctionsHost.prepare(folder, function_key=access.function_key, admin_key=access.admin_key)
            return prepared, FUNCTIONS_HOST_SETTINGS
        keys = {"SANDBOX_FUNCTION_KEY": access.function_key, "SANDBOX_ADMIN_KEY": access.admin_key}
        return OwnProgram("host"), keys

    def _stand_in(self, program: OwnProgram) -> Service:
        return Service(program, log=self.logs / f"{program.name}.log", environment=self._environment)

    @property
    def host(self) -> Service:
        """The app on its host."""
        if not self._hosts:
            raise ChildFailed("The stack is not up; call start().")
        return self._hosts[0]

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
        if self.deployment:
            self.deployment.start(self.outreach)
        if not self._hosts:
            self.add_host(port=self._port)
        self.host.start()

    def add_host(self, *, port: int | None = None) -> Service:
        """Another host of the same app over the same storage, as a second instance; start it yourself."""
        number = len(self._hosts) + 1
        log = self.logs / ("host.log" if number == 1 else f"host-{number}.log")
        platform = self.deployment.platform() if self.deployment else {}
        environment = {**self._environment, **platform, **self._host_settings, **self.app_settings()}
        self._hosts.append(Service(self._program, log=log, environment=environment, port=port))
        return self._hosts[-1]

    def kill(self, what: Literal["host", "worker"]) -> None:
        """End the host, which stays away until `host.start()`, or only its worker, which comes back by itself."""
        if what == "worker":
            self.host.kill_worker()
        else:
            self.host.kill()

    def app_settings(self) -> dict[str, str]:
        """All settings of the app, so that no `local.settings.json` fills a gap."""
        return {
            **self._services(),
            "OUTREACH_WEBHOOK_SECRET": self.access.webhook_secret,
            "OUTREACH_API_URL": self.outreach.url,
            **self._settings,
        }

    def _services(self) -> dict[str, str]:
        """The settings that depend on who the app is."""
        if self.deployment:
            return self.deployment.settings(storage=self.azurite.service_uris, dataverse=self.dataverse)
        return {
            **{setting.name: setting.default or "" for setting in SETTINGS},
            "AzureWebJobsStorage": self.azurite.connection_string,
            "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
            "DATAVERSE_URL": self.dataverse.url,
        }

    def stop(self) -> None:
        """Stop all parts, the app first so that it can finish what it has begun."""
        for host in self._hosts:
            host.stop()
        if self.deployment:
            self.deployment.stop()
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

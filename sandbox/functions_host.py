"""Microsoft's Azure Functions host as a part of the stack, in place of ours: the same app, keys and settings.

It is not part of this repository; `start_program` says where it is looked for. What it takes is what Core Tools' `func
start` takes, but for `--keys`. Otherwise than our own host it runs the app in a process of its own, a worker, which it
starts again within seconds when it is killed; and a queue message that was in work when the *host* was killed stays
hidden for ten minutes.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from sandbox.azurite import ROOT
from sandbox.child import ChildFailed

VARIABLE: Final = "FUNCTIONS_HOST_START"
BESIDE: Final = ROOT.parent / "shared" / "tools" / "functions-host" / "start"

# What .funcignore leaves of the repository: the app runs from a folder that holds this and nothing else.
DEPLOYED: Final = ("function_app.py", "host.json", "functions", "shared")
# The host's own settings, which in Azure are the platform's: its log goes to the console only.
SETTINGS: Final = {"AzureFunctionsJobHost__logging__fileLoggingMode": "never"}

# The first start unpacks the host and installs what its Python worker imports.
START_SECONDS: Final = 300.0
# It lets functions in work run to their end; what still runs after this is killed.
STOP_SECONDS: Final = 60.0
ASK_SECONDS: Final = 5.0
ASK_AGAIN_SECONDS: Final = 0.1


class HostNotAtHand(ChildFailed):
    """The start program is not on this machine; the message says where it was looked for."""


def start_program() -> Path:
    """The program that starts the host. Raises `HostNotAtHand`."""
    named = os.environ.get(VARIABLE)
    found = Path(named) if named else BESIDE
    if found.is_file() and (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return found.resolve()
    raise HostNotAtHand(
        f"The Azure Functions host, which runs on x86-64 Linux, is not at hand: it is looked for in the start program "
        f"that {VARIABLE} names, else in ../shared/tools/functions-host/start beside this repository."
    )


@dataclass(frozen=True, slots=True)
class FunctionsHost:
    """The host over the app in `folder`, which `prepare` fills."""

    folder: Path
    admin_key: str
    name: str = "host"
    start_seconds: float = START_SECONDS
    stop_seconds: float = STOP_SECONDS

    @classmethod
    def prepare(cls, folder: Path, *, function_key: str, admin_key: str, files: Sequence[Path] = ()) -> FunctionsHost:
        """Lay an app and its keys out in `folder`; the app is `files`, else ours. Raises `HostNotAtHand`."""
        start_program()
        app, keys = folder / "app", folder / "keys"
        for new in (app, keys):
            new.mkdir(parents=True, exist_ok=True)
        for file in files or [ROOT / name for name in DEPLOYED]:
            if not (app / file.name).is_symlink():
                (app / file.name).symlink_to(file)
        document = {"masterKey": _key("master", admin_key), "functionKeys": [_key("default", function_key)]}
        (keys / "host.json").write_text(json.dumps({**document, "systemKeys": []}))
        return cls(folder, admin_key)

    def command(self, port: int) -> list[str | Path]:
        """Everything but the app's settings, which it takes from its environment."""
        options: list[str | Path] = ["--app", self.folder / "app", "--keys", self.folder / "keys"]
        return [sys.executable, start_program(), *options, "--port", str(port), "--python", sys.executable]

    def address(self, output: str, *, port: int) -> str | None:  # noqa: ARG002 - its log does not say when it is ready
        """Where it says that it is running: the functions are loaded then, and its listeners listen."""
        url = f"http://127.0.0.1:{port}"
        try:
            answer = httpx.get(
                f"{url}/admin/host/status",
                headers={"x-functions-key": self.admin_key},
                timeout=ASK_SECONDS,
                trust_env=False,
            )
        except httpx.TransportError:
            time.sleep(ASK_AGAIN_SECONDS)
            return None
        if answer.status_code == 200 and answer.json().get("state") == "Running":
            return url
        time.sleep(ASK_AGAIN_SECONDS)
        return None

    def workers(self, pid: int) -> list[int]:
        """The Python workers that the host has started."""
        children = Path(f"/proc/{pid}/task").glob("*/children")
        found = {int(child) for of_thread in children for child in of_thread.read_text().split()}
        return sorted(child for child in found if b"worker.py" in _command_line(child))


def _key(name: str, value: str) -> dict[str, object]:
    return {"name": name, "value": value, "encrypted": False}


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""

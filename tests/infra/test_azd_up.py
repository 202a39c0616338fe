"""`azd up` from nothing to a published package: the real azd, Azure CLI and Bicep before a stand-in for Azure.

The stand-in (`../shared/tools/azure`) evaluates the template, keeps what was made, and refuses what Azure is known to
refuse. Nothing leaves the machine.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.child import free_port
from tests.infra.test_workflows import RUNS_IN_AZURE
from tests.tools import azure_cli
from tests.tools.bicep import ROOT

START: Final = ROOT.parent / "shared/tools/azure/start"
SUBSCRIPTION: Final = "11111111-1111-1111-1111-111111111111"
DATAVERSE: Final = "https://contoso.crm.dynamics.com"
SECRETS: Final = {
    "OUTREACH_S2S_GUID": "a-guid",
    "OUTREACH_S2S_INSTALL_ID": "an-install-id",
    "OUTREACH_S2S_PRIVATE_KEY": "-----BEGIN $KEY-----\n\"quoted\" and 'quoted' \\ too\n-----END KEY-----",
}
NOT_CLONED: Final = shutil.ignore_patterns(
    ".git", ".venv", ".sandbox", ".azure", ".*_cache", ".hypothesis", "node_modules", "__pycache__"
)
REFERENCE: Final = re.compile(r"@Microsoft\.KeyVault\(VaultName=([\w-]+);SecretName=([\w-]+)\)")


@contextmanager
def azure(folder: Path) -> Iterator[dict[str, str]]:
    """A stand-in of our own; yields the environment in which azd and az speak to it."""
    cache = azure_cli.cache()
    if not START.is_file() or cache is None:
        pytest.skip(azure_cli.missing() if START.is_file() else f"{START} is not here")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(cache)}
    environment["PYTHON"] = sys.executable
    start = [str(START), str(folder), str(two_free_ports())]
    try:
        subprocess.run(start, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)  # noqa: S603 - the stand-in
        yield environment
    finally:
        if (pid := folder / "pid").exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)


def two_free_ports() -> int:
    """The first of two ports in a row that nobody listens on."""
    while True:
        first = free_port()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", first + 1)) != 0:
                return first


def test_azd_up_reaches_its_end(tmp_path: Path) -> None:
    """From a clone: it makes everything, fills the vault, and publishes what runs in Azure and nothing else."""
    project, folder = tmp_path / "clone", tmp_path / "azure"
    folder.mkdir()
    shutil.copytree(ROOT, project, ignore=NOT_CLONED)
    with azure(folder) as environment:
        commands = (
            f'. "{folder}/env.sh"',
            f"azd env new trial --no-prompt --subscription {SUBSCRIPTION} --location westeurope",
            f"azd env set DATAVERSE_URL {DATAVERSE}",
            "azd up --no-prompt",
        )
        done = subprocess.run(  # noqa: S603 - the commands above
            ["/bin/sh", "-c", " && ".join(commands)],
            cwd=project,
            env={**environment, **SECRETS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())

    (published,) = state["published"]
    assert set(published["files"]) == what_runs_in_azure()

    settings: dict[str, str] = state["settings"][published["site"]]
    assert settings["DATAVERSE_URL"] == DATAVERSE
    in_the_vault = {name: found for name, value in settings.items() if (found := REFERENCE.fullmatch(value))}
    values = {name: state["secrets"][f"{found[1]}/{found[2]}"] for name, found in in_the_vault.items()}
    assert len(bytes.fromhex(values.pop("OUTREACH_WEBHOOK_SECRET"))) == 32
    assert len(base64.b64decode(values.pop("SYNC_TOKEN_KEY"), validate=True)) == 32
    assert values == SECRETS


def what_runs_in_azure() -> set[str]:
    """The files of the package, by their paths in it."""
    named = [ROOT / name for name in RUNS_IN_AZURE]
    paths = [path for start in named for path in (start, *start.rglob("*")) if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}

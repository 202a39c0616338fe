"""The Azure CLI, installed once into `.sandbox` (`make tools`; 1.1 GB): its parser reads our command lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.azurite import SANDBOX_FOLDER
from sandbox.npm import InstallFailed, only_one, say

VERSION: Final = "2.91.0"
PARSER: Final = Path(__file__).with_name("az_parser.py")
# `../shared/tools/azure` keeps a CLI in the user's cache, with these packages and in this form; it can use ours too.
_FORM: Final = f"azure-tools/az-{VERSION}"
_PACKAGES: Final = (f"azure-cli=={VERSION}", "aiohttp>=3.14,<4", "cryptography")
_OWN_CACHE: Final = SANDBOX_FOLDER / "cache"


def cache() -> Path | None:
    """The folder of caches in which the CLI lies: ours, or the user's; None where it is in neither."""
    of_the_user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return next((folder for folder in (_OWN_CACHE, of_the_user) if (folder / _FORM / "done").exists()), None)


def missing() -> str:
    """What to tell whoever has no CLI."""
    return f"the Azure CLI {VERSION} is not here; `make tools` installs it"


def install() -> None:
    """Install the CLI where it is in neither place. Raises `InstallFailed`."""
    if cache() is not None:
        return
    target = _OWN_CACHE / _FORM
    target.parent.mkdir(parents=True, exist_ok=True)
    with only_one(target.with_suffix(".lock")):
        if cache() is None:
            say(f"Azure CLI {VERSION}: installing from PyPI (once, two minutes) …")
            shutil.rmtree(target, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(target)])
            _run([str(target / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *_PACKAGES])
            (target / "done").touch()


def objections(lines: Sequence[Sequence[str]]) -> list[str | None]:
    """What the parser has against each of these lines (words after `az`); None for a line that it takes."""
    folder = cache()
    assert folder is not None, missing()
    with tempfile.TemporaryDirectory() as configuration:
        done = subprocess.run(  # noqa: S603 - our own program
            [str(folder / _FORM / "bin/python"), "-I", str(PARSER)],
            input=json.dumps(lines),
            env={
                "HOME": configuration,
                "AZURE_CONFIG_DIR": configuration,
                "AZURE_CORE_COLLECT_TELEMETRY": "no",
                "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    answers: list[str | None] = json.loads(done.stdout)
    return answers


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        raise InstallFailed(f"The Azure CLI could not be installed; is PyPI reachable?\n{done.stderr[-2000:]}")

"""Where the command line gets settings and keys: the environment, and a file such as `local.settings.json`.

Secrets come from there only. An option names the environment variable that holds one, never the secret itself: a
command line ends up in histories and process lists.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from ops.report import USAGE, Refused
from shared.errors import BadSettings
from shared.mapping_file import DEFAULT_MAPPING_FILE
from shared.runtime import Runtime
from shared.settings import is_loopback, read_webhook_secrets

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="Settings beside the environment's, which win: a file such as local.settings.json.",
        exists=True,
        dir_okay=False,
    ),
]
AppUrl = Annotated[
    str,
    typer.Option("--url", envvar="OPS_APP_URL", help="The app, for example https://NAME.azurewebsites.net."),
]
KeyEnv = Annotated[
    str, typer.Option("--key-env", help="Name of the environment variable that holds the app's admin (master) key.")
]
DEFAULT_KEY_ENV = "OPS_APP_KEY"


def environment(file: Path | None) -> dict[str, str]:
    """The environment over the `Values` of `file`. Raises `Refused` for a file that is none."""
    if file is None:
        return dict(os.environ)
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        values = content.get("Values", content)
        found = {str(name): str(value) for name, value in values.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise Refused(
            f'{file} is not a settings file: JSON such as {{"Values": {{"DATAVERSE_URL": "https://…"}}}} is expected.',
            code="bad_settings_file",
            exit_code=USAGE,
        ) from error
    return found | {name: value for name, value in os.environ.items() if value}


def mapping_path(values: Mapping[str, str]) -> Path:
    """The mapping file that the app with these settings reads."""
    return Path(values.get("MAPPING_FILE", "").strip() or DEFAULT_MAPPING_FILE)


@asynccontextmanager
async def running(settings: Mapping[str, str]) -> AsyncIterator[Runtime]:
    """The app's parts, built from `settings` and closed afterwards."""
    for name in ("azure", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.ERROR)
    runtime = Runtime(settings)
    try:
        yield runtime
    finally:
        await runtime.aclose()


def app_url(url: str) -> str:
    """The app's address without a slash at its end. Raises `Refused` where it is missing or not safe for a key."""
    if not url:
        raise Refused("Which app? Give --url, or set OPS_APP_URL.", code="no_url", exit_code=USAGE)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host))):
        raise Refused(
            "The app's address must begin with https:// (plain http only to this machine): the key is sent there.",
            code="bad_url",
            exit_code=USAGE,
        )
    alone = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if url.strip().rstrip("/").lower() != alone.lower():
        raise Refused(
            f"The app's address is {alone} alone, without user, path or query.", code="bad_url", exit_code=USAGE
        )
    return alone


def current_secret(values: Mapping[str, str]) -> str:
    """The webhook secret of these settings. Raises `BadSettings` where the app would not take it for one."""
    secrets = read_webhook_secrets(values)
    if not secrets.current:
        raise BadSettings(secrets.problems)
    return secrets.current


def secret_in(name: str, *, what: str) -> str:
    """The secret in environment variable `name`. Raises `Refused` where it is empty."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise Refused(f"{name} is not set. Put {what} into it.", code="no_key", exit_code=USAGE)
    return value

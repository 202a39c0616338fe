"""`send-test`: one signed delivery to the app, as Outreach would send it, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from codecs import BOM_UTF8
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ops.probe import deliver, trial_delivery
from ops.remote import RemoteApp
from ops.report import FOUND, USAGE, AsJson, Refused, reporting, visible
from ops.settings import (
    DEFAULT_KEY_ENV,
    AppUrl,
    KeyEnv,
    SettingsFile,
    app_url,
    current_secret,
    environment,
    mapping_path,
    secret_in,
)
from ops.status import say_event
from shared.errors import BadDelivery
from shared.mapping_file import load_mapping
from shared.meeting.delivery import parse_json
from shared.meeting.outcome import OutcomeKind

_SECONDS_BETWEEN_LOOKS = 0.5


def send_test(
    file: Annotated[
        Path | None,
        typer.Argument(help="A delivery as JSON; - for standard input. [default: a test that never reaches Dynamics]"),
    ] = None,
    *,
    url: AppUrl = "",
    key_env: KeyEnv = DEFAULT_KEY_ENV,
    wait: Annotated[float, typer.Option(help="How many seconds to wait for the outcome.", min=0)] = 60,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Send a signed delivery and follow it.

    The secret is OUTREACH_WEBHOOK_SECRET of the settings. Without FILE the delivery is a meeting without times and
    people: it goes through signature, queue, sync and table, and is parked there for good, as meeting:ops-test. With
    FILE the app does with it what it does with any delivery. Exit code 1: it was refused, or failed.
    """
    with reporting(as_json=as_json) as report:
        base = app_url(url)
        key = secret_in(key_env, what="the app's admin (master) key")
        values = environment(settings)
        secret = current_secret(values)
        mapping = load_mapping(mapping_path(values))
        body = read_delivery(file) if file else trial_delivery(next(iter(mapping.resources)), now=datetime.now(UTC))
        answer = _send(base, body, secret=secret, key=key)
        entry: dict[str, Any] | None = None
        if answer["status"] == "accepted":
            with report.progress.status("Waiting for the outcome …"), RemoteApp(url, key_env=key_env) as app:
                entry = asyncio.run(_follow(app, answer["correlationId"], seconds=wait))
        report.show({"answer": answer, "journal": entry}, lambda console: _say(answer, visible(entry), console))
        if answer["status"] == "accepted" and (entry is None or not _is_done(entry)):
            raise typer.Exit(FOUND)


def read_delivery(file: Path) -> Any:
    """The JSON in `file`, or in standard input where it is `-`. Raises `Refused`."""
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return parse_json(content.removeprefix(BOM_UTF8))
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}.", code="bad_file", exit_code=USAGE) from error
    except BadDelivery as error:
        raise Refused(f"{file} holds no JSON in UTF-8.", code="bad_file", exit_code=USAGE) from error


def _send(base: str, body: Any, *, secret: str, key: str) -> dict[str, Any]:
    response = deliver(base, json.dumps(body).encode(), secret=secret, key=key)
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if response.is_success and isinstance(answer, dict):
        return answer
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise Refused(str(answer["error"].get("message")), code=str(answer["error"].get("code")))
    if response.status_code == 401:
        raise Refused("The app does not accept the key.", code="key_refused")
    raise Refused(f"The app answered {response.status_code}. Is this its address?", code="unexpected")


async def _follow(app: RemoteApp, correlation_id: str, *, seconds: float) -> dict[str, Any] | None:
    """The journal of the event as soon as it has an end; after `seconds` as it stands."""
    deadline = time.monotonic() + seconds
    while True:
        entry = await asyncio.to_thread(app.find, f"/api/correlations/{correlation_id}")
        if (entry is not None and not OutcomeKind(entry["outcome"]).comes_again) or time.monotonic() >= deadline:
            return entry
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def _say(answer: dict[str, Any], entry: dict[str, Any] | None, console: Console) -> None:
    console.print(f"The app answered: {answer['status']}, correlation id {answer['correlationId']}.")
    if answer["status"] == "ignored":
        console.print("The mapping has no such resource, so the app forgets it.")
    elif entry is None:
        console.print("Nothing is known of it yet. Is the queue being worked on? Look again with status.")
    else:
        say_event(entry, console)


def _is_done(entry: dict[str, Any]) -> bool:
    kind = OutcomeKind(entry["outcome"])
    return not (kind.comes_again or kind.needs_person)

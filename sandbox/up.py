"""`make up`: the whole stack, left running, and what to type to play with it."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from sandbox.azurite import SANDBOX_FOLDER
from sandbox.child import interruptible
from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from sandbox.service import Service
from sandbox.stack import HostKind, Stack

ADDRESSES: Final = "up.json"
SETTINGS: Final = "up.settings.json"
EXAMPLES: Final = "examples"
WATCH_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running stack is, for the other commands."""

    webhook_url: str
    webhook_secret: str


def read_addresses(folder: Path = SANDBOX_FOLDER) -> Addresses | None:
    """The stack that `up` runs, or `None` where none is running."""
    try:
        found: dict[str, Any] = json.loads((folder / ADDRESSES).read_text())
        return Addresses(**found)
    except (OSError, ValueError, TypeError):
        return None


def up(console: Console, *, port: int, host: HostKind = "sandbox", folder: Path = SANDBOX_FOLDER) -> int:
    """Run the stack until Ctrl-C or SIGTERM; 1 where one of its parts ends by itself.

    `folder` takes the addresses for `send`, settings for `python -m ops`, and examples to send.
    """
    with interruptible():
        try:
            with console.status("Starting …"), Stack("up", host=host, port=port) as stack:
                return _run(stack, console, folder)
        except KeyboardInterrupt:
            console.print("Stopped.")
            return 0
        finally:
            for name in (ADDRESSES, SETTINGS):
                (folder / name).unlink(missing_ok=True)


def _run(stack: Stack, console: Console, folder: Path) -> int:
    addresses = Addresses(stack.webhook_url, stack.access.webhook_secret)
    (folder / ADDRESSES).write_text(json.dumps(asdict(addresses)))
    examples = write_examples(datetime.now(UTC), folder / EXAMPLES)
    settings = write_settings(stack, folder / SETTINGS)
    for line in instructions(stack, example=examples[0], settings=settings):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    services: tuple[Service, ...] = (stack.host, stack.dataverse, stack.outreach)
    while True:
        for service in services:
            if not service.child.running:
                console.print(f"{service.name} has ended by itself.\n{service.child.last_lines()}", markup=False)
                return 1
        if not stack.azurite.running:
            console.print("Azurite has ended by itself.")
            return 1
        time.sleep(WATCH_SECONDS)


def write_examples(now: datetime, folder: Path) -> list[Path]:
    """Deliveries of one meeting to send, in order: booked, title changed, rescheduled, held."""
    folder.mkdir(parents=True, exist_ok=True)
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    script = MeetingScript(1, now=now - timedelta(hours=1))
    deliveries = {
        "1-booked": script.booked(start=start, opportunity=301),
        "2-title-changed": script.changed(title="Intro call with pricing"),
        "3-rescheduled": script.rescheduled(start + timedelta(hours=2)),
        "4-held": script.completed(),
    }
    paths = []
    for name, delivery in deliveries.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(delivery.document, indent=2) + "\n")
        paths.append(path)
    return paths


def write_settings(stack: Stack, file: Path) -> Path:
    """The app's settings, in the form of a local.settings.json."""
    file.write_text(json.dumps({"Values": stack.app_settings()}, indent=2) + "\n")
    return file


def instructions(stack: Stack, *, example: Path, settings: Path) -> list[str]:
    """What runs where, with which keys, and commands that can be pasted as they are."""
    keys = f"OPS_APP_KEY={stack.access.admin_key} OPS_FUNCTION_KEY={stack.access.function_key}"
    admin = f"-H 'x-functions-key: {stack.access.admin_key}'"
    file = shlex.quote(str(example))
    signed = f"$(openssl dgst -sha256 -hmac {stack.access.webhook_secret} {file} | sed 's/.* //')"
    webhook = shlex.quote(stack.webhook_url)
    throttle = shlex.quote('{"rate": 0.33, "kinds": ["429"], "retry_after": 2}')
    bearer = f"-H 'Authorization: Bearer {DEVELOPMENT_TOKEN}' -H 'Content-Type: application/vnd.api+json'"
    return [
        "",
        f"App        {stack.host_url}   function key {stack.access.function_key}, admin key {stack.access.admin_key}",
        f"Console    {stack.host_url}/api/console/home   (sign in with the admin key)",
        f"Dataverse  {stack.dataverse.url}   (stand-in)",
        f"Outreach   {stack.outreach.url}   (stand-in), webhook secret {stack.access.webhook_secret}",
        f"Storage    {stack.azurite.connection_string}",
        f"Logs       {stack.logs}",
        "",
        "Is everything reachable?",
        f"  curl {stack.host_url}/api/health",
        "Send one delivery, signed as Outreach does (2, 3 and 4 lie beside it):",
        f"  .venv/bin/python -m sandbox send {file}",
        "The same with nothing but curl:",
        f'  curl -X POST {webhook} -H "Outreach-Webhook-Signature: {signed}" --data-binary @{file}',
        "What became of it (put in the correlation id of the answer), and of the meeting:",
        f"  curl {admin} {stack.host_url}/api/correlations/CORRELATION_ID",
        f"  curl {admin} {stack.host_url}/api/meetings/1",
        "The admin's command line, in a shell that knows this stack (docs/cli.md):",
        f"  export OPS_APP_URL={stack.host_url} {keys}",
        f"  .venv/bin/python -m ops doctor --settings {shlex.quote(str(settings))}",
        "The appointments in the Dataverse stand-in, and who is who in the Outreach stand-in:",
        f"  curl {shlex.quote(f'{stack.dataverse.url}/api/data/v9.2/appointments?$select=subject,scheduledstart')}",
        f"  curl {bearer} {shlex.quote(f'{stack.outreach.url}/api/v2/prospects?provideDataConnections=true')}",
        "Make Dataverse throttle every third request (rate 0 ends it):",
        f"  curl -X POST {stack.dataverse.url}/__sandbox/faults -d {throttle}",
        "",
        "Ctrl-C stops all of it; nothing is kept.",
    ]

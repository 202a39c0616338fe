"""`deadletters`: events that need a person."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.remote import RemoteApp
from ops.report import FOUND, USAGE, AsJson, Refused, reporting
from ops.settings import DEFAULT_KEY_ENV, AppUrl, KeyEnv

commands = typer.Typer(help="Events that need a person.", no_args_is_help=True)


@commands.command("list")
def list_(*, url: AppUrl = "", key_env: KeyEnv = DEFAULT_KEY_ENV, as_json: AsJson = False) -> None:
    """Show them with the reason in words. Exit code 1: there are some."""
    with reporting(as_json=as_json) as report:
        with RemoteApp(url, key_env=key_env) as app:
            found = app.get("/api/deadletters") or {"count": 0, "deadLetters": []}
        report.show(found, lambda console: _say(found["deadLetters"], console))
        if found["count"]:
            raise typer.Exit(FOUND)


@commands.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Correlation ids as deadletters list shows them.", metavar="[ID]...")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    url: AppUrl = "",
    key_env: KeyEnv = DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Send them again. Exit code 1: none of those named is a dead letter."""
    with reporting(as_json=as_json) as report:
        if everything == bool(ids):
            raise Refused("Name correlation ids, or give --all.", code="nothing_named", exit_code=USAGE)
        wanted = {"all": True} if everything else {"correlationIds": ids}
        with RemoteApp(url, key_env=key_env) as app:
            sent = app.post("/api/deadletters/replay", content=json.dumps(wanted).encode())

        def tell(console: Console) -> None:
            console.print(f"Sent again: {sent['replayed']}. status CORRELATION-ID shows what becomes of each.")
            for correlation_id in sent["correlationIds"]:
                console.print(f"  {correlation_id}")

        report.show(sent, tell)
        if ids and not sent["replayed"]:
            raise typer.Exit(FOUND)


def _say(letters: list[dict[str, Any]], console: Console) -> None:
    if not letters:
        console.print("There are no dead letters.")
        return
    for letter in letters:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("correlationId", letter["correlationId"])
        table.add_row("event", f"{letter['event']} of {letter['meetingId']}")
        table.add_row("why", Text(f"{letter['reason']} [{letter['code']}]"))
        table.add_row("attempts", f"{letter['attempts']}, last {letter['lastFailedAt'][:19]}")
        console.print(table)
        console.print()

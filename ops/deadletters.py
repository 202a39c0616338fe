"""`deadletters`: events that need a person."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.remote import RemoteApp
from ops.report import FOUND, USAGE, AsJson, Refused, reporting, visible
from ops.settings import DEFAULT_KEY_ENV, AppUrl, KeyEnv

# More than that nobody reads in a terminal.
_SHOWN = 50

commands = typer.Typer(help="Events that need a person.", no_args_is_help=True)


@commands.command("list")
def list_(*, url: AppUrl = "", key_env: KeyEnv = DEFAULT_KEY_ENV, as_json: AsJson = False) -> None:
    """Show them with the reason in words, the latest first.

    Of many, the latest and how often each reason stands; --json has all. Exit code 1: there are some.
    """
    with reporting(as_json=as_json) as report:
        with RemoteApp(url, key_env=key_env) as app, report.progress.status("Reading …"):
            dead_letters = _read(app)
        document = {"count": len(dead_letters), "deadLetters": dead_letters}
        report.show(document, lambda console: _say(visible(dead_letters), console))
        if dead_letters:
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
    """Send them again. Exit code 1: one of those named is no dead letter."""
    with reporting(as_json=as_json) as report:
        if everything == bool(ids):
            raise Refused("Name correlation ids, or give --all; not both.", code="nothing_named", exit_code=USAGE)
        wanted = {"all": True} if everything else {"correlationIds": ids}
        with RemoteApp(url, key_env=key_env) as app:
            sent = app.post("/api/deadletters/replay", content=json.dumps(wanted).encode())
        unknown = _left_out(ids, sent)
        report.show(sent | {"unknown": unknown}, lambda console: _report(sent, unknown, console))
        if unknown:
            raise typer.Exit(FOUND)


@commands.command()
def dismiss(
    ids: Annotated[list[str], typer.Argument(help="Correlation ids as deadletters list shows them.", metavar="ID")],
    *,
    reason: Annotated[str, typer.Option(help="Why, in up to 500 characters; status shows it.")],
    url: AppUrl = "",
    key_env: KeyEnv = DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Let go of those that can never succeed.

    They are not sent again, and leave the list; status shows that and why. Exit code 1: one of those named was not
    dismissed.
    """
    with reporting(as_json=as_json) as report:
        wanted = {"correlationIds": ids, "reason": reason}
        with RemoteApp(url, key_env=key_env) as app:
            done = app.post("/api/deadletters/dismiss", content=json.dumps(wanted).encode())
        kept = _left_out(ids, done)
        report.show(done | {"notDismissed": kept}, lambda console: _tell_dismissed(done, kept, console))
        if kept:
            raise typer.Exit(FOUND)


def _left_out(ids: list[str] | None, done: dict[str, Any]) -> list[str]:
    """Those named that the app has not done."""
    return [one for one in ids or () if one.strip().lower().replace("-", "") not in done["correlationIds"]]


def _read(app: RemoteApp) -> list[dict[str, Any]]:
    """All of them, page by page, the latest first."""
    dead_letters: list[dict[str, Any]] = []
    continuation: str | None = ""
    while continuation is not None:
        page = app.get("/api/deadletters", {"continuation": continuation})
        dead_letters += page["deadLetters"]
        continuation = page.get("continuation")
    return sorted(dead_letters, key=lambda dead_letter: str(dead_letter["lastFailedAt"]), reverse=True)


def _report(sent: dict[str, Any], unknown: list[str], console: Console) -> None:
    console.print(f"Sent again: {sent['replayed']}. status CORRELATION-ID shows what becomes of each.")
    for correlation_id in sent["correlationIds"][:_SHOWN]:
        console.print(f"  {correlation_id}")
    if sent["replayed"] > _SHOWN:
        console.print(f"  and {sent['replayed'] - _SHOWN:,} more")
    for one in unknown:
        console.print(Text(f"No dead letter has this correlation id: {one}"))


def _tell_dismissed(done: dict[str, Any], kept: list[str], console: Console) -> None:
    console.print(f"Dismissed: {done['dismissed']}.")
    for one in kept:
        console.print(Text(f"Not dismissed: {one}. It is no dead letter, or its meeting was just being worked on."))


def _say(dead_letters: list[dict[str, Any]], console: Console) -> None:
    if not dead_letters:
        console.print("There are no dead letters.")
        return
    for dead_letter in dead_letters[:_SHOWN]:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("correlationId", dead_letter["correlationId"])
        table.add_row("event", f"{dead_letter['event']} of {dead_letter['meetingId']}")
        table.add_row("why", Text(f"{dead_letter['reason']} [{dead_letter['code']}]"))
        table.add_row("attempts", f"{dead_letter['attempts']}, last {dead_letter['lastFailedAt'][:19]}")
        console.print(table)
        console.print()
    if len(dead_letters) > _SHOWN:
        console.print(f"These are the latest {_SHOWN} of {len(dead_letters):,}. Why, for all of them:")
        reasons = Counter(f"{dead_letter['reason']} [{dead_letter['code']}]" for dead_letter in dead_letters)
        for reason, many in reasons.most_common(_SHOWN):
            console.print(Text(f"{many:>7,}  {reason}"))

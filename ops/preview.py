"""`preview`: what a delivery would write, column by column, and why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from functions.views import dry_run_json
from ops.remote import RemoteApp
from ops.report import FOUND, AsJson, reporting, visible
from ops.send_test import read_delivery
from ops.settings import DEFAULT_KEY_ENV, AppUrl, KeyEnv, SettingsFile, environment, running

_LONGEST = 300
_STYLES = {"write": "green", "wait": "yellow"}


def preview(
    file: Annotated[Path, typer.Argument(help="A delivery as Outreach sends it, as JSON; - for standard input.")],
    *,
    url: AppUrl = "",
    key_env: KeyEnv = DEFAULT_KEY_ENV,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a delivery would do, and do nothing.

    With --url (or OPS_APP_URL) the app itself is asked, with its own rights; without, it is worked out here with the
    settings. Exit code 1: it would become a dead letter.
    """
    with reporting(as_json=as_json) as report:
        body = read_delivery(file)
        with report.progress.status("Looking people up …"):
            found = _ask(body, url, key_env) if url else asyncio.run(_work_out(body, environment(settings)))
        report.show(found, lambda console: say_preview(visible(found), console))
        if found["outcome"] == "dead-lettered":
            raise typer.Exit(FOUND)


def _ask(body: Any, url: str, key_env: str) -> dict[str, Any]:
    with RemoteApp(url, key_env=key_env) as app:
        return app.post("/api/preview", content=json.dumps(body).encode())


async def _work_out(body: Any, values: Mapping[str, str]) -> dict[str, Any]:
    async with running(values) as runtime:
        return dry_run_json(await runtime.dry_runner.run(body))


def say_preview(found: dict[str, Any], console: Console) -> None:
    """Decision, columns, conditions, people and requests, in this order."""
    console.print(Text.assemble((found["outcome"], "bold"), f"  {found['sentence']}"))
    for line in (found["reason"], *found["notes"]):
        if line:
            console.print(Text(f"  {line}"))
    console.print(Text(f"{found['event']} of record {found['record']}, meeting {found['meeting'] or '-'}"))
    if not found["columns"]:
        return
    console.print()
    console.print(_columns(found["columns"]))
    console.print()
    console.print(_checks(found["checks"]))
    if found["people"]:
        console.print()
        console.print(_people(found["people"]))
    if found["unread"]:
        console.print()
        console.print(Text(f"The mapping reads none of: {', '.join(found['unread'])}"))
    for request in found["requests"]:
        console.print()
        headers = ", ".join(f"{name}: {value}" for name, value in request["headers"].items())
        console.print(Text(f"{request['method']} {request['path']}"))
        console.print(Text(headers))
        console.print(Text(json.dumps(request["body"], indent=2, ensure_ascii=False)), soft_wrap=True)


def _columns(columns: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for one in columns:
        if one["origin"] != "nowhere":
            action = Text(one["action"], style=_STYLES.get(one["action"], "dim"))
            value = "" if one["action"] == "none" else f" = {_short(one.get('shown', one['result']))}"
            table.add_row(action, Text(f"{one['column']}{value}", overflow="fold"))
            table.add_row("", Text(_why(one), style="dim"))
    silent = [one["column"] for one in columns if one["origin"] == "nowhere"]
    if silent:
        table.add_row(Text("none", style="dim"), Text(f"No event has named: {', '.join(silent)}"))
    return table


def _why(one: dict[str, Any]) -> str:
    """Where the value comes from and what becomes of it."""
    if one["origin"] == "other fields":
        return f"From other fields. {one['why']}"
    where = (
        f"{one['source']} of this delivery" if one["origin"] == "this delivery" else f"{one['field']}, {one['origin']}"
    )
    return f"{where}, {one['transform']}, as of {one['changedAt'][:19]}. {one['why']}"


def _checks(checks: list[dict[str, Any]]) -> Table:
    table = Table("condition", "met", "", box=None, pad_edge=False)
    for one in checks:
        met = Text("yes" if one["met"] else "no", style="" if one["met"] else "yellow")
        remark = "" if one["counts"] else "does not count here"
        table.add_row(Text(one["name"]), met, Text(remark or ("" if one["met"] else one["otherwise"])))
    return table


def _people(people: list[dict[str, Any]]) -> Table:
    table = Table("in Outreach", "in Dynamics, and how that is known", box=None, pad_edge=False)
    for one in people:
        found = ", ".join(one["records"]) or one["email"] or "nobody"
        table.add_row(Text(one["reference"]), Text.assemble(found, "\n", (one["how"], "dim")))
    return table


def _short(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else ("" if value is None else str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

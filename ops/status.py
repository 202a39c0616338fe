"""`status`: what became of an event, how a meeting stands, or how the app itself is."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.remote import RemoteApp
from ops.report import FOUND, USAGE, AsJson, Refused, Report, reporting, visible
from ops.settings import DEFAULT_KEY_ENV, AppUrl, KeyEnv
from shared.meeting.outcome import OutcomeKind

_CORRELATION_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_IN_ORDER = ("event", "outcome", "meetingId", "appointmentId", "receivedAt", "finishedAt", "attempts", "nextAttemptAt")


def status(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A meeting's id (5, meeting:5, calendarEvent:17) or a correlation id. [default: the app itself]"
        ),
    ] = None,
    *,
    url: AppUrl = "",
    key_env: KeyEnv = DEFAULT_KEY_ENV,
    as_json: AsJson = False,
) -> None:
    """Show how a meeting, an event or the app stands.

    Exit code 1: it is unknown, or a dead letter.
    """
    with reporting(as_json=as_json) as report:
        if what is None:
            _show_app(report, url, key_env)
            return
        if not what.strip():
            raise Refused("Which one? Give a meeting's id or a correlation id.", code="nothing_named", exit_code=USAGE)
        kind = "correlations" if _CORRELATION_ID.fullmatch(what) else "meetings"
        with RemoteApp(url, key_env=key_env) as app:
            found = app.find(f"/api/{kind}/{quote(what, safe='')}")
        if found is None:
            sentence = {
                "meetings": f"Nothing is known of meeting {what} (yet); an event just accepted may wait.",
                "correlations": "No event with this correlation id was carried out (yet). One that the app ignored "
                "stands in its log only.",
            }[kind]
            raise Refused(sentence, code="not_found")
        say = say_event if kind == "correlations" else _say_meeting
        report.show(found, lambda console: say(visible(found), console))
        if OutcomeKind(found.get("outcome", "")).needs_person or found.get("state") == "needs attention":
            raise typer.Exit(FOUND)


def _show_app(report: Report, url: str, key_env: str) -> None:
    with RemoteApp(url, key_env=key_env) as app:
        found = app.get("/api/status")
    report.show(found, lambda console: _say_app(visible(found), console))
    if found["status"] != "ok":
        raise typer.Exit(FOUND)


def _say_app(found: dict[str, Any], console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, part in found["parts"].items():
        well = part["status"] == "ok"
        table.add_row(
            Text("ok" if well else "BAD", style="green" if well else "bold red"), name, part.get("reason", "")
        )
    console.print(table)
    console.print(f"Looked at {found['checkedAt'][:19]} UTC; the services are asked once a minute at most.")


def say_event(entry: dict[str, Any], console: Console) -> None:
    """The journal of one event."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("correlationId", str(entry["correlationId"]))
    for name in _IN_ORDER:
        if entry.get(name) is not None:
            table.add_row(name, str(entry[name]))
    if entry.get("columns"):
        table.add_row("written", ", ".join(entry["columns"]))
    for note in entry.get("notes") or ():
        table.add_row("note", Text(note))
    if entry.get("lastError"):
        table.add_row("why", Text(str(entry["lastError"]["reason"])))
    if entry.get("dismissedBecause"):
        table.add_row("dismissed", Text(entry["dismissedBecause"]))
    if entry.get("by"):
        table.add_row("dismissed by" if entry.get("dismissedBecause") else "sent again by", Text(entry["by"]))
    console.print(table)


def _say_meeting(meeting: dict[str, Any], console: Console) -> None:
    head = Table(box=None, show_header=False, pad_edge=False)
    for name in ("meetingId", "state", "parked", "appointmentId"):
        if meeting.get(name):
            head.add_row(name, Text(str(meeting[name])))
    if meeting.get("lastError"):
        head.add_row("lastError", Text(str(meeting["lastError"]["reason"])))
        head.add_row("its event", str(meeting["lastError"]["correlationId"]))
    console.print(head)
    if meeting["appointmentUrl"]:
        console.print(Text(meeting["appointmentUrl"]), soft_wrap=True)
    console.print()
    fields = Table("field", "value", "changed", box=None, pad_edge=False)
    for name, field in meeting["fields"].items():
        fields.add_row(name, Text(_short(field["value"])), field["changedAt"][:19])
    console.print(fields)
    console.print()
    events = Table("received", "event", "outcome", "correlation id", box=None, pad_edge=False)
    for event in meeting["recent"]:
        events.add_row(event["receivedAt"][:19], event["event"], event["outcome"], event["correlationId"])
    console.print(events)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{one['type']} {one['id']}" for one in value) or "nobody"
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."

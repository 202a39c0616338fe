"""`make demo`: the main job once, end to end, on real storage; then every appointment is checked, column by column."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from sandbox.appointments import Appointment, all_appointments, differences
from sandbox.outreach.sender import Sender
from sandbox.patience import PATIENCE
from sandbox.plot import Chapter, Plot, Step, write_plot
from sandbox.stack import HostKind, Stack

POLL_SECONDS: Final = 0.05
# An attempt that will be repeated is no outcome yet.
UNFINISHED: Final = frozenset({"retrying"})
WIDTH_WITHOUT_TERMINAL: Final = 120


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one step. `problem` is empty where all is as it must be."""

    step: Step
    outcome: str
    appointment_id: str
    seconds: float
    problem: str = ""


def demo(console: Console | None = None, *, host: HostKind = "sandbox") -> int:
    """Tell the story on a stack of its own; 0 only if everything came out as it must."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_WITHOUT_TERMINAL)
    started = time.monotonic()
    starting = "Starting Azurite, Dataverse and Outreach stand-ins, and the app …"
    with console.status(starting), Stack("demo", host=host) as stack:
        console.print(
            f"[bold]Up[/] in {time.monotonic() - started:.1f} s: the app on {stack.host_url}, storage is Azurite, "
            f"logs in {stack.logs}",
            highlight=False,
        )
        return asyncio.run(play(stack, write_plot(datetime.now(UTC)), console))


async def play(stack: Stack, plot: Plot, console: Console) -> int:
    """Run `plot` on a stack that is up; 0 if all came out as it must, else 1 and every difference on the console."""
    done: list[Done] = []
    for chapter in plot.chapters:
        done += await _chapter(stack, chapter, console)
    appointments = await all_appointments(stack.dataverse.url)
    console.print(_table(done))
    problems = [f"{one.step.meeting}, {one.step.what}: {one.problem}" for one in done if one.problem]
    problems += _check(done, plot.appointments, appointments)
    if problems:
        console.print(f"[bold red]Not as it must be[/] ({len(problems)}):")
        for problem in problems:
            console.print(f"  - {problem}", markup=False, highlight=False)
        console.print(f"The logs are in {stack.logs}", highlight=False)
        return 1
    columns = ", ".join(field.name for field in fields(Appointment))
    console.print(
        f"[bold green]All as it must be:[/] {len(done)} deliveries, {len(appointments)} appointments; "
        f"of each compared: {columns}.",
        highlight=False,
    )
    return 0


async def _chapter(stack: Stack, chapter: Chapter, console: Console) -> list[Done]:
    if chapter.settings:
        stack.host.restart(**chapter.settings)
    console.print(f"[bold]The app {chapter.title}[/]", highlight=False)
    done = []
    async with (
        # On a slow machine Outreach would not wait, and send again; the story tells what one delivery does.
        Sender(stack.webhook_url, secret=stack.access.webhook_secret, timeout_seconds=PATIENCE) as sender,
        httpx.AsyncClient(timeout=PATIENCE) as client,
    ):
        for step in chapter.steps:
            one = await _step(stack, step, sender, client)
            sign = "[red]✗[/]" if one.problem else "[green]✓[/]"
            console.print(
                f"  {sign} meeting {step.meeting} {step.what} → {one.outcome} ({one.seconds:.2f} s)", highlight=False
            )
            done.append(one)
    return done


async def _step(stack: Stack, step: Step, sender: Sender, client: httpx.AsyncClient) -> Done:
    """Deliver, then wait for the journal: the next step must find this one done."""
    started = time.monotonic()
    sent = await sender.send(step.delivery, secret=step.secret)
    if sent.status != step.status:
        said = sent.body.decode(errors="replace")[:200]
        problem = f"the app answered {sent.status} {said}, must be {step.status}"
        return Done(step, f"HTTP {sent.status}", "", time.monotonic() - started, problem)
    if step.outcome is None:
        return Done(step, f"refused, HTTP {sent.status}", "", time.monotonic() - started)
    entry = await _journal(stack, sent.correlation_id or "", client)
    seconds = time.monotonic() - started
    if entry is None:
        return Done(step, "nothing", "", seconds, f"the journal has no outcome after {PATIENCE:g} s")
    outcome = str(entry["outcome"])
    problem = "" if outcome == step.outcome else f"outcome {outcome}, must be {step.outcome}; {entry.get('lastError')}"
    return Done(step, outcome, str(entry.get("appointmentId") or ""), seconds, problem)


async def _journal(stack: Stack, correlation_id: str, client: httpx.AsyncClient) -> dict[str, Any] | None:
    """The journal's entry of one event once it has an outcome, or `None` at the dead line."""
    url = f"{stack.host_url}/api/correlations/{correlation_id}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        response = await client.get(url, headers={"x-functions-key": stack.access.admin_key})
        if response.status_code == 200:
            entry: dict[str, Any] = response.json()
            if entry["outcome"] not in UNFINISHED:
                return entry
        await asyncio.sleep(POLL_SECONDS)
    return None


def _table(done: list[Done]) -> Table:
    table = Table(title="What happened in Outreach, and what became of it", title_justify="left")
    for column in ("Meeting", "Event", "What", "Outcome", "Appointment"):
        table.add_column(column, overflow="fold")
    last = ""
    for one in done:
        if last and one.step.meeting != last:
            table.add_section()
        last = one.step.meeting
        style = "red" if one.problem else None
        appointment = one.appointment_id.partition("-")[0] or "none"
        row = (one.step.meeting, one.step.delivery.event_name, one.step.what, one.outcome, appointment)
        table.add_row(*row, style=style)
    return table


def _check(done: list[Done], wanted: Mapping[str, Appointment], found: Mapping[str, Appointment]) -> list[str]:
    """One sentence for everything about the appointments that is not as it must be."""
    problems = []
    known: set[str] = set()
    for meeting, appointment in wanted.items():
        ids = {one.appointment_id for one in done if one.step.meeting == meeting and one.appointment_id}
        known |= ids
        actual = [found[one] for one in ids if one in found]
        if len(ids) != 1 or len(actual) != 1:
            problems.append(f"meeting {meeting} must have one appointment; the journal names {sorted(ids)}")
            continue
        problems += [f"appointment of meeting {meeting}: {text}" for text in differences(actual[0], appointment)]
    problems += [f"appointment {one} belongs to no meeting of the story" for one in sorted(set(found) - known)]
    return problems

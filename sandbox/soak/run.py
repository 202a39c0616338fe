"""One soak from the start of the stack to the count.

At once: Dataverse throttles, fails and drops a tenth of all requests, before or after applying them; the app is killed
outright; storage goes away for a while; deliveries come twice and out of order, sent by Outreach's own rule: four
attempts where the network fails, and any answer is the last word. What each appointment must be in the end is what the
scripts wrote down while they were written (`promised.py`), never computed with the app's own code.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandbox.appointments import Appointment, all_appointments
from sandbox.patience import PATIENCE
from sandbox.soak.breaking import FAULT_RATE, FAULTS, break_things, dataverse_calls, set_faults
from sandbox.soak.events import write_events
from sandbox.soak.plan import Count, Plan
from sandbox.soak.promised import Fate, Life
from sandbox.soak.refusals import begin_refusals, end_refusals, refused_columns, write_again
from sandbox.soak.sending import Sending
from sandbox.soak.waiting import unfinished
from sandbox.stack import Stack

# After a kill the queue gives what was in flight back after this long; Microsoft's host and Azure take ten minutes.
LEASE_SECONDS: Final = 5
REAL_LEASE_SECONDS: Final = 600.0
QUIET_SECONDS: Final = 900.0


def soak(plan: Plan, console: Console | None = None) -> int:
    """Run it; 0 only if nothing was lost, duplicated or stale."""
    console = console or Console()
    deliveries, lives = write_events(plan)
    count = Count()
    settings = {"SANDBOX_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS)} if plan.host == "sandbox" else {}
    started = time.monotonic()
    with Stack("soak", host=plan.host, settings=settings, persistence="disk") as stack:
        console.print(
            f"Up; {len(deliveries):,} deliveries of {len(lives):,} meetings, logs in {stack.logs}", highlight=False
        )
        with _progress(console) as progress:
            sent = progress.add_task("sent", total=len(deliveries))
            sending = Sending(stack, deliveries, count, lambda: _advance(progress, sent, console))
            if plan.trouble:
                faults = {"rate": FAULT_RATE, "kinds": list(FAULTS), "retry_after": 1, "seed": plan.seed}
                asyncio.run(set_faults(stack, **faults))
            if plan.refuses:
                asyncio.run(begin_refusals(stack, plan))
            # Children die with the thread that started them, so the breaking is done here and the sending elsewhere.
            thread = threading.Thread(target=sending.run)
            thread.start()
            if plan.trouble:
                break_things(stack, plan, count, sending)
            thread.join()
        if sending.error is not None:
            raise sending.error
        console.print(f"All sent after {time.monotonic() - started:.0f} s; the faults end, waiting for quiet …")
        asyncio.run(_settle(stack, plan, count, console))
        _compare(stack, lives, sending.fates, count)
        if plan.refuses:
            _write_again(stack, plan, count, console, lives=lives, fates=sending.fates)
    console.print(_table(count, len(lives), time.monotonic() - started))
    for example in count.examples[:20]:
        console.print(example, highlight=False, markup=False)
    return 0 if count.clean else 1


async def _settle(stack: Stack, plan: Plan, count: Count, console: Console) -> None:
    """Wait until every message is done; the sweep runs every few seconds instead of every minute."""
    await set_faults(stack, rate=0)
    headers = {"x-functions-key": stack.access.admin_key}
    patience = QUIET_SECONDS + (REAL_LEASE_SECONDS if plan.host == "functions" else 0)
    deadline = time.monotonic() + patience
    quiet, said = 0, -1
    async with httpx.AsyncClient(base_url=stack.host_url, headers=headers, timeout=PATIENCE) as client:
        while quiet < 3:
            (await client.post("/admin/functions/sweep", json={})).raise_for_status()
            await asyncio.sleep(4)
            waiting = await unfinished(stack)
            quiet = quiet + 1 if waiting == 0 else 0
            if time.monotonic() > deadline:
                count.examples.append(f"Still {waiting} messages or overflown events after {patience:.0f} s.")
                count.lost += waiting
                break
            if waiting not in {0, said}:
                console.print(f"  {waiting:,} waiting …", highlight=False)
            said = waiting
        dead_letters = (await client.get("/api/deadletters")).json()["deadLetters"]
    count.dead_lettered = len(dead_letters)
    count.examples += [
        f"Dead letter: {dead_letter['meetingId']}: {dead_letter['reason']}" for dead_letter in dead_letters[:5]
    ]


def _write_again(
    stack: Stack, plan: Plan, count: Count, console: Console, *, lives: Mapping[int, Life], fates: Mapping[str, Fate]
) -> None:
    """Dynamics refuses nothing any more, and the meetings are written again: now every column must be right."""
    asyncio.run(end_refusals(stack))
    count.written_again = asyncio.run(write_again(stack, lives))
    console.print(f"Dynamics refuses nothing any more; {count.written_again:,} meetings are written again …")
    after = Count()
    asyncio.run(_settle(stack, plan, after, console))
    _compare(stack, lives, fates, after)
    # A dead letter goes when a later event of its meeting is carried out; it was one all the same.
    count.dead_lettered = max(count.dead_lettered, after.dead_lettered)
    count.still_wrong = after.lost + after.duplicated + after.stale + after.columns_refused
    count.examples += [f"Written again: {example}" for example in after.examples]


def _compare(stack: Stack, lives: Mapping[int, Life], fates: Mapping[str, Fate], count: Count) -> None:
    """Every meeting against its appointments."""
    count.dataverse_calls = dataverse_calls(stack)
    unpromised = [number for number, life in lives.items() if not life.promised(fates)]
    count.unpromised = len(unpromised)
    found = asyncio.run(all_appointments(stack.dataverse.url))
    without_name = [number for number in lives if number not in _by_meeting(found, {})]
    by_number = _by_meeting(found, _appointments_of(stack, without_name))
    for number, life in lives.items():
        mine = by_number.pop(number, [])
        if not mine:
            if life.promised(fates):
                count.lost += 1
                count.examples.append(f"Meeting {number} has no appointment.")
            continue
        count.applied += 1
        count.duplicated += len(mine) - 1
        wrong = life.wrong_columns(mine[0], fates)
        named = refused_columns(stack, number) if wrong else frozenset()
        count.columns_refused += len(wrong & named)
        if wrong - named:
            count.stale += 1
            count.examples.append(f"Meeting {number}: {'; '.join(life.wrong(mine[0], fates))}.")
    count.duplicated += sum(map(len, by_number.values()))


def _by_meeting(found: Mapping[str, Appointment], known: Mapping[str, int]) -> dict[int, list[Appointment]]:
    """Appointments by the meeting in their subject; of one without a subject by what the app has in `known`; else 0."""
    by_number: dict[int, list[Appointment]] = {}
    for appointment_id, appointment in found.items():
        # Every subject begins with the number of its meeting.
        subject = appointment.subject
        number = int(subject.split(",")[0].split()[1]) if subject else known.get(appointment_id, 0)
        by_number.setdefault(number, []).append(appointment)
    return by_number


def _appointments_of(stack: Stack, meetings: list[int]) -> dict[str, int]:
    """The appointments that the app knows of these meetings: one has no subject where none came, or it was refused."""
    known: dict[str, int] = {}
    with httpx.Client(
        base_url=stack.host_url, headers={"x-functions-key": stack.access.admin_key}, timeout=PATIENCE
    ) as client:
        for number in meetings:
            answer = client.get(f"/api/meetings/{number}")
            if answer.status_code == 200 and (appointment := answer.json().get("appointmentId")):
                known[str(appointment)] = number
    return known


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, refresh_per_second=2, disable=not console.is_terminal)


def _advance(progress: Progress, task: TaskID, console: Console) -> None:
    """One more; where nobody sees a bar, a line for every tenth."""
    progress.advance(task)
    done, total = int(progress.tasks[task].completed), int(progress.tasks[task].total or 0)
    if not console.is_terminal and total and done * 10 // total != (done - 1) * 10 // total:
        console.print(f"  {done:,} of {total:,} sent", highlight=False)


def _table(count: Count, meetings: int, seconds: float) -> Table:
    table = Table(title="Nothing lost, nothing twice, whatever breaks", show_header=False)
    calls = count.dataverse_calls / max(count.accepted, 1)
    for name, value in (
        ("deliveries sent", f"{count.sent:,}"),
        ("  accepted", f"{count.accepted:,}"),
        *((f"  answered {status}", f"{many:,}") for status, many in sorted(count.refused.items())),
        ("  never got an answer", f"{count.unanswered:,}"),
        ("  never arrived", f"{count.never_arrived:,}"),
        ("meetings", f"{meetings:,}"),
        ("  whose booking was not accepted", f"{count.unpromised:,}"),
        ("appointments right or wrong", f"{count.applied:,}"),
        ("lost", f"{count.lost:,}"),
        ("duplicated", f"{count.duplicated:,}"),
        ("stale", f"{count.stale:,}"),
        ("columns that Dynamics refused, each named in its meeting", f"{count.columns_refused:,}"),
        ("  meetings written again once it refused nothing", f"{count.written_again:,}"),
        ("  appointments and columns not right after that", f"{count.still_wrong:,}"),
        ("dead-lettered", f"{count.dead_lettered:,}"),
        ("Dataverse calls per accepted delivery", f"{calls:.2f}"),
        ("host killed", f"{count.host_kills:,} times"),
        ("host ended by itself", f"{count.host_ends:,} times"),
        ("worker killed", f"{count.worker_kills:,} times"),
        ("storage stopped", f"{count.storage_stops:,} times"),
        ("seconds", f"{seconds:,.0f}, {count.sent / seconds:,.0f} a second"),
    ):
        table.add_row(name, value)
    return table

"""`make soak`: thousands of events while everything breaks, then the count: nothing lost, nothing twice, nothing stale.

At once: Dataverse throttles, fails and drops a tenth of all requests, before or after applying them; the app is killed
outright every few seconds; storage goes away for a while; deliveries come twice and out of order. What each appointment
must be in the end is what the scripts wrote down while they were written, never computed with the app's own code.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from azure.core.exceptions import AzureError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandbox.appointments import COMPLETED, Appointment, all_appointments, differences
from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, OPPORTUNITY_IDS, USER_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target
from sandbox.outreach.sender import Sender
from sandbox.stack import Stack

# 429 pauses the whole app for its Retry-After, so it is a small part of the tenth; the others are equal.
FAULTS: Final = ("429", *["503"] * 6, *["drop_before"] * 6, *["drop_after"] * 6)
# Whom prospects 101 to 105 are in Dynamics (`sandbox/outreach/seed.py`).
_IN_DYNAMICS: Final = (*CONTACT_IDS[:3], LEAD_IDS[0], CONTACT_IDS[3])
BOOKED: Final = datetime(2026, 2, 1, 9, tzinfo=UTC)
STEP: Final = timedelta(minutes=1)
LENGTH: Final = timedelta(minutes=30)
DAY: Final = timedelta(days=1)
FAULT_RATE: Final = 0.1
DUPLICATE_RATE: Final = 0.1
# How far an event may come from its place in the order.
DISORDER: Final = 40
SENDERS: Final = 16
# The app gets so much done between two kills, or so many seconds, however slow the machine is.
CALLS_BETWEEN_KILLS: Final = 15
LONGEST_WITHOUT_KILL: Final = 60.0
# After a kill the queue gives what was in flight back after this long; in Azure it is ten minutes.
LEASE_SECONDS: Final = 5
# Senders wait while more than this is unfinished: the emulator gets slow with a long queue, which is not the question.
BACKLOG: Final = 400
QUIET_SECONDS: Final = 900.0
# The breaking ends when this part of all events still waits, so that the end can be waited for.
NEARLY_DONE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard.

    `trouble` off: no faults, kills or stops, only repeats and disorder. `kill_every`: seconds between two kills.
    `storage_stops`: how often storage goes away, for `away` seconds. `disorder`: how many places an event may come
    from its own; 0 means any place at all.
    """

    events: int = 20_000
    kill_every: float = 5.0
    storage_stops: int = 3
    away: float = 6.0
    seed: int = 1
    disorder: int = DISORDER
    trouble: bool = True


@dataclass(slots=True)
class Count:
    """What is printed in the end. `stale`: an appointment with a column that is not the last one accepted."""

    accepted: int = 0
    unanswered: int = 0
    kills: int = 0
    storage_stops: int = 0
    applied: int = 0
    lost: int = 0
    duplicated: int = 0
    stale: int = 0
    dead_lettered: int = 0
    dataverse_calls: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.duplicated or self.stale or self.dead_lettered)


def soak(plan: Plan, console: Console | None = None) -> int:
    """Run it; 0 only if nothing was lost, duplicated or stale."""
    console = console or Console()
    deliveries, wanted = write_events(plan)
    count = Count()
    settings = {"SANDBOX_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS)}
    started = time.monotonic()
    with Stack("soak", settings=settings, persistence="disk") as stack:
        console.print(
            f"Up; {len(deliveries):,} deliveries of {len(wanted):,} meetings, logs in {stack.logs}", highlight=False
        )
        with _progress(console) as progress:
            sent = progress.add_task("sent", total=len(deliveries))
            driver = _Driver(stack, plan, deliveries, count, lambda: _advance(progress, sent, console))
            # Children die with the thread that started them, so the breaking is done here and the sending elsewhere.
            sending = threading.Thread(target=driver.run)
            sending.start()
            if plan.trouble:
                _break_things(stack, plan, count, driver)
            sending.join()
        if driver.error is not None:
            raise driver.error
        console.print(f"All accepted after {time.monotonic() - started:.0f} s; the faults end, waiting for quiet …")
        asyncio.run(_settle(stack, count, console))
        _compare(stack, wanted, count)
    console.print(_table(count, len(wanted), time.monotonic() - started))
    for example in count.examples[:20]:
        console.print(example, highlight=False)
    return 0 if count.clean else 1


def write_events(plan: Plan) -> tuple[list[Delivery], dict[int, Appointment]]:
    """The deliveries in the order of sending, with repeats and disorder, and what must come of them."""
    chance = random.Random(plan.seed)
    placed: list[tuple[float, Delivery]] = []
    wanted: dict[int, Appointment] = {}
    number, total = 0, 0
    originals = round(plan.events / (1 + DUPLICATE_RATE))
    while total < originals:
        number += 1
        script = MeetingScript(number, now=BOOKED - STEP, step=STEP)
        life, wanted[number] = _life(script, number, chance)
        begin = chance.uniform(0, originals)
        for step, delivery in enumerate(life):
            place = begin + step * 3 + chance.uniform(0, plan.disorder) if plan.disorder else chance.random()
            placed.append((place, delivery))
            if chance.random() < DUPLICATE_RATE:
                placed.append((place + chance.uniform(0, 4 * plan.disorder), delivery))
        total += len(life)
    placed.sort(key=lambda item: item[0])
    return [delivery for _, delivery in placed], wanted


def _life(script: MeetingScript, number: int, chance: random.Random) -> tuple[list[Delivery], Appointment]:
    """Deliveries of one meeting, and what must come of them."""
    start = datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(minutes=15 * (number % 1000))
    prospect, user = number % 5, number % len(USER_IDS)
    people: dict[str, Any] = {"prospects": [101 + prospect], "user": 1 + user, "opportunity": 301}
    want = Appointment(
        subject=f"Meeting {number}",
        description=None,
        location=None,
        is_all_day=False,
        start=start,
        end=start + LENGTH,
        created_on=BOOKED,
        created_by=USER_IDS[0],
        owner=USER_IDS[user],
        organizer=USER_IDS[user],
        regarding=OPPORTUNITY_IDS[0],
        attendees=frozenset({_IN_DYNAMICS[prospect]}),
    )
    life = [script.booked(title=want.subject or "", start=start, booker=1, **people)]
    for change in range(chance.randint(1, 6)):
        match chance.randrange(6):
            case 0:
                want = replace(want, subject=f"Meeting {number}, version {change}")
                life.append(script.changed(title=want.subject))
            case 1:
                want = replace(want, location=f"Room {change}")
                life.append(script.changed(location=want.location))
            case 2:
                want = replace(want, start=want.start + DAY, end=want.start + DAY + LENGTH)
                life.append(script.rescheduled(want.start))
            case 3:
                want = replace(want, location=None, description=f"Agenda {change}")
                life.append(script.changed(location=None, description=want.description))
            case 4:
                user = chance.randrange(len(USER_IDS))
                want = replace(want, owner=USER_IDS[user], organizer=USER_IDS[user])
                life.append(script.changed(relationships={"user": Target("user", 1 + user)}))
            case _:
                prospect = chance.randrange(len(_IN_DYNAMICS))
                want = replace(want, attendees=frozenset({_IN_DYNAMICS[prospect]}))
                target = Target("prospect", 101 + prospect)
                life.append(script.changed(relationships={"prospect": target, "prospects": (target,)}))
    if chance.random() < 0.3:
        want = replace(want, state=COMPLETED)
        life.append(script.completed())
    return life, want


class _Driver:
    """Sends everything until it is accepted, in a thread and loop of its own."""

    def __init__(
        self, stack: Stack, plan: Plan, deliveries: list[Delivery], count: Count, advance: Callable[[], None]
    ) -> None:
        self._stack = stack
        self._plan = plan
        self._deliveries = deliveries
        self._count = count
        self._advance = advance
        self.error: Exception | None = None
        self.done = threading.Event()

    def run(self) -> None:
        """The thread's work."""
        try:
            asyncio.run(self._send_all())
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            self.error = error
        finally:
            self.done.set()

    async def _send_all(self) -> None:
        if self._plan.trouble:
            await _set_faults(self._stack, rate=FAULT_RATE, kinds=list(FAULTS), retry_after=1, seed=self._plan.seed)
        waiting = iter(self._deliveries)
        welcome = asyncio.Event()
        watching = asyncio.create_task(self._watch_backlog(welcome))
        try:
            async with Sender(self._stack.webhook_url, secret=self._stack.access.webhook_secret) as sender:
                await asyncio.gather(*(self._send_some(sender, waiting, welcome) for _ in range(SENDERS)))
        finally:
            watching.cancel()

    async def _watch_backlog(self, welcome: asyncio.Event) -> None:
        """Let senders go on only while little is unfinished. Storage that is away for a while tells nothing."""
        while True:
            try:
                async with asyncio.timeout(5):
                    backlog = await _waiting(self._stack)
            except (AzureError, TimeoutError):
                backlog = 0
            (welcome.set if backlog < BACKLOG else welcome.clear)()
            await asyncio.sleep(0.5)

    async def _send_some(self, sender: Sender, waiting: Iterator[Delivery], welcome: asyncio.Event) -> None:
        for delivery in waiting:
            await welcome.wait()
            # Outreach would stop after four attempts and leave the rest to the sweep; here the same event comes again.
            while (sent := await sender.send(delivery)).status != 202:
                self._count.unanswered += 1
                if sent.status is not None and sent.status != 503:
                    raise RuntimeError(f"HTTP {sent.status}: {sent.body[:200]!r}")
                await asyncio.sleep(0.5)
            self._count.accepted += 1
            self._advance()


def _break_things(stack: Stack, plan: Plan, count: Count, driver: _Driver) -> None:
    """Kill the app again and again, and stop storage a few times, until nearly all that was sent is worked off."""
    chance = random.Random(plan.seed)
    away = [(stop + 1) / (plan.storage_stops + 1) for stop in range(plan.storage_stops)]

    def is_busy() -> bool:
        return not driver.done.is_set() or asyncio.run(_waiting(stack)) > plan.events * NEARLY_DONE

    while is_busy():
        calls, deadline = _calls(stack), time.monotonic() + LONGEST_WITHOUT_KILL
        time.sleep(plan.kill_every * chance.uniform(0.6, 1.4))
        # What is in hand at five kills in a row becomes a dead letter, and rightly.
        while is_busy() and _calls(stack) < calls + CALLS_BETWEEN_KILLS and time.monotonic() < deadline:
            time.sleep(0.5)
        if driver.error is not None:
            return
        if away and count.accepted >= away[0] * plan.events:
            away.pop(0)
            stack.azurite.stop()
            time.sleep(plan.away)
            stack.azurite.start()
            count.storage_stops += 1
        stack.host.kill()
        stack.host.start()
        count.kills += 1


def _calls(stack: Stack) -> int:
    """How many requests Dataverse has had."""
    return int(httpx.get(f"{stack.dataverse.url}/__sandbox/counters").json()["total"])


async def _set_faults(stack: Stack, **plan: Any) -> None:
    async with httpx.AsyncClient(base_url=stack.dataverse.url) as client:
        (await client.post("/__sandbox/faults", json=plan)).raise_for_status()


async def _settle(stack: Stack, count: Count, console: Console) -> None:
    """Wait until every message is done; the sweep runs every few seconds instead of every minute."""
    await _set_faults(stack, rate=0)
    headers = {"x-functions-key": stack.access.admin_key}
    deadline = time.monotonic() + QUIET_SECONDS
    quiet = 0
    async with httpx.AsyncClient(base_url=stack.host_url, headers=headers, timeout=30) as client:
        while quiet < 3:
            (await client.post("/admin/functions/sweep", json={})).raise_for_status()
            await asyncio.sleep(4)
            waiting = await _waiting(stack)
            quiet = quiet + 1 if waiting == 0 else 0
            if time.monotonic() > deadline:
                count.examples.append(f"Still {waiting} messages or spilled events after {QUIET_SECONDS:.0f} s.")
                break
            if waiting:
                console.print(f"  {waiting:,} waiting …", highlight=False)
        letters = (await client.get("/api/deadletters")).json()["deadLetters"]
    count.dead_lettered = len(letters)
    count.examples += [f"Dead letter: {letter['meetingId']}: {letter['reason']}" for letter in letters[:5]]


async def _waiting(stack: Stack) -> int:
    """Messages in the queue, seen or not, and events in the spill table."""
    storage = stack.azurite.connection_string
    queue = stack.app_settings()["SYNC_QUEUE_NAME"]
    async with QueueServiceClient.from_connection_string(storage) as queues:
        waiting = 0
        for name in (queue, f"{queue}-poison"):
            async for found in queues.list_queues(name_starts_with=name):
                if found.name == name:
                    waiting += int(
                        (await queues.get_queue_client(name).get_queue_properties()).approximate_message_count or 0
                    )
    async with TableServiceClient.from_connection_string(storage) as tables:
        names = {table.name async for table in tables.list_tables()}
        if "spill" in names:
            waiting += len([row async for row in tables.get_table_client("spill").list_entities(select=["RowKey"])])
    return waiting


def _compare(stack: Stack, wanted: dict[int, Appointment], count: Count) -> None:
    """Every meeting against its appointment, found by the app's own word for it."""
    appointments = asyncio.run(all_appointments(stack.dataverse.url))
    count.dataverse_calls = _calls(stack)
    by_number: dict[int, list[Appointment]] = {}
    for found in appointments.values():
        # Every subject begins with the number of its meeting.
        by_number.setdefault(int((found.subject or "0 0").split(",")[0].split()[1]), []).append(found)
    for number, want in wanted.items():
        mine = by_number.pop(number, [])
        if not mine:
            count.lost += 1
            count.examples.append(f"Meeting {number} has no appointment.")
            continue
        count.applied += 1
        count.duplicated += len(mine) - 1
        # Both are set with the create only, which an event that overtakes the booking may bring about.
        actual = replace(mine[0], created_on=want.created_on, created_by=want.created_by)
        wrong = differences(actual, want)
        if wrong:
            count.stale += 1
            count.examples.append(f"Meeting {number}: {'; '.join(wrong)}.")
    count.duplicated += sum(map(len, by_number.values()))


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
        ("accepted deliveries", f"{count.accepted:,}"),
        ("meetings", f"{meetings:,}"),
        ("appointments right or wrong", f"{count.applied:,}"),
        ("lost", f"{count.lost:,}"),
        ("duplicated", f"{count.duplicated:,}"),
        ("stale", f"{count.stale:,}"),
        ("dead-lettered", f"{count.dead_lettered:,}"),
        ("Dataverse calls per delivery", f"{calls:.2f}"),
        ("app killed", f"{count.kills:,} times"),
        ("storage stopped", f"{count.storage_stops:,} times"),
        ("deliveries without answer", f"{count.unanswered:,}"),
        ("seconds", f"{seconds:,.0f}, {count.accepted / seconds:,.0f} a second"),
    ):
        table.add_row(name, value)
    return table

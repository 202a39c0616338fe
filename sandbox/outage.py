"""`python -m sandbox outage`: storage is away for a while, and deliveries come in by Outreach's own rule meanwhile.

Outreach takes any answer for delivered and tries again only after silence. So what is answered no is lost, and what is
not answered must be in Dynamics all the same once storage is back.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from sandbox.appointments import all_appointments
from sandbox.azurite import SERVICES, connection_string
from sandbox.gate import Gate, How
from sandbox.outreach.deliveries import Delivery, MeetingScript
from sandbox.outreach.sender import Sender, Sent
from sandbox.stack import HostKind, Stack

# A message that storage would not take back in time comes again when its lease ends, after ten minutes.
SETTLE_SECONDS: Final = 660.0
CONNECTIONS: Final = 200
HEALTH_TIMEOUT: Final = 15.0
_ENDPOINT: Final = re.compile(r"(\w+)Endpoint=http://127\.0\.0\.1:(\d+)/")


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` of an outage that looks like `how`, and `deliveries` evenly over the first `spread` of them.

    `share`: of the requests that a busy account turns away. `size`: characters of each meeting's description. `stop`:
    the app is asked to end in the middle of the outage, and started again when it has ended.
    """

    seconds: float = 8.0
    how: How = "hangs"
    share: float = 1.0
    deliveries: int = 16
    spread: float = 0.0
    size: int = 0
    host: HostKind = "sandbox"
    stop: bool = False


@dataclass(slots=True)
class Seen:
    """What was seen of one outage; memory in MiB, of host and worker together."""

    sent: list[Sent] = field(default_factory=list)
    health: Counter[int] = field(default_factory=Counter)
    slowest_health: float = 0.0
    memory_before: float = 0.0
    memory_most: float = 0.0
    applied: int = 0
    settled: float = 0.0

    def answered(self, *statuses: int | None) -> int:
        """How many deliveries ended with one of these; None: without an answer."""
        return sum(one.status in statuses for one in self.sent)


def outage(plan: Plan, console: Console | None = None) -> int:
    """Run it on a stack of its own; 0 only if every delivery is in Dynamics and none was answered no."""
    console = console or Console()
    with ExitStack() as open_:

        def port_of(service: str) -> Callable[[], int]:
            return lambda: _ports(stack.azurite.connection_string)[service]

        gates = {service: open_.enter_context(Gate(port_of(service))) for service in SERVICES}
        storage = connection_string(*(gate.port for gate in gates.values()))
        stack = Stack("outage", host=plan.host, settings={"AzureWebJobsStorage": storage})
        open_.enter_context(stack)
        seen = asyncio.run(_Outage(stack, list(gates.values()), plan).run())
        console.print(_table(plan, seen))
        console.print(f"The logs are in {stack.logs}", highlight=False)
    return 0 if seen.applied == plan.deliveries == seen.answered(202, None) else 1


class _Outage:
    def __init__(self, stack: Stack, gates: list[Gate], plan: Plan) -> None:
        self._stack = stack
        self._gates = gates
        self._plan = plan
        self._seen = Seen()

    async def run(self) -> Seen:
        """All of it."""
        plan, seen = self._plan, self._seen
        webhook = Sender(self._stack.webhook_url, secret=self._stack.access.webhook_secret, connections=CONNECTIONS)
        async with webhook as sender:
            await sender.send(_delivery(0, plan))
            await self._applied([0])
            seen.memory_before = seen.memory_most = self._stack.host.memory()
            for gate in self._gates:
                gate.shut(plan.how, share=plan.share)
            numbers = range(1, plan.deliveries + 1)
            sending = [asyncio.create_task(self._send(sender, number)) for number in numbers]
            watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._ask_health())]
            stopping = asyncio.create_task(self._stop()) if plan.stop else None
            await asyncio.sleep(plan.seconds)
            for gate in self._gates:
                gate.open()
            back = time.monotonic()
            seen.sent = await asyncio.gather(*sending)
            if stopping is not None:
                await stopping
            seen.applied = await self._applied(numbers)
            seen.settled = time.monotonic() - back
            for task in watching:
                task.cancel()
        return seen

    async def _send(self, sender: Sender, number: int) -> Sent:
        await asyncio.sleep(self._plan.spread * number / self._plan.deliveries)
        return await sender.send(_delivery(number, self._plan))

    async def _stop(self) -> None:
        await asyncio.sleep(self._plan.seconds / 2)
        await asyncio.to_thread(self._stack.host.restart)

    async def _applied(self, numbers: range | list[int]) -> int:
        """How many of these meetings are in Dynamics, as soon as all are."""
        wanted = {_title(number) for number in numbers}
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            found = Counter(one.subject for one in (await all_appointments(self._stack.dataverse.url)).values())
            if max(found.values(), default=0) > 1:
                raise RuntimeError("A meeting has two appointments.")
            if wanted <= found.keys() or time.monotonic() > deadline:
                return len(wanted & found.keys())
            await asyncio.sleep(0.5)

    async def _watch(self) -> None:
        while True:
            self._seen.memory_most = max(self._seen.memory_most, self._stack.host.memory())
            await asyncio.sleep(0.1)

    async def _ask_health(self) -> None:
        async with httpx.AsyncClient(base_url=self._stack.host_url, timeout=HEALTH_TIMEOUT, trust_env=False) as client:
            while True:
                began = time.monotonic()
                try:
                    status = (await client.get("/api/health")).status_code
                except httpx.TransportError:
                    status = 0
                self._seen.health[status] += 1
                self._seen.slowest_health = max(self._seen.slowest_health, time.monotonic() - began)
                await asyncio.sleep(1)


def _ports(storage: str) -> Mapping[str, int]:
    return {name.lower(): int(port) for name, port in _ENDPOINT.findall(storage)}


def _title(number: int) -> str:
    return f"Meeting {number}"


def _delivery(number: int, plan: Plan) -> Delivery:
    return MeetingScript(80_000 + number).booked(title=_title(number), description="x" * plan.size)


def _table(plan: Plan, seen: Seen) -> Table:
    table = Table(title=f"Storage {plan.how} for {plan.seconds:g} s, the {plan.host} host", show_header=False)
    no = Counter(one.status for one in seen.sent if one.status not in {202, None})
    for name, value in (
        ("deliveries", f"{plan.deliveries:,}"),
        ("answered yes", f"{seen.answered(202):,}"),
        ("answered no", f"{no.total():,} {dict(no) if no else ''}"),
        ("never answered", f"{seen.answered(None):,}"),
        ("attempts", f"{sum(one.attempts for one in seen.sent):,}"),
        ("in Dynamics", f"{seen.applied:,}, {seen.settled:.1f} s after storage was back"),
        ("health answered", f"{dict(seen.health)}, the slowest after {seen.slowest_health:.1f} s"),
        ("memory", f"{seen.memory_before:.0f} MiB before, {seen.memory_most:.0f} MiB at most"),
    ):
        table.add_row(name, value)
    return table

"""The two builds behind one door: hand them deliveries, get back what it took."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from azure.storage.queue.aio import QueueClient

from bench.naive import MEETING_COLUMN, NaiveSync
from sandbox.outreach.deliveries import Delivery
from sandbox.outreach.sender import headers
from shared.errors import BadDelivery, Transient
from shared.meeting.identity import MeetingKey, appointment_id
from shared.runtime import Runtime, new_trace

# What one instance has in hand at once: batchSize + newBatchThreshold of host.json.
WORKERS: Final = 12
_PAGE: Final = 32
_HIDDEN_SECONDS: Final = 600
_LOOK_SECONDS: Final = 0.2


@dataclass(slots=True)
class Run:
    """`answers`: seconds until Outreach had its answer; `syncs`: seconds that carrying out an event took.

    `seconds` and `cpu`: of both together, the second one of this process alone. `failed`: deliveries that were not
    taken.
    """

    events: int
    answers: list[float] = field(default_factory=list)
    syncs: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    failed: int = 0


class Build(Protocol):
    """One way of doing the job."""

    name: str

    async def run(self, deliveries: Sequence[Delivery], *, workers: int = WORKERS) -> Run:
        """Take in all deliveries, `workers` at a time, and carry out what they say."""
        ...

    async def dead_letters(self) -> int:
        """How many events were taken in and became dead letters, in all runs together."""
        ...

    def meeting_of(self, row: Mapping[str, Any], numbers: range) -> int | None:
        """The number of the meeting that this appointment belongs to; None where it is nobody's."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class Product:
    """The product: deliveries are taken in first, then the queue is worked off."""

    name = "ours"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.runtime = Runtime(environment)
        self._secret = environment["OUTREACH_WEBHOOK_SECRET"]
        self._queue = QueueClient.from_connection_string(
            environment["AzureWebJobsStorage"], environment["SYNC_QUEUE_NAME"]
        )
        self._appointments: dict[str, int] = {}
        self._used_overflow = False

    async def run(self, deliveries: Sequence[Delivery], *, workers: int = WORKERS) -> Run:
        """Reading and deleting messages is the host's job in Azure; here it is done between two clocks."""
        run = Run(len(deliveries))

        async def take_in(delivery: Delivery) -> None:
            given = {name.lower(): value for name, value in headers(delivery, secret=self._secret).items()}
            try:
                receipt = await self.runtime.ingest.receive(delivery.body, headers=given, trace=new_trace())
                self._used_overflow |= receipt.way == "overflow"
            except (BadDelivery, Transient):
                run.failed += 1

        await _timed(run, run.answers, take_in, deliveries, workers)
        while messages := await self._taken():
            await _timed(run, run.syncs, self.runtime.carry_out, messages, workers)
        return run

    async def dead_letters(self) -> int:
        """Dead letters."""
        return len(await self.runtime.dead_letters.newest(limit=1000))

    def meeting_of(self, row: Mapping[str, Any], numbers: range) -> int | None:
        """By the id that follows from the meeting's."""
        if not self._appointments:
            self._appointments = {
                appointment_id(MeetingKey("meeting", str(number)), org=""): number for number in numbers
            }
        return self._appointments.get(row["activityid"])

    async def aclose(self) -> None:
        """Close the product's connections and the host's."""
        await self.runtime.aclose()
        await self._queue.close()

    async def _taken(self) -> list[bytes]:
        """All messages, those put back with a delay and those of the overflow included; empty when none is left."""
        while await self._waiting():
            taken = [
                message
                async for message in self._queue.receive_messages(
                    messages_per_page=_PAGE, visibility_timeout=_HIDDEN_SECONDS
                )
            ]
            await parallel(self._queue.delete_message, taken)
            if taken:
                return [base64.b64decode(message.content, validate=True) for message in taken]
            await asyncio.sleep(_LOOK_SECONDS)
        return []

    async def _waiting(self) -> bool:
        """Whether anything is unfinished. What the queue was too slow for lies in a table until the sweep comes."""
        if int((await self._queue.get_queue_properties()).approximate_message_count or 0) > 0:
            return True
        if not self._used_overflow or await self.runtime.overflow.depth(limit=1) == 0:
            return False
        await self.runtime.sweep.run()
        return True


class Naive:
    """The naive build: the answer comes when the work is done."""

    name = "naive"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._secret = environment["OUTREACH_WEBHOOK_SECRET"]
        self._sync = NaiveSync(
            dataverse_url=environment["DATAVERSE_URL"],
            outreach_url=environment["OUTREACH_API_URL"],
            token=environment["OUTREACH_API_TOKEN"],
            secret=self._secret,
        )

    async def run(self, deliveries: Sequence[Delivery], *, workers: int = WORKERS) -> Run:
        """One call for each."""
        run = Run(len(deliveries))

        async def deliver(delivery: Delivery) -> None:
            given = {name.lower(): value for name, value in headers(delivery, secret=self._secret).items()}
            if await self._sync.deliver(delivery.body, given) >= 400:
                run.failed += 1

        await _timed(run, run.answers, deliver, deliveries, workers)
        run.syncs = run.answers
        return run

    async def dead_letters(self) -> int:
        """Nothing: what fails is not kept."""
        return 0

    def meeting_of(self, row: Mapping[str, Any], numbers: range) -> int | None:
        """By the custom column."""
        number = int(row[MEETING_COLUMN] or -1)
        return number if number in numbers else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sync.aclose()


async def parallel(work: Callable[[Any], Awaitable[object]], items: Iterable[Any], *, workers: int = WORKERS) -> None:
    """`work` on every item, `workers` at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(workers)))


async def _timed(
    run: Run, times: list[float], work: Callable[[Any], Awaitable[object]], items: Iterable[Any], workers: int
) -> None:
    async def one(item: Any) -> None:
        began = time.perf_counter()
        await work(item)
        times.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await parallel(one, items, workers=workers)
    run.seconds += time.perf_counter() - began
    run.cpu += time.process_time() - cpu

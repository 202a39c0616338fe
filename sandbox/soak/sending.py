"""Sends all deliveries by Outreach's own rule, in a thread and loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Final

from azure.core.exceptions import AzureError

from sandbox.outreach.deliveries import Delivery
from sandbox.outreach.sender import Sender, Sent
from sandbox.soak.plan import Count
from sandbox.soak.promised import Fate, fate_of
from sandbox.soak.waiting import unfinished
from sandbox.stack import Stack

SENDERS: Final = 16
# Senders wait while more than this is unfinished: the emulator gets slow with a long queue, which is not the question.
BACKLOG: Final = 400
# Troubles of the app and of its host. Any other refusal says that the soak itself is wrong.
TROUBLES: Final = frozenset({500, 502, 503})


class Sending:
    """The senders. `fates`: what became of each delivery, by event id."""

    def __init__(self, stack: Stack, deliveries: list[Delivery], count: Count, advance: Callable[[], None]) -> None:
        self._stack = stack
        self._deliveries = deliveries
        self._count = count
        self._advance = advance
        self.fates: dict[str, Fate] = {}
        self.error: Exception | None = None
        self.done = threading.Event()

    def run(self) -> None:
        """The thread's work."""
        try:
            asyncio.run(self._send_all())
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits
            self.error = error
        finally:
            self.done.set()

    async def _send_all(self) -> None:
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
                    backlog = await unfinished(self._stack)
            except (AzureError, TimeoutError):
                backlog = 0
            (welcome.set if backlog < BACKLOG else welcome.clear)()
            await asyncio.sleep(0.5)

    async def _send_some(self, sender: Sender, waiting: Iterator[Delivery], welcome: asyncio.Event) -> None:
        for delivery in waiting:
            await welcome.wait()
            self._record(await sender.send(delivery))
            self._advance()

    def _record(self, sent: Sent) -> None:
        fate = fate_of(sent)
        event = sent.delivery.event_id
        self.fates[event] = max(fate, self.fates.get(event, fate))
        self._count.sent += 1
        if sent.status == 202:
            self._count.accepted += 1
        elif sent.status is not None:
            self._count.refused[sent.status] += 1
            if sent.status not in TROUBLES:
                raise RuntimeError(f"HTTP {sent.status}: {sent.body[:200]!r}")
        elif sent.arrived:
            self._count.unanswered += 1
        else:
            self._count.never_arrived += 1

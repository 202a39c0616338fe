"""Queue triggers: polls one queue, runs its function for every message, deletes, retries or moves to poison.

Follows QueueListener and QueueProcessor of Microsoft.Azure.WebJobs.Extensions.Storage.Queues. A message is invisible
for ten minutes while it is in work, renewed at half time. A failed one becomes visible after host.json's
visibilityTimeout; one that failed maxDequeueCount times goes to `<queue>-poison`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from sandbox.host.backoff import PollingDelay
from sandbox.host.errors import InvocationFailed
from sandbox.host.invoke import Invoker, no_result
from sandbox.host.load import AppFunction, QueueTrigger
from sandbox.host.queue_messages import NotDecodable, decode_body, to_binary_message, to_function_message
from sandbox.host.settings import QueueSettings

_log = logging.getLogger("Host.Queues")

POISON_SUFFIX = "-poison"
_LONGEST_NAME = 63
# When a lease is renewed, as a part of it.
RENEWED_AT = 0.5
_SHORTEST_RENEWAL = 60.0


@dataclass(slots=True)
class QueueState:
    """What tests may ask about one listener."""

    queue: str
    state: str = "starting"
    polls: int = 0
    received: int = 0
    deleted: int = 0
    released: int = 0
    renewed: int = 0
    poisoned: int = 0


class QueueListener:
    """The trigger of one function on one queue."""

    def __init__(
        self,
        function: AppFunction,
        trigger: QueueTrigger,
        *,
        service: QueueServiceClient,
        invoker: Invoker,
        settings: QueueSettings,
        lease: float,
        neighbours: Mapping[str, QueueListener],
    ) -> None:
        """`lease` in seconds; `neighbours` by queue name are woken when a poison message arrives in their queue."""
        self.function = function
        self.state = QueueState(trigger.queue)
        self._trigger = trigger
        self._queue: QueueClient = service.get_queue_client(trigger.queue)
        self._poison = self._poison_client(service, trigger.queue)
        self._invoker = invoker
        self._settings = settings
        self._lease = int(lease)
        self._neighbours = neighbours
        self._delay = PollingDelay(settings.max_polling_interval)
        self._exists = False
        self._busy = False
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._processing: set[asyncio.Task[None]] = set()

    @staticmethod
    def _poison_client(service: QueueServiceClient, queue: str) -> QueueClient | None:
        """A poison queue has none of its own, nor has one whose name would become too long."""
        name = f"{queue}{POISON_SUFFIX}"
        if queue.endswith(POISON_SUFFIX) or len(name) > _LONGEST_NAME:
            return None
        return service.get_queue_client(name)

    def stop(self) -> None:
        """Fetch no more messages."""
        self._stopping.set()
        self._woken.set()

    def wake(self) -> None:
        """Poll at once."""
        self._woken.set()

    async def invoke_by_hand(self, text: str) -> None:
        """Run the function once on a message that is in no queue."""
        message = QueueMessage(content=text, id="", pop_receipt="", dequeue_count=0)
        with contextlib.suppress(InvocationFailed):
            await self._run_function(message, text.encode())

    async def run(self) -> None:
        """Poll until `stop()`, then wait for what is in work. Cancelling leaves messages to their lease."""
        try:
            while not self._stopping.is_set():
                self._woken.clear()
                if await self._poll():
                    await self._wait_for_threshold()
                else:
                    await self._pause()
            self.state.state = "stopping"
            if self._processing:
                await asyncio.wait(self._processing)
        finally:
            for task in self._processing:
                task.cancel()
            await asyncio.gather(*self._processing, return_exceptions=True)
            self.state.state = "stopped"

    async def _poll(self) -> bool:
        """Fetch one batch and begin to work on it; tells whether there was any."""
        self.state.polls += 1
        try:
            if not self._exists:
                await self._queue.get_queue_properties()
                self._exists = True
            messages = await self._receive()
        except AzureError as error:
            self._exists = False
            self._enter("no queue" if isinstance(error, ResourceNotFoundError) else "unreachable", error)
            return False
        self._enter("polling")
        for message in messages:
            self.state.received += 1
            task = asyncio.create_task(self._process(message))
            self._processing.add(task)
            task.add_done_callback(self._processing.discard)
        self._busy = self._busy or bool(messages)
        return bool(messages)

    async def _receive(self) -> list[QueueMessage]:
        """Ask once; the SDK's iterator would go on asking until it is told that there is nothing more."""
        size = self._settings.batch_size
        pages = self._queue.receive_messages(messages_per_page=size, visibility_timeout=self._lease).by_page()
        page = await anext(pages, None)
        return [] if page is None else [message async for message in page]

    def _enter(self, state: str, error: AzureError | None = None) -> None:
        """Log a change of state once, not at every poll."""
        if self.state.state != state:
            self.state.state = state
            reason = f": {str(error).splitlines()[0]}" if error else ""
            level = logging.WARNING if state == "unreachable" else logging.INFO
            _log.log(level, "queue %s: %s%s", self._trigger.queue, state, reason)

    async def _pause(self) -> None:
        seconds = self._delay.after_messages() if self._busy else self._delay.after_nothing()
        self._busy = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _wait_for_threshold(self) -> None:
        while len(self._processing) > self._settings.threshold:
            await asyncio.wait(self._processing, return_when=asyncio.FIRST_COMPLETED)

    async def _process(self, message: QueueMessage) -> None:
        try:
            body = decode_body(message.content, self._settings.message_encoding)
        except NotDecodable:
            _log.warning("Message decoding has failed! Check messageEncoding. Queue %s.", self._trigger.queue)
            await self._guard(self._move_to_poison(message))
            return
        if (message.dequeue_count or 0) > self._settings.max_dequeue_count:
            await self._guard(self._move_to_poison(message))
            return
        await self._guard(self._work(message, body))

    async def _guard(self, step: Coroutine[Any, Any, None]) -> None:
        """A storage error here leaves the message to its lease: it comes back."""
        try:
            await step
        except AzureError as error:
            _log.warning("queue %s: a message is left to its lease: %s", self._trigger.queue, type(error).__name__)

    async def _work(self, message: QueueMessage, body: bytes) -> None:
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, done))
        try:
            await self._run_function(message, body)
            succeeded = True
        except InvocationFailed:
            succeeded = False
        except asyncio.CancelledError:
            renewal.cancel()
            raise
        # Not cancelled: a renewal under way brings the receipt that the next step needs.
        done.set()
        await renewal
        if succeeded:
            await self._delete(message)
        elif (message.dequeue_count or 0) >= self._settings.max_dequeue_count:
            await self._move_to_poison(message)
        else:
            await self._release(message)

    async def _run_function(self, message: QueueMessage, body: bytes) -> None:
        convert = to_binary_message if self._trigger.binary else to_function_message

        def arguments() -> dict[str, func.QueueMessage]:
            return {self._trigger.argument: convert(message, body)}

        await self._invoker.run(self.function, arguments, convert=no_result)

    async def _renew(self, message: QueueMessage, done: asyncio.Event) -> None:
        """Keep the message invisible until `done`: at half time; after an error sooner and sooner."""
        interval = self._lease * RENEWED_AT
        shortest = min(_SHORTEST_RENEWAL, interval)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await done.wait()
            if done.is_set():
                return
            try:
                await self._update(message, self._lease)
                self.state.renewed += 1
                interval = self._lease * RENEWED_AT
            except AzureError as error:
                if _is_gone(error):
                    return
                interval = max(interval / 2, shortest)

    async def _update(self, message: QueueMessage, seconds: int) -> None:
        updated = await self._queue.update_message(message.id, message.pop_receipt, visibility_timeout=seconds)
        message.pop_receipt = updated.pop_receipt

    async def _release(self, message: QueueMessage) -> None:
        with _unless_gone():
            await self._update(message, int(self._settings.visibility_timeout))
            self.state.released += 1

    async def _delete(self, message: QueueMessage) -> None:
        with _unless_gone():
            await self._queue.delete_message(message.id, message.pop_receipt)
            self.state.deleted += 1

    async def _move_to_poison(self, message: QueueMessage) -> None:
        if self._poison is None:
            return
        _log.warning("queue %s: moving a message to %s", self._trigger.queue, self._poison.queue_name)
        try:
            await self._poison.send_message(message.content)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await self._poison.create_queue()
            await self._poison.send_message(message.content)
        self.state.poisoned += 1
        await self._delete(message)
        neighbour = self._neighbours.get(self._poison.queue_name)
        if neighbour is not None:
            neighbour.wake()


def _is_gone(error: AzureError) -> bool:
    """Whether the message or its queue is deleted, or somebody else took the message over and will see to it."""
    return isinstance(error, ResourceNotFoundError) or getattr(error, "error_code", None) == "PopReceiptMismatch"


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        if not _is_gone(error):
            raise

"""Where an accepted event goes: the queue, else the overflow table, else nowhere, and all of it in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.errors import Permanent, RowConflict, Transient
from shared.storage.envelope import Envelope
from shared.storage.outbox import ALL_SECONDS, QUEUE_SECONDS, Outbox
from tests.virtual_time import virtually

ID = "a" * 32
EVENT = Envelope(correlation_id=ID, received_at="2026-03-01T12:00:00.000Z", body={"data": 1})
LARGE = EVENT.model_copy(update={"body": {"text": "x" * 100_000}})
OUTREACH_WAITS = 5.0

Trouble = Callable[[], Awaitable[None]]


async def well() -> None:
    """No trouble."""


async def hanging() -> None:
    """Storage that never answers."""
    await asyncio.sleep(1000)


async def refusing() -> None:
    """Storage that answers with an error."""
    raise Transient("No.", service="storage")


async def conflicting() -> None:
    """A row that somebody else has just written or deleted."""
    raise RowConflict


@dataclass
class Storage:
    """A queue and an overflow table, each with its trouble."""

    queue: Trouble = well
    table: Trouble = well
    done: list[str] = field(default_factory=list)

    async def send(self, message: str, *, delay: float = 0) -> None:
        """The queue takes a message."""
        assert message
        assert not delay
        await self.queue()
        self.done.append("sent")

    async def keep(self, envelope: Envelope) -> Envelope:
        """The table takes an envelope."""
        await self.table()
        self.done.append("kept")
        return envelope.pointer()

    async def mark_pointed(self, key: str, *, at: str) -> None:
        """The table notes a pointer."""
        assert key
        assert at
        self.done.append("pointed")


def put(storage: Storage, envelope: Envelope = EVENT) -> tuple[str, float]:
    """Where it went, or the error's name, and after how many seconds."""
    doors: dict[str, Any] = {"queue": storage, "overflow": storage}

    async def main() -> tuple[str, float]:
        try:
            way: str = await Outbox(**doors).put(envelope)
        except (Transient, Permanent) as error:
            way = type(error).__name__
        return way, asyncio.get_running_loop().time()

    return virtually(main())


def test_the_queue_comes_first() -> None:
    """One message and nothing else."""
    storage = Storage()
    assert put(storage) == ("queue", 0.0)
    assert storage.done == ["sent"]


@pytest.mark.parametrize(("queue", "seconds"), [(hanging, QUEUE_SECONDS), (refusing, 0.0)])
def test_without_the_queue_the_table_has_it(queue: Trouble, seconds: float) -> None:
    """The queue is not tried for a pointer either: it has just failed."""
    storage = Storage(queue=queue)
    assert put(storage) == ("overflow", seconds)
    assert storage.done == ["kept"]


def test_what_is_too_large_goes_to_the_table_with_a_pointer_in_the_queue() -> None:
    """The pointer saves the wait for the sweep."""
    storage = Storage()
    assert put(storage, LARGE) == ("overflow", 0.0)
    assert storage.done == ["kept", "sent", "pointed"]


@pytest.mark.parametrize("queue", [hanging, refusing])
def test_a_pointer_that_cannot_be_sent_is_no_trouble(queue: Trouble) -> None:
    """The event is safe in the table; the sweep sends a pointer for it."""
    storage = Storage(queue=queue)
    way, seconds = put(storage, LARGE)
    assert (way, storage.done) == ("overflow", ["kept"])
    assert seconds <= ALL_SECONDS


@pytest.mark.parametrize("queue", [hanging, refusing, conflicting])
@pytest.mark.parametrize("table", [hanging, refusing, conflicting])
@pytest.mark.parametrize("envelope", [EVENT, LARGE], ids=["small", "large"])
def test_nowhere_is_told_in_time(queue: Trouble, table: Trouble, envelope: Envelope) -> None:
    """Whatever is wrong with both, it is known before Outreach hangs up."""
    way, seconds = put(Storage(queue=queue, table=table), envelope)
    assert way == "Transient"
    assert seconds <= ALL_SECONDS < OUTREACH_WAITS


def test_a_pointer_never_takes_the_place_of_its_event() -> None:
    """In the table it would stand under the key of what it points at."""
    storage = Storage(queue=refusing)
    assert put(storage, LARGE.pointer()) == ("Transient", 0.0)
    assert storage.done == []


def test_what_no_row_can_hold_is_told_as_that() -> None:
    """To try again would be in vain."""

    async def too_large() -> None:
        raise Permanent("Too large.", service="storage", status=413)

    assert put(Storage(table=too_large), LARGE) == ("Permanent", 0.0)

"""One delivery at the door: what it is answered, where it goes, and what becomes of it while storage is away."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import BadDelivery, NotStored, Permanent, Transient
from shared.meeting.delivery import Delivery
from shared.pipeline.held import BOUNDS, Held
from shared.pipeline.ingest import Ingest, Receipt
from shared.pipeline.signature import sign
from shared.settings import WebhookSecrets
from shared.storage.envelope import Envelope, Trace
from shared.storage.outbox import ALL_SECONDS, Outbox
from tests.virtual_time import virtually

SECRET = "a-secret-for-tests-only"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def body(number: int, *, resource: str = "meeting") -> bytes:
    """What Outreach sends."""
    return json.dumps({"data": {"type": resource, "id": number}, "meta": {"eventName": f"{resource}.created"}}).encode()


def trace(number: int) -> Trace:
    return Trace.of(trace_id=f"{number:032x}", span_id=f"{number:016x}")


@dataclass
class Door:
    """Ingest before a queue and a table that hang for the first `away` seconds."""

    away: float = 0.0
    too_large: bool = False
    sent: list[Envelope] = field(default_factory=list)

    def __post_init__(self) -> None:
        stores: dict[str, Any] = {"queue": self, "spill": self}
        self.held: Held[Receipt] = Held(now=self.now)
        self.ingest = Ingest(
            outbox=Outbox(**stores),
            held=self.held,
            secrets=WebhookSecrets(SECRET),
            accepts=self.accepts,
            now=self.now,
        )

    @staticmethod
    def now() -> datetime:
        """The time of day."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    @staticmethod
    def accepts(delivery: Delivery) -> bool:
        """Meetings only."""
        return delivery.resource == "meeting"

    async def _available(self) -> None:
        if asyncio.get_running_loop().time() < self.away:
            await asyncio.sleep(1000)

    async def send(self, message: str, *, delay: float = 0) -> None:
        """The queue."""
        assert not delay
        await self._available()
        if self.too_large:
            raise Transient("No.", service="storage")
        self.sent.append(Envelope.from_message(base64.b64decode(message)))

    async def keep(self, _: Envelope) -> Envelope:
        """The table, which is there only to refuse."""
        await self._available()
        if self.too_large:
            raise Permanent("Too large.", service="storage", status=413)
        raise Transient("No.", service="storage")

    def receive(self, content: bytes, number: int, *, signature: str | None = None) -> Coroutine[Any, Any, Receipt]:
        """One request."""
        headers = {"outreach-webhook-signature": sign(content, SECRET) if signature is None else signature}
        return self.ingest.receive(content, headers=headers, trace=trace(number))


def ended(*calls: Coroutine[Any, Any, Receipt]) -> list[tuple[Receipt | BaseException, float]]:
    """What became of each, and after how many seconds."""

    async def one(call: Coroutine[Any, Any, Receipt]) -> tuple[Receipt | BaseException, float]:
        try:
            return await call, asyncio.get_running_loop().time()
        except (BadDelivery, NotStored) as error:
            return error, asyncio.get_running_loop().time()

    async def main() -> list[tuple[Receipt | BaseException, float]]:
        return await asyncio.gather(*map(one, calls))

    return virtually(main())


async def after(seconds: float, call: Coroutine[Any, Any, Receipt]) -> Receipt:
    await asyncio.sleep(seconds)
    return await call


@pytest.mark.parametrize("away", [4.0, 8.0, 14.0, 60.0, 110.0])
def test_while_storage_is_away_nobody_is_answered(away: float) -> None:
    """Every delivery is stored within seconds of its return, with the correlation id and the time of its arrival."""
    door = Door(away)
    calls = [after(number, door.receive(body(number), number)) for number in range(3)]
    for receipt, at in ended(*calls):
        assert isinstance(receipt, Receipt)
        assert (receipt.status, receipt.way) == ("accepted", "queue")
        assert away <= at <= away + ALL_SECONDS + 1
    assert {(one.correlation_id, one.received_at[17:19]) for one in door.sent} == {
        (f"{number:032x}", f"{number:02}") for number in range(3)
    }
    assert {one.body["data"]["id"] for one in door.sent} == {0, 1, 2}


@pytest.mark.parametrize("held_already", [0, BOUNDS.calls])
def test_what_is_no_delivery_of_ours_is_answered_at_once(held_already: int) -> None:
    """However many are held and however long storage is away: it needs no storage."""
    door = Door(60)
    calls = [door.receive(body(number), number) for number in range(held_already)]
    at = 10.0
    for content, signature in ((body(1000), "0" * 64), (b"[]", None), (b"x" * (1024 * 1024 + 1), None)):
        calls.append(after(at, door.receive(content, 1000, signature=signature)))
    calls.append(after(at, door.receive(body(1001, resource="prospect"), 1001)))
    ends = ended(*calls)[held_already:]
    assert [end.status for end, _ in ends] == [401, 400, 413, "ignored"]  # type: ignore[union-attr]
    assert {end_at for _, end_at in ends} == {at}


def test_beyond_the_bounds_the_answer_is_no() -> None:
    """Each has tried for itself first; those that are held are stored."""
    ends = ended(*(Door.receive(door, body(number), number) for door in [Door(20)] for number in range(100)))
    stored = [end for end, _ in ends if isinstance(end, Receipt)]
    refused = [end.reason for end, at in ends if isinstance(end, NotStored) and at == pytest.approx(ALL_SECONDS)]
    assert len(stored) == BOUNDS.calls
    assert refused == ["bounds"] * (100 - BOUNDS.calls)


def test_a_copy_is_found_under_the_id_of_the_first() -> None:
    """Outreach sends again after silence; one of them is stored, once."""
    door = Door(10)
    first, *copies = ended(*(after(6 * number, door.receive(body(7), 70 + number)) for number in range(2)))
    receipt = first[0]
    assert isinstance(receipt, Receipt)
    assert (receipt.correlation_id, receipt.way) == (f"{70:032x}", "queue")
    for copy, _ in copies:
        assert isinstance(copy, Receipt)
        assert (copy.correlation_id, copy.way, copy.event) == (receipt.correlation_id, "copy", receipt.event)
    assert len(door.sent) == 1


def test_copies_that_come_at_the_same_moment_are_one() -> None:
    """Both have tried for themselves when the second finds the first held."""
    door = Door(4)
    ends = ended(door.receive(body(7), 70), door.receive(body(7), 71))
    assert [getattr(end, "way", end) for end, _ in ends] == ["queue", "copy"]
    assert len(door.sent) == 1


def test_a_copy_gives_up_when_its_sender_is_gone() -> None:
    """Six seconds from its arrival, whether it tried for itself before or not; the first one is held on."""
    door = Door(60)
    (first, _), *copies = ended(*(after(at, door.receive(body(7), 70 + at)) for at in (0, 0, 6, 12, 18)))
    assert isinstance(first, Receipt)
    assert [(getattr(end, "reason", end), at) for end, at in copies] == [("copy", at + 6.0) for at in (0, 6, 12, 18)]


def test_only_bytes_are_held() -> None:
    """What was read from them is let go: as objects it takes several times as much memory."""
    door = Door(30)

    def envelopes() -> int:
        gc.collect()
        return sum(isinstance(one, Envelope) for one in gc.get_objects())

    async def main() -> int:
        others = envelopes()
        calls = [asyncio.create_task(door.receive(body(number), number)) for number in range(10)]
        await asyncio.sleep(3.7)  # all are held, and nobody tries for the next second
        held = envelopes() - others
        assert len(door.held._calls) == 10
        await asyncio.gather(*calls)
        return held

    assert virtually(main()) == 0
    assert len(door.sent) == 10


def test_what_no_row_can_hold_is_refused_and_not_held() -> None:
    """To wait would be in vain."""
    ((end, at),) = ended(Door(too_large=True).receive(body(1), 1))
    assert isinstance(end, BadDelivery)
    assert (end.status, at) == (413, 0.0)

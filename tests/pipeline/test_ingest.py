"""One delivery at the door: what it is answered, where it goes, and what becomes of it while storage is away."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import BadDelivery, NotStored, Permanent, Transient
from shared.meeting.delivery import Delivery
from shared.pipeline.held import BOUNDS, Held
from shared.pipeline.ingest import KEEP_SECONDS, Ingest, Receipt
from shared.pipeline.signature import sign
from shared.settings import WebhookSecrets
from shared.storage.account import Entity
from shared.storage.envelope import Envelope, Trace
from shared.storage.outbox import ALL_SECONDS, Outbox
from shared.storage.room import Size
from shared.storage.unverified import UnverifiedTable
from tests.storage.memory import MemoryTable
from tests.virtual_time import virtually

SECRET = "a-secret-for-tests-only"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def body(number: int, *, resource: str = "meeting") -> bytes:
    """What Outreach sends."""
    return json.dumps({"data": {"type": resource, "id": number}, "meta": {"eventName": f"{resource}.created"}}).encode()


def trace(number: int) -> Trace:
    return Trace.of(trace_id=f"{number:032x}", span_id=f"{number:016x}")


class HangingTable(MemoryTable):
    """The table of deliveries that are not verified."""

    def __init__(self, available: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._available = available

    async def save(self, entity: Entity, *, etag: str | None) -> str:
        """Once it is available."""
        await self._available()
        return await super().save(entity, etag=etag)

    def kept(self) -> list[Entity]:
        """The deliveries."""
        return [row for (partition, _), (row, _) in self.rows.items() if partition == "kept"]


@dataclass
class Door:
    """Ingest before a queue and a table that hang for the first `away` seconds."""

    away: float = 0.0
    too_large: bool = False
    secrets: WebhookSecrets = WebhookSecrets(SECRET)  # noqa: RUF009 - it is frozen
    room: int = 1000
    sent: list[Envelope] = field(default_factory=list)
    table: HangingTable = field(init=False)

    def __post_init__(self) -> None:
        stores: dict[str, Any] = {"queue": self, "overflow": self}
        self.table = HangingTable(self._available)
        self.held: Held[Receipt] = Held(now=self.now)
        self.ingest = Ingest(
            outbox=Outbox(**stores),
            held=self.held,
            unverified=UnverifiedTable(self.table, now=self.now, most=Size(self.room, 10**9)),
            secrets=self.secrets,
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
    for content, signature in ((body(1000), "0" * 63), (b"[]", None), (b"x" * (1024 * 1024 + 1), None)):
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


def test_who_comes_when_all_room_is_taken_is_answered_at_once() -> None:
    """Nobody tries what fifty others wait for, and takes up a place that health and console need."""
    door = Door(60)
    calls = [door.receive(body(number), number) for number in range(BOUNDS.calls)]
    late = [after(20.0, door.receive(body(1000), 1000)), after(20.0, door.receive(body(7), 1001))]
    (refused, at), (copy, until) = ended(*calls, *late)[BOUNDS.calls :]
    assert [getattr(end, "reason", end) for end in (refused, copy)] == ["bounds", "copy"]
    assert (at, until) == (20.0, 26.0)


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


NOT_KNOWN = WebhookSecrets(unresolved=True)
ONLY_PREVIOUS = WebhookSecrets(previous=SECRET, unresolved=True)
WRONG = "f" * 64


def test_while_the_secret_is_not_known_a_delivery_is_kept() -> None:
    """The answer is yes, and what is kept is what came: nobody has read it."""
    door = Door(secrets=NOT_KNOWN)
    for number, content in enumerate([body(1), b"no JSON", body(2, resource="prospect")]):
        ((receipt, _),) = ended(door.receive(content, number))
        assert receipt == Receipt("accepted", f"{number:032x}", "", "", "unverified")
    assert {row["correlation_id"] for row in door.table.kept()} == {f"{number:032x}" for number in range(3)}
    assert {row["kind"] for row in door.table.kept()} == {"secret_not_known"}
    assert door.sent == []


def test_what_fits_a_known_secret_goes_its_way_although_the_other_is_not_known() -> None:
    """One secret that cannot be read takes nothing from the other."""
    door = Door(secrets=ONLY_PREVIOUS)
    right, wrong = ended(door.receive(body(1), 1), door.receive(body(2), 2, signature=WRONG))
    assert [getattr(end, "way", end) for end, _ in (right, wrong)] == ["queue", "unverified"]
    assert len(door.sent) == len(door.table.kept()) == 1


def test_what_does_not_fit_is_refused_and_kept() -> None:
    """The answer is no, as ever; should the secret come later, nothing is lost."""
    door = Door()
    ((refused, at),) = ended(door.receive(body(1), 1, signature=WRONG))
    assert isinstance(refused, BadDelivery)
    assert (refused.status, refused.code, refused.kept, at) == (401, "signature_wrong", "yes", 0.0)
    (row,) = door.table.kept()
    assert (row["kind"], row["tried"]) == ("does_not_fit", WebhookSecrets(SECRET).digest)


@pytest.mark.parametrize("secrets", [WebhookSecrets(SECRET), NOT_KNOWN], ids=["known", "not known"])
@pytest.mark.parametrize(
    ("content", "signature", "status"),
    [(body(1), "", 401), (body(1), "f" * 63, 401), (b"", WRONG, 401), (b"x" * (1024 * 1024 + 1), WRONG, 413)],
)
def test_what_can_never_fit_is_not_kept(secrets: WebhookSecrets, content: bytes, signature: str, status: int) -> None:
    """No body, no signature of the right form, or too much: no secret will make it right."""
    door = Door(secrets=secrets)
    ((refused, _),) = ended(door.receive(content, 1, signature=signature))
    assert isinstance(refused, BadDelivery)
    assert (refused.status, refused.kept, door.table.rows) == (status, "no", {})


def test_while_the_table_is_away_what_waits_for_a_secret_is_held() -> None:
    """As any delivery is, once however often it comes."""
    door = Door(8.0, secrets=NOT_KNOWN)
    first, copy = ended(door.receive(body(1), 1), after(6, door.receive(body(1), 2)))
    assert [getattr(end, "way", end) for end, _ in (first, copy)] == ["unverified", "copy"]
    assert {getattr(end, "correlation_id", end) for end, _ in (first, copy)} == {f"{1:032x}"}
    assert len(door.table.kept()) == 1


def test_while_the_table_is_away_what_does_not_fit_is_refused_in_time() -> None:
    """One try of two seconds; it is not held."""
    ((refused, at),) = ended(Door(60.0).receive(body(1), 1, signature=WRONG))
    assert isinstance(refused, BadDelivery)
    assert (refused.status, refused.kept, at) == (401, "failed", KEEP_SECONDS)


def test_when_no_more_can_be_kept_nothing_old_goes() -> None:
    """Who waits for a secret is told that it could not be stored; who does not fit, that it does not fit."""
    for secrets, said in ((NOT_KNOWN, "full"), (WebhookSecrets(SECRET), 401)):
        door = Door(secrets=secrets, room=2)
        ends = ended(*(door.receive(body(number), number, signature=f"{number:064x}") for number in range(5)))
        assert {row["correlation_id"] for row in door.table.kept()} == {f"{number:032x}" for number in range(2)}
        late = [end for end, _ in ends[2:]]
        assert [getattr(end, "status", getattr(end, "reason", None)) for end in late] == [said] * 3
        assert [getattr(end, "kept", "full") for end in late] == ["full"] * 3


def test_the_same_delivery_is_found_under_its_first_id() -> None:
    """A sender that comes again gets the id of what is kept."""
    door = Door(secrets=NOT_KNOWN)
    for number in (1, 2):
        ((receipt, _),) = ended(door.receive(body(7), number))
        assert getattr(receipt, "correlation_id", receipt) == f"{1:032x}"

"""Taking in one delivery: verify, parse, filter, store durably, and only then say yes.

Outreach counts every HTTP answer as delivered, so a no for troubles of our own would lose the event. Hence more ways:
what the queue does not take goes to a table, and while neither takes it there is no answer (`held.py`). A delivery that
cannot be verified, because a secret is not known yet or fits not, is kept as it is (`unverified.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from shared.errors import BadDelivery, BadSettings, NotStored, Permanent, RemoteError, RowConflict, Transient
from shared.meeting.delivery import Delivery, parse_delivery, parse_json
from shared.meeting.mapping import MappingFile
from shared.meeting.patch import accepts
from shared.pipeline.held import Held
from shared.pipeline.signature import SIGNATURE_HEADER, VerifiedBody, verify
from shared.settings import WebhookSecrets
from shared.storage.envelope import Envelope, Trace
from shared.storage.outbox import ALL_SECONDS, Outbox, Way
from shared.storage.unverified import Kind, Unverified, UnverifiedTable, can_be_kept
from shared.telemetry import joined
from shared.timestamps import Clock, sortable

EVENT_ID_HEADER = "outreach-webhook-event-id"
# A delivery that is answered no is kept within this time, or not at all.
KEEP_SECONDS = 2.0
_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a delivery came, and under which names it can be found; `event_id` as in `Envelope`."""

    trace: Trace
    event_id: str
    received_at: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What to answer. `way` says where the event lies: `queue`, `overflow`, nowhere when it was ignored.

    `copy`: it is one with a delivery that was held, and can be found under the correlation id of that. `unverified`: it
    waits for the webhook's secret; what it is about is not known before.
    """

    status: Literal["accepted", "ignored"]
    correlation_id: str
    event: str
    record: str
    way: Way | Literal["none", "copy", "unverified"]


def counting(mapping: Callable[[], MappingFile]) -> Callable[[Delivery], bool]:
    """Says whether an event counts; while settings are wrong everything is kept until they are mended."""

    def counts(delivery: Delivery) -> bool:
        try:
            return accepts(delivery, mapping())
        except BadSettings:
            return True

    return counts


async def _nothing_hinders() -> None:
    return


class Ingest:
    """Takes deliveries in, durably. `accepts` says whether a resource is one of ours.

    `may_take_in` raises `BadSettings` where the storage account is another organisation's.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        held: Held[Receipt],
        unverified: UnverifiedTable,
        secrets: WebhookSecrets,
        accepts: Callable[[Delivery], bool],
        now: Clock,
        may_take_in: Callable[[], Awaitable[None]] = _nothing_hinders,
    ) -> None:
        self._outbox = outbox
        self._held = held
        self._unverified = unverified
        self._secrets = secrets
        self._accepts = accepts
        self._may_take_in = may_take_in
        self._now = now

    async def receive(self, body: bytes, *, headers: Mapping[str, str], trace: Trace) -> Receipt:
        """Take in one request. `headers` with lower-case names.

        Raises `BadDelivery` for what is no verified delivery, `NotStored` where it cannot be stored and the bounds of
        what can be held or kept are reached, and `BadSettings` where storage is not ours.
        """
        await self._may_take_in()
        arrived, signature = sortable(self._now()), headers.get(SIGNATURE_HEADER, "").strip()
        try:
            verified = verify(body, signature, secrets=self._secrets.known)
        except BadDelivery as error:
            if error.code != "signature_wrong" or not can_be_kept(body, signature):
                raise
            event_id = _event_id(headers.get(EVENT_ID_HEADER), _digest(body))
            return await self._unfit(error, body, signature, Arrival(trace, event_id, arrived))
        digest = _digest(body)
        arrival = Arrival(trace, _event_id(headers.get(EVENT_ID_HEADER), digest), arrived)
        if self._held.is_beyond(digest, place="outbox", size=len(body)):
            receipt, envelope = self._read(verified, arrival)
            if envelope is not None:
                raise NotStored("bounds")
            return receipt
        return await self._stored("outbox", digest, len(body), lambda: self.take_in(verified, arrival), arrival)

    async def _unfit(self, error: BadDelivery, body: bytes, signature: str, arrival: Arrival) -> Receipt:
        """Keep a delivery whose signature fits no known secret. Raises `error` where the answer is no all the same."""
        kind: Kind = "secret_not_known" if self._secrets.unresolved else "does_not_fit"
        one = Unverified(
            kind=kind,
            body=body,
            signature=signature,
            correlation_id=arrival.trace.correlation_id,
            traceparent=arrival.trace.traceparent,
            event_id=arrival.event_id,
            received_at=arrival.received_at,
            tried=self._secrets.digest,
        )
        if kind == "secret_not_known":
            if self._held.is_beyond(one.digest, place="unverified", size=len(body)):
                raise NotStored("bounds")
            return await self._stored("unverified", one.digest, len(body), lambda: self._kept(one), arrival)
        error.kept = await self._kept_in_time(one)
        raise error

    async def _stored(
        self, place: str, digest: str, size: int, store: Callable[[], Awaitable[Receipt]], arrival: Arrival
    ) -> Receipt:
        """What `store` returns, now or once storage is back."""
        if digest in self._held:
            return replace(await self._held.follow(digest), way="copy")
        began = asyncio.get_running_loop().time()
        try:
            return await store()
        except Transient:
            pass
        # From here on there are the bytes only. What is read from them takes several times as much memory.
        seconds = asyncio.get_running_loop().time() - began
        receipt = await self._held.hold(digest, place=place, size=size, seconds=seconds, store=store)
        return receipt if receipt.correlation_id == arrival.trace.correlation_id else replace(receipt, way="copy")

    async def _kept(self, one: Unverified) -> Receipt:
        """Keep a delivery until the secret is known. Raises `Transient` where storage is away."""
        try:
            async with asyncio.timeout(ALL_SECONDS):
                correlation_id = await self._unverified.keep(one)
        except Permanent as error:
            raise BadDelivery("too_large", error.reason, status=413) from error
        except (TimeoutError, RowConflict) as error:
            raise Transient("The table did not take the delivery.", service="storage", status=503) from error
        return Receipt("accepted", correlation_id, "", "", "unverified")

    async def _kept_in_time(self, one: Unverified) -> Literal["no", "yes", "full", "failed"]:
        """Whether a delivery that is answered no is kept, should its secret come later."""
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                await self._unverified.keep(one)
        except NotStored:
            return "full"
        except Permanent:
            return "no"
        except (TimeoutError, RemoteError, RowConflict):
            return "failed"
        return "yes"

    async def take_in(self, verified: VerifiedBody, arrival: Arrival) -> Receipt:
        """Parse, filter and store a delivery whose signature is right.

        Raises `BadDelivery` for what is none, and `Transient` where it could not be stored for now.
        """
        receipt, envelope = self._read(verified, arrival)
        if envelope is None:
            return receipt
        try:
            with joined(arrival.trace.traceparent):
                way = await self._outbox.put(envelope)
        except Permanent as error:
            raise BadDelivery("too_large", error.reason, status=413) from error
        return replace(receipt, status="accepted", way=way)

    def _read(self, verified: VerifiedBody, arrival: Arrival) -> tuple[Receipt, Envelope | None]:
        """What to answer where there is nothing to store, else with what to store. Raises `BadDelivery`."""
        content = parse_json(verified.raw)
        delivery = parse_delivery(content)
        event, correlation_id = f"{delivery.resource}.{delivery.action}", arrival.trace.correlation_id
        receipt = Receipt("ignored", correlation_id, event, delivery.record_id, "none")
        if not self._accepts(delivery):
            return receipt, None
        return receipt, Envelope(
            correlation_id=correlation_id,
            traceparent=arrival.trace.traceparent,
            event_id=arrival.event_id,
            event_name=event,
            received_at=arrival.received_at,
            body=content,
        )


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _event_id(header: str | None, digest: str) -> str:
    """Outreach's id of the delivery, if it has one, and a digest of the body.

    The id is not signed, so it is only a label: two bodies that come under one id are two events.
    """
    short = digest[:32]
    return f"{header}.{short}" if header and _EVENT_ID.fullmatch(header) else short

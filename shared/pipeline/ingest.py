"""Taking in one delivery: verify, parse, filter, store durably, and only then say yes.

Outreach counts every HTTP answer as delivered, so a no for troubles of our own would lose the event. Hence two more
ways: what the queue does not take goes to a table, and while neither takes it there is no answer (`held.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from shared.errors import BadDelivery, BadSettings, Permanent, Transient
from shared.meeting.delivery import Delivery, parse_delivery, parse_json
from shared.pipeline.held import Held
from shared.pipeline.signature import SIGNATURE_HEADER, VerifiedBody, verify
from shared.settings import WebhookSecrets
from shared.storage.envelope import Envelope, Trace
from shared.storage.outbox import Outbox, Way
from shared.telemetry import joined
from shared.timestamps import Clock, sortable

EVENT_ID_HEADER = "outreach-webhook-event-id"
_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a delivery came, and under which names it can be found; `event_id` as in `Envelope`."""

    trace: Trace
    event_id: str
    received_at: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What to answer. `way` says where the event lies: `queue`, `spill`, nowhere when it was ignored.

    `copy`: it is one with a delivery that was held, and can be found under the correlation id of that.
    """

    status: Literal["accepted", "ignored"]
    correlation_id: str
    event: str
    record: str
    way: Way | Literal["none", "copy"]


class Ingest:
    """Takes deliveries in, durably. `accepts` tells whether a resource is one of ours."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        held: Held[Receipt],
        secrets: WebhookSecrets,
        accepts: Callable[[Delivery], bool],
        now: Clock,
    ) -> None:
        self._outbox = outbox
        self._held = held
        self._secrets = secrets
        self._accepts = accepts
        self._now = now

    async def receive(self, body: bytes, *, headers: Mapping[str, str], trace: Trace) -> Receipt:
        """Take in one request. `headers` with lower-case names.

        Raises `BadDelivery` for what is no verified delivery, `BadSettings` where nobody can tell yet whether it is
        one, and `NotStored` where it cannot be stored and the bounds of what can be held are reached.
        """
        verified = self._verified(body, headers.get(SIGNATURE_HEADER))
        digest = hashlib.sha256(verified.raw).hexdigest()
        if digest in self._held:
            return replace(await self._held.follow(digest), way="copy")
        arrival = Arrival(trace, _event_id(headers.get(EVENT_ID_HEADER), digest), sortable(self._now()))
        began = asyncio.get_running_loop().time()
        receipt = await self._tried(verified, arrival)
        if receipt is not None:
            return receipt
        # From here on there are the bytes only. What is read from them takes several times as much memory.
        held = await self._held.hold(
            digest,
            size=len(verified.raw),
            seconds=asyncio.get_running_loop().time() - began,
            store=lambda: self.take_in(verified, arrival),
        )
        return held if held.correlation_id == trace.correlation_id else replace(held, way="copy")

    async def take_in(self, verified: VerifiedBody, arrival: Arrival) -> Receipt:
        """Parse, filter and store a delivery whose signature is right.

        Raises `BadDelivery` for what is none, and `Transient` where it could not be stored for now.
        """
        content = parse_json(verified.raw)
        delivery = parse_delivery(content)
        event, correlation_id = f"{delivery.resource}.{delivery.action}", arrival.trace.correlation_id
        if not self._accepts(delivery):
            return Receipt("ignored", correlation_id, event, delivery.record_id, "none")
        envelope = Envelope(
            correlation_id=correlation_id,
            traceparent=arrival.trace.traceparent,
            event_id=arrival.event_id,
            event_name=event,
            received_at=arrival.received_at,
            body=content,
        )
        try:
            with joined(arrival.trace.traceparent):
                way = await self._outbox.put(envelope)
        except Permanent as error:
            raise BadDelivery("too_large", error.reason, status=413) from error
        return Receipt("accepted", correlation_id, event, delivery.record_id, way)

    async def _tried(self, verified: VerifiedBody, arrival: Arrival) -> Receipt | None:
        """What came of one try; None where storage is away."""
        try:
            return await self.take_in(verified, arrival)
        except Transient:
            return None

    def _verified(self, body: bytes, signature: str | None) -> VerifiedBody:
        try:
            return verify(body, signature, secrets=self._secrets.known)
        except BadDelivery as error:
            if error.code == "signature_wrong" and self._secrets.unresolved:
                raise BadSettings(self._secrets.problems) from error
            raise


def _event_id(header: str | None, digest: str) -> str:
    """Outreach's id of the delivery, if it has one, and a digest of the body.

    The id is not signed, so it is only a label: two bodies that come under one id are two events.
    """
    short = digest[:32]
    return f"{header}.{short}" if header and _EVENT_ID.fullmatch(header) else short

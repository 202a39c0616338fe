"""Taking in one delivery: verify, parse, filter, store durably, and only then say yes.

Outreach counts every HTTP answer as delivered and waits 5 seconds, so whatever is refused here is lost until the sweep
finds it. Hence the second way: when the queue is down or the message too large, the event goes to a table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.errors import BadDelivery, BadSettings
from shared.meeting.delivery import Delivery, parse_delivery, parse_json
from shared.pipeline.signature import SIGNATURE_HEADER, VerifiedBody, verify
from shared.settings import WebhookSecrets
from shared.storage.envelope import Envelope, Trace
from shared.storage.outbox import Outbox, Way
from shared.telemetry import joined
from shared.timestamps import Clock, sortable

EVENT_ID_HEADER = "outreach-webhook-event-id"
_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What to answer. `way` says where the event lies: `queue`, `spill`, or nowhere when it was ignored."""

    status: Literal["accepted", "ignored"]
    correlation_id: str
    event: str
    record: str
    way: Way | Literal["none"]


class Ingest:
    """Takes deliveries in, durably. `accepts` tells whether a resource is one of ours."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        secrets: WebhookSecrets,
        accepts: Callable[[Delivery], bool],
        now: Clock,
    ) -> None:
        self._outbox = outbox
        self._secrets = secrets
        self._accepts = accepts
        self._now = now

    async def receive(self, body: bytes, *, headers: Mapping[str, str], trace: Trace) -> Receipt:
        """Take in one request. `headers` with lower-case names.

        Raises `BadDelivery` for what is no verified delivery, `BadSettings` where nobody can tell yet whether it is
        one, and `Transient` where neither way of storing worked.
        """
        verified = self._verified(body, headers.get(SIGNATURE_HEADER))
        content = parse_json(verified.raw)
        delivery = parse_delivery(content)
        event = f"{delivery.resource}.{delivery.action}"
        if not self._accepts(delivery):
            return Receipt("ignored", trace.correlation_id, event, delivery.record_id, "none")
        envelope = Envelope(
            correlation_id=trace.correlation_id,
            traceparent=trace.traceparent,
            event_id=_event_id(headers.get(EVENT_ID_HEADER), verified.raw),
            event_name=event,
            received_at=sortable(self._now()),
            body=content,
        )
        with joined(trace.traceparent):
            way = await self._outbox.put(envelope)
        return Receipt("accepted", trace.correlation_id, event, delivery.record_id, way)

    def _verified(self, body: bytes, signature: str | None) -> VerifiedBody:
        try:
            return verify(body, signature, secrets=self._secrets.known)
        except BadDelivery as error:
            if error.code == "signature_wrong" and self._secrets.unresolved:
                raise BadSettings(self._secrets.problems) from error
            raise


def _event_id(header: str | None, body: bytes) -> str:
    """Outreach's id of the delivery, if it has one, and a digest of the body.

    The id is not signed, so it is only a label: two bodies that come under one id are two events.
    """
    digest = hashlib.sha256(body).hexdigest()[:32]
    return f"{header}.{digest}" if header and _EVENT_ID.fullmatch(header) else digest

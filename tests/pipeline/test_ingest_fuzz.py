"""Whatever is sent to ingest, signed or not: a refusal in words, or an event in the queue that can be carried out."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadDelivery, Unmappable
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.delivery import parse_delivery
from shared.meeting.patch import read_patch
from shared.pipeline.held import Held
from shared.pipeline.ingest import Ingest
from shared.pipeline.signature import sign
from shared.settings import WebhookSecrets
from shared.storage.envelope import Envelope, Trace, fits_queue
from shared.storage.outbox import Outbox
from shared.storage.unverified import UnverifiedTable
from tests.storage.memory import MemoryTable

SECRET = "a-secret-for-tests-only"
TRACE = Trace.of(trace_id="a" * 32, span_id="b" * 16)
MAPPING = load_mapping(DEFAULT_MAPPING_FILE)

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["title", "startTime", "endTime", "allDay", "bookedAt", "updatedAt", "canceled", "state", "isOrganizer", "location"]
)
relations = st.sampled_from(["prospect", "prospects", "user", "owner", "booker", "opportunity", "meeting"])
references = st.fixed_dictionaries({}, optional={"type": texts, "id": json_values}) | json_values
deliveries = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"type": st.sampled_from(["meeting", "calendarEvent", "prospect"]), "id": st.integers() | texts},
            optional={
                "attributes": st.dictionaries(names, json_values, max_size=5) | json_values,
                "relationships": st.dictionaries(
                    relations,
                    references | st.lists(references, max_size=3) | st.builds(lambda r: {"data": r}, references),
                )
                | json_values,
            },
        )
    },
    optional={
        "meta": st.fixed_dictionaries({}, optional={"eventName": texts, "deliveredAt": texts | st.datetimes().map(str)})
    },
)


class Memory:
    """Queue and overflow in memory."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.overflowed: list[Envelope] = []

    async def send(self, message: str, *, delay: float = 0) -> None:
        """Keep a message."""
        assert delay == 0
        assert fits_queue(message)
        self.messages.append(message)

    async def keep(self, envelope: Envelope) -> Envelope:
        """Keep an envelope."""
        self.overflowed.append(envelope)
        return envelope.model_copy(update={"kind": "spilled", "spill_key": "key", "body": None})

    async def mark_pointed(self, key: str, *, at: str) -> None:
        """Nothing to remember here."""


def now() -> datetime:
    """Always the same."""
    return datetime(2026, 1, 1, tzinfo=UTC)


def take_in(body: bytes, headers: dict[str, str]) -> Memory:
    """Run ingest on one request."""
    memory, memory_table = Memory(), MemoryTable()
    stores: dict[str, Any] = {"queue": memory, "overflow": memory}
    ingest = Ingest(
        outbox=Outbox(**stores),
        held=Held(now=now),
        unverified=UnverifiedTable(memory_table, now=now),
        secrets=WebhookSecrets(SECRET),
        accepts=lambda delivery: delivery.resource in MAPPING.resources,
        now=now,
    )
    asyncio.run(ingest.receive(body, headers=headers, trace=TRACE))
    assert memory_table.rows == {}
    return memory


def carried(memory: Memory) -> None:
    """What was queued comes out as a patch or as a reason, never as an error of ours."""
    for message in memory.messages:
        envelope = Envelope.from_message(base64.b64decode(message))
        if envelope.kind == "delivery":
            try:
                read_patch(parse_delivery(envelope.body), mapping=MAPPING, received_at=datetime(2026, 1, 1, tzinfo=UTC))
            except Unmappable as reason:
                assert reason.reason


@settings(max_examples=400, deadline=None, derandomize=True)
@given(deliveries | json_values)
def test_signed_json(content: Any) -> None:
    """Any signed JSON is refused with a code, ignored, or queued."""
    body = json.dumps(content).encode("utf-8", "surrogatepass")
    try:
        memory = take_in(body, {"outreach-webhook-signature": sign(body, SECRET)})
    except BadDelivery as refused:
        assert (refused.status, refused.code) in {(400, "not_json"), (400, "not_a_delivery")}
    else:
        carried(memory)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.text(max_size=80))
def test_unsigned_bytes(body: bytes, signature: str) -> None:
    """Nothing without a right signature gets in, whatever the header holds."""
    with pytest.raises(BadDelivery) as refused:
        take_in(body, {"outreach-webhook-signature": signature})
    assert refused.value.status == 401


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_signed_bytes(body: bytes) -> None:
    """Signed bytes that are no delivery are refused in words."""
    try:
        take_in(body, {"outreach-webhook-signature": sign(body, SECRET)})
    except BadDelivery as refused:
        assert refused.message

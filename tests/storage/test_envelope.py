"""What travels through the queue, there and back, and the trace that goes with it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadDelivery, Unmappable
from shared.meeting.delivery import parse_json
from shared.storage.envelope import MAX_MESSAGE_BYTES, Envelope, Trace, fits_queue
from shared.storage.layout import NewerLayout
from shared.timestamps import parse_time, sortable
from tests.samples import json_values, law

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
METADATA = {"id", "dequeueCount", "expirationTime", "insertionTime", "nextVisibleTime", "popReceipt", "text"}

_moments = st.datetimes(datetime(2000, 1, 2), datetime(2999, 12, 30), timezones=st.just(UTC)).map(sortable)  # noqa: DTZ001
_common: dict[str, Any] = {
    "correlation_id": st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    "traceparent": st.sampled_from(["", TRACEPARENT]),
    "event_id": st.text(max_size=10),
    "event_name": st.text(max_size=10),
    "received_at": _moments,
    "attempt": st.integers(0, 1_000),
    "first_failed_at": st.just("") | _moments,
    "body": json_values,
}
envelopes = st.one_of(
    st.builds(Envelope, kind=st.just("delivery"), **_common),
    st.builds(Envelope, kind=st.just("reconcile"), meeting=st.text(min_size=1, max_size=10), **_common),
    st.builds(
        Envelope, kind=st.just("spilled"), spill_key=st.from_regex(r"[0-9TZ.:-]{1,9}", fullmatch=True), **_common
    ),
)


def envelope(**members: Any) -> Envelope:
    """A delivery in its envelope."""
    return Envelope(**({"correlation_id": TRACE_ID, "received_at": "2026-03-02T12:00:00Z"} | members))


def decoded(message: str) -> bytes:
    """The message as the queue trigger hands it over."""
    return base64.b64decode(message, validate=True)


@law
@given(envelopes)
def test_round_trip(one: Envelope) -> None:
    """Every envelope comes out of the queue as it went in, as text or as bytes."""
    raw = decoded(one.to_message())
    assert Envelope.from_message(raw) == one
    assert Envelope.from_message(raw.decode()) == one


def test_a_body_as_deep_as_bodies_may_be() -> None:
    """The envelope is one level more around a body, which must not make what was accepted unreadable."""
    deep = next(body for depth in range(300, 0, -1) if (body := read(b"[" * depth + b"]" * depth)) is not None)
    one = envelope(body=deep)
    assert Envelope.from_message(decoded(one.to_message())) == one


def read(raw: bytes) -> Any:
    """The body, or None where ingest refuses it."""
    try:
        return parse_json(raw)
    except BadDelivery:
        return None


_TEXTS = ["garbage", "", "\ud800", "\x00", "a/b#c?", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "x" * 40_000]
_WRONG: st.SearchStrategy[Any] = st.sampled_from([*_TEXTS, -1, 2**63, 10**400, 1e308, True, None, [], {}]) | json_values


@law
@given(
    st.sampled_from([*Envelope.model_fields, "version"]), _WRONG, st.sampled_from(["delivery", "reconcile", "spilled"])
)
def test_a_malformed_member_is_found_at_once(member: str, value: object, kind: str) -> None:
    """What is read as an envelope can be carried out, put back and filed; all else is none of ours."""
    whole: dict[str, Any] = {"correlation_id": TRACE_ID, "received_at": "2026-03-02T12:00:00Z", "kind": kind}
    whole |= {"meeting": "meeting:5", "spill_key": f"2026-03-02T12:00:00.000000Z-{TRACE_ID}", "version": 1}
    try:
        one = Envelope.from_message(json.dumps(whole | {member: value}))
    except NewerLayout:
        assert member == "version"
        assert type(value) is int
        return
    except Unmappable as error:
        assert error.code == "not_an_envelope"
        return
    assert Envelope.from_message(decoded(one.to_message())) == one
    assert parse_time(one.received_at).year in range(2000, 3000)
    assert not one.first_failed_at or parse_time(one.first_failed_at).year in range(2000, 3000)
    assert not one.traceparent or Trace.read(one.traceparent)
    assert 0 <= one.attempt <= 1_000_000
    assert one.meeting or one.kind != "reconcile"
    assert one.spill_key or one.kind != "spilled"


@law
@given(envelopes)
def test_no_member_is_called_like_metadata(one: Envelope) -> None:
    """The trigger overwrites a message's metadata with members of the same name, so none has such a name."""
    content = json.loads(decoded(one.to_message()))
    assert not METADATA & content.keys()
    assert content["version"] == 2


def test_every_member_is_safe() -> None:
    """Nor does a member that is left out at its default."""
    assert not METADATA & Envelope.model_fields.keys()


@law
@given(envelopes)
def test_pointer(one: Envelope) -> None:
    """The pointer to an envelope in the overflow table has its trace and its key but not its body."""
    pointer = one.pointer()
    assert (pointer.kind, pointer.body) == ("spilled", None)
    assert (pointer.correlation_id, pointer.traceparent) == (one.correlation_id, one.traceparent)
    assert pointer.spill_key == f"{one.received_at}-{one.correlation_id}"


def test_size() -> None:
    """The queue's 64 KiB are counted after base64; a pointer to what is too big fits."""
    large = envelope(body="x" * 50_000)
    assert not fits_queue(large.to_message())
    assert fits_queue(large.pointer().to_message())
    assert fits_queue(envelope(body="x" * 40_000).to_message())
    assert fits_queue("x" * MAX_MESSAGE_BYTES)
    assert not fits_queue("x" * (MAX_MESSAGE_BYTES + 1))


def test_letters_outside_ascii_count_as_their_bytes() -> None:
    """A title in another script is not blown up by escapes."""
    text = "会議" * 100
    assert text.encode() in decoded(envelope(body=text).to_message())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "plain text",
        '{"correlation_id":"short","received_at":""}',
        b"\xff\xfe",
        json.dumps({"correlation_id": TRACE_ID.upper(), "received_at": "x"}),
        json.dumps({"correlation_id": f"{TRACE_ID}\n", "received_at": "x"}),
        json.dumps({"correlation_id": TRACE_ID, "received_at": "x", "kind": "other"}),
    ],
)
def test_not_an_envelope(text: str | bytes) -> None:
    """What this app did not write is refused as such."""
    with pytest.raises(Unmappable) as caught:
        Envelope.from_message(text)
    assert caught.value.code == "not_an_envelope"


def test_member_of_a_later_version() -> None:
    """A member that this version does not know is passed over, so that a rollback loses nothing."""
    content = json.loads(decoded(envelope(body=1).to_message())) | {"added_later": True}
    assert Envelope.from_message(json.dumps(content)) == envelope(body=1)


@pytest.mark.parametrize("text", [TRACEPARENT, f" {TRACEPARENT} ", TRACEPARENT[:-2] + "00"])
def test_trace(text: str) -> None:
    """A well-formed header gives its trace id as the correlation id."""
    trace = Trace.read(text)
    assert trace is not None
    assert (trace.traceparent, trace.correlation_id) == (text.strip(), TRACE_ID)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        TRACE_ID,
        TRACEPARENT.upper(),
        f"{TRACEPARENT}-extra",
        TRACEPARENT[:-1],
        f"x{TRACEPARENT}",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0g",
        f"00_{TRACE_ID}_{SPAN_ID}_01",
        f"{TRACEPARENT}\n{TRACEPARENT}",
    ],
)
def test_malformed_trace(text: str | None) -> None:
    """A malformed header, or ids of zeros, is no trace."""
    assert Trace.read(text) is None


@law
@given(st.text())
def test_any_header(text: str) -> None:
    """Whatever the header holds, a correlation id is 32 hex digits or there is none."""
    trace = Trace.read(text)
    assert trace is None or len(bytes.fromhex(trace.correlation_id)) == 16


def test_trace_of_ids() -> None:
    """A trace made from its ids is one that is read back."""
    assert Trace.of(trace_id=TRACE_ID, span_id=SPAN_ID) == Trace.read(TRACEPARENT)


OTHER_ID = "0af7651916cd43dd8448eb211c80319c"
HOSTED = f"00-{TRACE_ID}-b7ad6b7169203331-01"
FOREIGN = f"00-{OTHER_ID}-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("called", "hosted", "taken"),
    [
        (TRACEPARENT, "", TRACEPARENT),
        (TRACEPARENT, None, TRACEPARENT),
        (TRACEPARENT, HOSTED, HOSTED),
        (TRACEPARENT, FOREIGN, TRACEPARENT),
        ("nonsense", FOREIGN, FOREIGN),
        (None, FOREIGN, FOREIGN),
        (f"{TRACEPARENT},{FOREIGN}", "", None),
        (None, None, None),
    ],
)
def test_the_callers_trace_goes_on(called: str | None, hosted: str | None, taken: str | None) -> None:
    """Below the host's span where the host keeps the trace; without a caller's trace the host's counts."""
    trace = Trace.of_call(called=called, hosted=hosted)
    assert (trace and trace.traceparent) == taken

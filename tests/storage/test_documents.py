"""Documents in one table row: whole again whatever they hold, in pieces that a row takes."""

from __future__ import annotations

import zlib
from hashlib import shake_256
from typing import Any

import pytest
from hypothesis import given

from shared.errors import Unmappable
from shared.storage.documents import pack, pack_bytes, unpack, unpack_bytes, unpack_envelope
from shared.storage.envelope import Envelope
from shared.storage.layout import NewerLayout
from tests.samples import json_values, law

# What a property of an entity holds at most:
# https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
MOST = 64 * 1024
ENVELOPE = Envelope(correlation_id="a" * 32, received_at="2026-03-02T12:00:00.000000Z", body={"data": {}})


@law
@given(json_values)
def test_a_document_comes_back_as_it_was(document: Any) -> None:
    """Beside other members of the row, which are none of it."""
    assert unpack({"PartitionKey": "p", "data": "text", "database": "x", **pack(document)}) == document


@pytest.mark.parametrize("size", [0, 1, 60 * 1024, 60 * 1024 + 1, 700_000])
def test_bytes_come_back_in_order_from_any_number_of_pieces(size: int) -> None:
    """Also such as no compression makes smaller; each piece fits into a property."""
    raw = shake_256(b"noise").digest(size)
    packed = pack_bytes(raw)
    assert all(len(piece) <= MOST for piece in packed.values())
    assert unpack_bytes(dict(reversed(packed.items()))) == raw


def test_what_is_none_says_so() -> None:
    """A row that something else has written."""
    with pytest.raises(zlib.error):
        unpack_bytes({"data00": b"none of ours"})


def test_an_envelope_comes_back() -> None:
    """One of a newer version is left alone; one that cannot be read has a code for its dead letter."""
    assert unpack_envelope(pack(ENVELOPE.to_document())) == ENVELOPE
    with pytest.raises(NewerLayout):
        unpack_envelope(pack({**ENVELOPE.to_document(), "version": 99}))
    for damaged in ({"data00": b"damaged"}, pack([1]), pack({"version": 1}), pack_bytes(b"no json")):
        with pytest.raises(Unmappable) as caught:
            unpack_envelope(damaged)
        assert caught.value.code == "unreadable"

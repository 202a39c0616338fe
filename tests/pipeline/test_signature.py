"""The signature: vectors that any other implementation can be tested with, and everything that must not pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadDelivery
from shared.pipeline.signature import MAX_BODY_BYTES, VerifiedBody, sign, verify
from tests.samples import law

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "signatures.json").read_text(encoding="utf-8")
)["vectors"]


def refused(body: bytes, signature: str | None, *secrets: str) -> BadDelivery:
    """The error that `verify` raises."""
    with pytest.raises(BadDelivery) as caught:
        verify(body, signature, secrets=secrets)
    return caught.value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Every vector is signed as it says and verifies, also as the previous of two secrets."""
    body = vector["body"].encode()
    assert sign(body, vector["secret"]) == vector["signature"]
    for secrets in ([vector["secret"]], ["another", vector["secret"]], [vector["secret"], "another"]):
        assert verify(body, vector["signature"], secrets=secrets) == VerifiedBody(body)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vectors_under_another_secret(vector: dict[str, Any]) -> None:
    """A right signature under a secret that is not ours is refused."""
    assert refused(vector["body"].encode(), vector["signature"], "another").status == 401


@law
@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_changed_byte_fails(body: bytes, data: st.DataObject) -> None:
    """One changed byte anywhere in the body, or one digit of the signature, is refused."""
    signature = sign(body, "secret")
    place, bits = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(1, 255))
    changed = body[:place] + bytes([body[place] ^ bits]) + body[place + 1 :]
    assert refused(changed, signature, "secret").code == "signature_wrong"
    digit = data.draw(st.integers(0, 63))
    other = data.draw(st.sampled_from("0123456789abcdef".replace(signature[digit], "")))
    assert refused(body, signature[:digit] + other + signature[digit + 1 :], "secret").code == "signature_wrong"


@law
@given(st.binary(max_size=50), st.text(max_size=80))
def test_no_text_is_a_signature(body: bytes, text: str) -> None:
    """Whatever stands in the header, outside ASCII too, is answered with 401 and never with another error."""
    assert refused(body, text, "secret").status == 401


@law
@given(st.binary(max_size=50), st.binary(max_size=5))
def test_added_bytes_fail(body: bytes, more: bytes) -> None:
    """A signature fits the whole body and not a longer one that begins with it."""
    if more:
        assert refused(body + more, sign(body, "secret"), "secret").code == "signature_wrong"


@pytest.mark.parametrize("signature", [None, ""])
def test_missing_signature(signature: str | None) -> None:
    """Without the header the answer is 401 with a code of its own."""
    error = refused(b"{}", signature, "secret")
    assert (error.status, error.code) == (401, "signature_missing")


def test_white_space_around_a_signature() -> None:
    """White space around the header's value is not part of it."""
    assert verify(b"{}", f" {sign(b'{}', 'secret')}\t", secrets=["secret"]).raw == b"{}"


@pytest.mark.parametrize("change", [str.upper, lambda text: f"sha256={text}", lambda text: text[:-1]])
def test_other_forms_of_a_signature(change: Any) -> None:
    """Only the lower-case digits, all of them and nothing else, count."""
    body = b'{"data":{}}'
    assert refused(body, change(sign(body, "secret")), "secret").code == "signature_wrong"


def test_no_secret_lets_nobody_in() -> None:
    """Without a secret, or with an empty one, not even the signature under the empty secret passes."""
    signature = sign(b"{}", "")
    assert refused(b"{}", signature).status == 401
    assert refused(b"{}", signature, "").status == 401
    assert refused(b"{}", signature, "", "secret").status == 401


def test_body_size() -> None:
    """A body of 1 MiB passes; one byte more is 413, whatever its signature."""
    largest = b"x" * MAX_BODY_BYTES
    assert verify(largest, sign(largest, "secret"), secrets=["secret"]).raw == largest
    too_large = largest + b"x"
    error = refused(too_large, sign(too_large, "secret"), "secret")
    assert (error.status, error.code) == (413, "body_too_large")


@law
@given(st.binary(max_size=30))
def test_messages_keep_secrets(body: bytes) -> None:
    """No refusal repeats a secret or a signature."""
    for signature in (None, "f" * 64):
        error = refused(body, signature, "open-sesame")
        assert "open-sesame" not in error.message
        assert sign(body, "open-sesame") not in error.message


@pytest.mark.parametrize(
    ("body", "signature", "message"),
    [
        (b" " * (MAX_BODY_BYTES + 1), "x", f"The body is over {MAX_BODY_BYTES} bytes; Outreach sends far less."),
        (b"", "", "The header Outreach-Webhook-Signature is missing."),
        (
            b"",
            "\udcff",
            "The signature does not fit the body. Compare OUTREACH_WEBHOOK_SECRET with the secret of the webhook.",
        ),
    ],
    ids=["too large", "missing", "bytes outside ASCII"],
)
def test_a_refusal_says_what_to_do(body: bytes, signature: str, message: str) -> None:
    """In one sentence, whatever bytes the header has."""
    with pytest.raises(BadDelivery) as caught:
        verify(body, signature, secrets=["secret"])
    assert caught.value.message == message

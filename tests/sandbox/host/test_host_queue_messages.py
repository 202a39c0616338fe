from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from azure.storage.queue import QueueMessage

from sandbox.host.queue_messages import NotDecodable, decode_body, to_binary_message, to_function_message

INSERTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EXPIRES = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
VISIBLE = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)


def stored() -> QueueMessage:
    return QueueMessage(
        id="one",
        pop_receipt="receipt",
        dequeue_count=3,
        inserted_on=INSERTED,
        expires_on=EXPIRES,
        next_visible_on=VISIBLE,
    )


def test_a_message_keeps_what_storage_says_of_it() -> None:
    """Id, receipt, count and the three times."""
    message = to_function_message(stored(), b"text")

    assert (message.id, message.pop_receipt, message.dequeue_count) == ("one", "receipt", 3)
    assert (message.insertion_time, message.expiration_time) == (INSERTED, EXPIRES)
    assert message.time_next_visible == VISIBLE
    assert message.get_body() == b"text"


def test_properties_of_the_message_overwrite_its_metadata() -> None:
    """The reason why an envelope must not use these names at its top level; case does not matter."""
    body = json.dumps({"id": "other", "dequeuecount": "7", "POPRECEIPT": "mine"}).encode()

    message = to_function_message(stored(), body)

    assert (message.id, message.dequeue_count, message.pop_receipt) == ("other", 7, "mine")
    assert message.get_body() == body


@pytest.mark.parametrize("value", [None, [1], {"nested": 1}])
def test_what_is_null_or_a_list_overwrites_nothing(value: object) -> None:
    """An object does overwrite, and is no text."""
    body = json.dumps({"id": value}).encode()

    expected = str(value) if isinstance(value, dict) else "one"

    assert to_function_message(stored(), body).id == expected


@pytest.mark.parametrize(
    "content",
    [
        {"dequeueCount": "many"},
        {"dequeueCount": 1.5},
        {"expirationTime": "soon"},
        {"insertionTime": "2026-03-01T12:00:00Z"},
    ],
)
def test_metadata_that_the_library_cannot_read_fails(content: dict[str, object]) -> None:
    """Even an ISO time fails: the host rewrites it without a zone."""
    with pytest.raises(ValueError, match=r"cannot convert|does not match format"):
        to_function_message(stored(), json.dumps(content).encode())


@pytest.mark.parametrize("text", ["[1]", '"id"', "{", '{"id": }', "{" * 100_000 + "}"])
def test_only_a_json_object_is_looked_into(text: str) -> None:
    """Anything else is text."""
    assert to_function_message(stored(), text.encode()).id == "one"


def test_a_body_that_is_no_utf_8_cannot_be_given_as_text() -> None:
    """A binding of data type binary gets the bytes."""
    with pytest.raises(UnicodeDecodeError):
        to_function_message(stored(), b"\xff")

    assert to_binary_message(stored(), b'{"id":"x"}\xff').get_body() == b'{"id":"x"}\xff'
    assert to_binary_message(stored(), b'{"id":"x"}').id == "one"


def test_base64_is_decoded_as_dotnet_does() -> None:
    """White space is skipped, everything else must be exact."""
    assert decode_body("dGV4\ndA==", "base64") == b"text"
    assert decode_body("täxt", "none") == "täxt".encode()


@pytest.mark.parametrize("text", ["plain text", "dGV4dA", "dGV4dA==x", "täxt"])
def test_text_that_is_no_base64_is_refused(text: str) -> None:
    """The listener sends it to poison."""
    with pytest.raises(NotDecodable):
        decode_body(text, "base64")

"""From a stored queue message to the `func.QueueMessage` that the function gets.

The host makes trigger metadata, then lets the top-level JSON properties of the message overwrite it (Utility
.ApplyBindingData); the library's own converter reads the result. So a message with its own `dequeueCount` lies, and a
non-numeric one fails.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import azure.functions as func
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter
from azure.storage.queue import QueueMessage

_WHITESPACE = re.compile(r"[ \t\r\n]")
# Json.NET reads such strings as dates, and then writes them without a zone.
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,7})?(?:Z|[+-]\d{2}:\d{2})?")
_METADATA_NAMES = {
    name.lower(): name
    for name in (
        "QueueTrigger",
        "DequeueCount",
        "Id",
        "PopReceipt",
        "ExpirationTime",
        "InsertionTime",
        "NextVisibleTime",
    )
}
_NEVER = datetime.max.replace(tzinfo=UTC)


class NotDecodable(Exception):
    """The text is not base64 although host.json's messageEncoding says so."""


def decode_body(text: str, encoding: Literal["base64", "none"]) -> bytes:
    """The message's bytes. Raises `NotDecodable`."""
    if encoding == "none":
        return text.encode()
    try:
        return base64.b64decode(_WHITESPACE.sub("", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotDecodable(str(error)) from error


def to_function_message(message: QueueMessage, body: bytes) -> func.QueueMessage:
    """Make the message of a queue function. Raises `ValueError` where the host or the library could not."""
    text = body.decode()
    return _convert(Datum(text, "string"), {**_metadata(message, text), **_overwrites(text)})


def to_binary_message(message: QueueMessage, body: bytes) -> func.QueueMessage:
    """The same for a binding whose dataType is binary: bytes are not looked into."""
    return _convert(Datum(body, "bytes"), _metadata(message, body.decode(errors="replace")))


def _convert(data: Datum, metadata: Mapping[str, Datum]) -> func.QueueMessage:
    made: func.QueueMessage = QueueMessageInConverter.decode(data, trigger_metadata=metadata)
    return made


def _metadata(message: QueueMessage, text: str) -> dict[str, Datum]:
    moments = {
        "ExpirationTime": message.expires_on or _NEVER,
        "InsertionTime": message.inserted_on or datetime.now(UTC),
        "NextVisibleTime": message.next_visible_on or _NEVER,
    }
    return {
        "QueueTrigger": Datum(text, "string"),
        "DequeueCount": Datum(json.dumps(message.dequeue_count or 0), "json"),
        "Id": Datum(message.id, "string"),
        "PopReceipt": Datum(message.pop_receipt, "string"),
        **{name: Datum(json.dumps(moment.isoformat()), "json") for name, moment in moments.items()},
    }


def _overwrites(text: str) -> dict[str, Datum]:
    """What a JSON object in the message puts over the metadata; names do not differ by case alone."""
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        return {}
    try:
        content = json.loads(stripped)
    except (ValueError, RecursionError):
        return {}
    found = {_METADATA_NAMES.get(name.lower(), name): _property(value) for name, value in content.items()}
    return {name: datum for name, datum in found.items() if datum is not None}


def _property(value: Any) -> Datum | None:
    if value is None or isinstance(value, list):
        return None
    if isinstance(value, dict):
        return Datum(json.dumps(value), "json")
    if isinstance(value, str):
        return Datum(_like_json_net(value), "string")
    return Datum(str(value), "string")


def _like_json_net(text: str) -> str:
    if not _ISO_TIME.fullmatch(text):
        return text
    try:
        return datetime.fromisoformat(text).strftime("%m/%d/%Y %H:%M:%S")
    except ValueError:
        return text

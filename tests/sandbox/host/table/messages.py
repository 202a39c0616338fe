"""What the real Functions host makes of a queue message: a row each, measured on 4.1037 with the Python worker 4.34.

host.json says base64, five attempts, and no delay between them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as it is stored, and as the function gets it; which attempts it saw; whether it is done then."""

    name: str
    stored: str
    text: str
    attempts: tuple[int, ...]
    ends: Literal["done", "poison"]


def decodable(
    name: str, text: str, attempts: tuple[int, ...] = (1,), ends: Literal["done", "poison"] = "done"
) -> MessageRow:
    """A row whose message is base64."""
    return MessageRow(name, base64.b64encode(text.encode()).decode(), text, attempts, ends)


def undecodable(name: str, stored: str) -> MessageRow:
    """A row whose message no function gets: it goes to the poison queue as it is."""
    return MessageRow(name, stored, "no function gets it", (), "poison")


def order(name: str, **more: Any) -> str:
    """What tells the probe what to do."""
    return json.dumps({"name": name, **more})


MESSAGES: Final = (
    decodable("text", "plain text"),
    decodable("a number", "5"),
    decodable("nothing", ""),
    decodable("an order", order("obeys")),
    MessageRow("base64 with white space", "c3Bh Y2Vk\n", "spaced", (1,), "done"),
    undecodable("no base64", "%%%"),
    undecodable("base64 with a sign too many", "YWJj*"),
    undecodable("base64 without its end", "YWI"),
    undecodable("bytes that are no UTF-8", base64.b64encode(b"\xff\xfe").decode()),
    decodable("a function that raises", order("raises", kind="raise"), (1, 2, 3, 4, 5), "poison"),
    # Members of a JSON message go over the metadata of the same name.
    decodable("a count of its own", order("counts", dequeueCount=7), (7,)),
    decodable("a count of its own that is none", order("miscounts", dequeueCount="x"), (), "poison"),
)

"""What the sandbox's host does otherwise than the table says: each with its reason, and asserted too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Difference:
    """`changes` to the row."""

    reason: str
    changes: Mapping[str, Any]


NO_SUCH_ROUTE: Final = "the sandbox has no use for it, so its host has no such route"
DIFFERENCES: Final[Mapping[str, Difference]] = {
    "a key in other letters": Difference(
        "stricter than the real host: whoever gives a key in other letters has made a mistake",
        {"status": 401, "function": ""},
    ),
    "body in chunks, and a next request": Difference("our host reads no chunks: it ends the connection", {"then": 0}),
    "an HTTP function by hand": Difference(
        "our host would have to call it with half a request", {"status": 400, "function": "", "body": None}
    ),
    "the list of functions, for an admin": Difference(NO_SUCH_ROUTE, {"status": 404}),
    "the keys, for an admin": Difference(NO_SUCH_ROUTE, {"status": 404}),
    "the sandbox's own route": Difference("tests ask it for counts", {"status": 200, "body": None}),
}

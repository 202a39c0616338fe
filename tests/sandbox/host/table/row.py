"""What the real Functions host answers to a request: a row each, measured on 4.1037 with the Python worker 4.34.

`test_requests.py` holds both hosts against them. A row reads: these bytes, this status, this function was called, and
it saw this; the answer has these headers and this body. What a row does not name is free.

Free everywhere: `Server` and `Date`, the words after the status, the order of headers, letter case of their names. A
returned `str` is not here: the host that was at hand has that part rebuilt, and the app returns none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from tests.sandbox.host.hosts import ADMIN_KEY, FUNCTION_KEY
from tests.sandbox.host.raw import request

BY_FUNCTION_KEY: Final = f"x-functions-key: {FUNCTION_KEY}"
BY_ADMIN_KEY: Final = f"x-functions-key: {ADMIN_KEY}"
BEARER: Final = {"www-authenticate": "Bearer"}
EMPTY: Final = {"content-length": "0"}
JSON: Final = "Content-Type: application/json"
PLAIN: Final = {"content-type": "text/plain; charset=utf-8"}
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Row:
    """One request and what becomes of it.

    `raw` in parts that are sent with a pause between them. `function` is the one that was called; `saw` is what it was
    given. `headers` of the answer: None for one that is not there. `body` None: whatever. `then`: the status of the
    answer to what follows the request on the same connection; 0: none comes.
    """

    name: str
    raw: tuple[bytes, ...]
    status: int
    function: str = ""
    saw: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = b""
    then: int | None = None
    half_close: bool = False


def called(name: str, raw: bytes | tuple[bytes, ...], function: str, status: int = 200, **more: Any) -> Row:
    """A row whose request reaches a function."""
    body = more.pop("body", None)
    return Row(name, raw if isinstance(raw, tuple) else (raw,), status, function, body=body, **more)


def refused(name: str, raw: bytes | tuple[bytes, ...], status: int, **more: Any) -> Row:
    """A row whose request the host answers itself."""
    return Row(name, raw if isinstance(raw, tuple) else (raw,), status, **more)


def get(target: str, *headers: str) -> bytes:
    """A GET."""
    return request(f"GET {target}", *headers)


def post(target: str, body: bytes = b"", *headers: str) -> bytes:
    """A POST with its length."""
    return request(f"POST {target}", f"Content-Length: {len(body)}", *headers, body=body)


def answered(status: object, **query: str) -> bytes:
    """A request for an answer that the function makes as it is reported."""
    pairs = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return get(f"/api/answer/{status}?{pairs}")

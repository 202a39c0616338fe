"""Raw bytes to a port, and the answers to them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import BadStatusLine, HTTPResponse, IncompleteRead
from typing import Any, BinaryIO

from sandbox.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came; header names in lower case. Status 0: the connection ended without one."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    streamed: bool = False

    def header(self, name: str) -> list[str]:
        """All headers of this name."""
        return [value for known, value in self.headers if known == name]

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def request(line: str, *headers: str, body: bytes = b"", host: str = "x") -> bytes:
    """A request as the table writes it: on a connection of its own, to host `x`."""
    head = [f"{line} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def followed(first: bytes, by: bytes) -> bytes:
    """Two requests on one connection."""
    return first.replace(b"Connection: close\r\n", b"") + by


def ask(
    port: int,
    *parts: bytes,
    answers: int = 1,
    pause: float = 0.0,
    half_close: bool = False,
    patience: float = PATIENCE,
) -> list[RawAnswer]:
    """Send `parts`, with a pause between them, and read so many answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        # A server that has heard enough answers and hangs up; what it said can still be read.
        with contextlib.suppress(ConnectionError):
            for number, part in enumerate(parts):
                time.sleep(pause if number else 0)
                connection.sendall(part)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        method = parts[0].split(b" ", 1)[0].decode("latin-1")
        return read_answers(connection, [method] * answers)


def read_answers(connection: socket.socket, methods: Sequence[str]) -> list[RawAnswer]:
    """Read one answer for each method."""
    with connection.makefile("rb") as stream:
        return [_read(_Shared(stream), method) for method in methods]


class _Shared:
    """A stream in the place of the socket that `HTTPResponse` wants: the next answer is read from it too."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> _Shared:
        return self

    def close(self) -> None:
        """Leave it open for the next answer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _read(stream: _Shared, method: str) -> RawAnswer:
    response = HTTPResponse(stream, method=method)  # type: ignore[arg-type]  # it takes anything with makefile()
    try:
        response.begin()
        body = response.read()
    except (BadStatusLine, ConnectionError, IncompleteRead):
        return RawAnswer(0)
    headers = tuple((name.lower(), value) for name, value in response.getheaders())
    return RawAnswer(response.status, headers, body, streamed=response.chunked or False)

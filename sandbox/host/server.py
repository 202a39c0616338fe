"""An HTTP/1.1 server that answers as Kestrel does, the server of the real host.

A call runs to its end whether or not its caller waits; only its answer is lost. Times are Kestrel's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sandbox.host.request_head import BadRequest, RequestHead, read_head

# https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/options: a body may stand still this long, and
# must bring this many bytes a second after that. What nobody reads is waited for as long.
BODY_SECONDS: Final = 5.0
BODY_RATE: Final = 240
_PIECE: Final = 65_536
# A caller that still sends gets a moment to read the answer, before the closed connection takes it away.
_LINGER_SECONDS: Final = 1.0
_WITHOUT_BODY: Final = frozenset({204, 304})
_RESET_CONTENT: Final = 205


class BodyUnreadable(Exception):
    """The body is larger than allowed, or does not come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `streamed` bodies have no Content-Length: as the host writes what functions return."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    streamed: bool = False


class Request:
    """One request: its head, and a body that is read once, if at all."""

    def __init__(
        self, head: RequestHead, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int
    ) -> None:
        self.head = head
        self._reader = reader
        self._writer = writer
        self._limit = limit
        self._left = head.content_length or 0
        # The next request can be found behind this one. Chunks are not read: the function would not get them.
        self.can_be_passed = not head.chunked and self._left <= limit

    async def body(self) -> bytes:
        """All of the body; one that is chunked arrives empty. Raises `BodyUnreadable`."""
        if self._left > self._limit:
            raise BodyUnreadable(f"{self._left} bytes are over the limit of {self._limit}")
        if self._left and (self.head.header("expect") or "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return b"".join([piece async for piece in self._pieces()])

    async def pass_over(self) -> None:
        """Read on to the next request. Raises `BodyUnreadable`."""
        async for _ in self._pieces():
            pass

    async def _pieces(self) -> AsyncIterator[bytes]:
        begun, received = asyncio.get_running_loop().time(), 0
        while self._left:
            try:
                async with asyncio.timeout_at(begun + BODY_SECONDS + received / BODY_RATE):
                    piece = await self._reader.read(min(self._left, _PIECE))
            except TimeoutError as error:
                self.can_be_passed = False
                raise BodyUnreadable("the body does not come") from error
            if not piece:
                raise ConnectionResetError("the caller has gone in the middle of the body")
            received += len(piece)
            self._left -= len(piece)
            yield piece


class HttpServer:
    """Listens on 127.0.0.1 and hands every request to `handle`, which must not raise."""

    def __init__(self, handle: Callable[[Request], Awaitable[Answer]], *, body_limit: int) -> None:
        """`body_limit` in bytes."""
        self._handle = handle
        self._body_limit = body_limit
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._calls: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._idle: set[asyncio.StreamWriter] = set()

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._server is not None and self._server.is_serving()

    async def start(self, port: int) -> int:
        """Listen; returns the port, which is a free one for 0. Raises `OSError` for one that is taken."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=_PIECE, backlog=512)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def stop_listening(self) -> None:
        """Take no more connections, and close those on which nothing is asked."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for writer in self._idle:
            writer.close()

    async def finish(self) -> None:
        """Wait until every call has ended, whether its caller is still there or not."""
        while self._calls:
            await asyncio.wait(self._calls)

    def reset(self) -> None:
        """Cut all connections; calls go on without a caller."""
        for writer in self._calls.values():
            writer.transport.abort()

    def cancel(self) -> None:
        """Give up on the calls themselves."""
        for call in self._calls:
            call.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls[task] = writer
        try:
            # A caller that goes away takes nothing but its answer along, and cannot be told that nothing more comes.
            with contextlib.suppress(OSError):
                await self._converse(reader, writer)
                await _close(reader, writer)
        finally:
            writer.close()
            del self._calls[task]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self._stopping:
            self._idle.add(writer)
            try:
                head = await read_head(reader)
            except BadRequest as refused:
                headers = (("Allow", refused.allow),) if refused.allow else ()
                _write(writer, Answer(refused.status, headers), head=None, keep=False)
                return
            finally:
                self._idle.discard(writer)
            if head is None:
                return
            request = Request(head, reader, writer, self._body_limit)
            answer = await self._handle(request)
            keep = head.keeps_alive and request.can_be_passed and not self._stopping
            _write(writer, answer, head=head, keep=keep)
            await writer.drain()
            if not keep:
                return
            with contextlib.suppress(BodyUnreadable):
                await request.pass_over()
            if not request.can_be_passed:
                return


def _write(writer: asyncio.StreamWriter, answer: Answer, *, head: RequestHead | None, keep: bool) -> None:
    headers, body = _framed(answer, head)
    if not keep:
        headers.append(("Connection", "close"))
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + body)


def _framed(answer: Answer, head: RequestHead | None) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body with what tells where the body ends."""
    headers, body = list(answer.headers), answer.body
    if (head is not None and head.method == "HEAD") or answer.status in _WITHOUT_BODY:
        return headers, b""
    if any(name.lower() == "content-length" for name, _ in headers):
        return headers, body
    if answer.status == _RESET_CONTENT:
        body = b""
    if not answer.streamed or not body:
        return [*headers, ("Content-Length", str(len(body)))], body
    if head is not None and head.version == "1.1":
        return [*headers, ("Transfer-Encoding", "chunked")], b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return headers, body  # to the end of the connection


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that nothing more comes, and let the caller read."""
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while await reader.read(_PIECE):
                pass

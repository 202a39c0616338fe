"""A gate before a service of this machine, to be shut for a while: what the service's clients meet then is real.

    with Gate(lambda: port) as gate:
        gate.shut("hangs")      # connections are made, and nothing is answered
        gate.shut("refuses")    # connections break at once
        gate.shut("busy")       # every request meets 503 ServerBusy, as an account that throttles answers
        gate.open()

It runs in a thread of its own, so that it passes on and shuts whatever its user waits for.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

How = Literal["open", "hangs", "refuses", "busy"]

_PIECE: Final = 64 * 1024
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_BUSY_BODY: Final = b"<Error><Code>ServerBusy</Code><Message>The server is busy.</Message></Error>"
# https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
_BUSY: Final = (
    b"HTTP/1.1 503 The server is busy.\r\nContent-Type: application/xml\r\nx-ms-error-code: ServerBusy\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_BUSY_BODY), _BUSY_BODY)
)


class Gate:
    """A gate on a free port of 127.0.0.1 before the port that `target` gives when somebody comes in."""

    def __init__(self, target: Callable[[], int]) -> None:
        self._target = target
        self._how: How = "open"
        self._share = 1.0
        self._chance = random.Random(1)
        self._connections: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="gate", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def open(self) -> None:
        """Let everybody through, those that hang too."""
        self._set("open")

    def shut(self, how: How, *, share: float = 1.0) -> None:
        """From now on clients meet `how`. `share`: of the requests that a busy service turns away; the others pass."""
        self._share = share
        self._set(how)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _set(self, how: How) -> None:
        done = threading.Event()

        def change() -> None:
            self._how = how
            (self._passable.clear if how == "hangs" else self._passable.set)()
            if how in {"refuses", "busy"}:
                for connection in self._connections:
                    connection.transport.abort()
            done.set()

        self._loop.call_soon_threadsafe(change)
        done.wait()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._passable = asyncio.Event(), asyncio.Event()
        self._passable.set()
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self._port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            await self._passable.wait()
            if self._how == "busy":
                await self._turn_away(reader, writer)
            elif self._how == "open":
                await self._pass(b"", reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # somebody hung up
        finally:
            writer.transport.abort() if self._how == "refuses" else writer.close()
            self._connections.discard(writer)

    async def _turn_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request as a busy account does, or pass on just that one."""
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        request = head + await reader.readexactly(int(found[1]) if found else 0)
        if self._chance.random() < self._share:
            writer.write(_BUSY)
            await writer.drain()
        else:
            await self._pass(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), reader, writer)

    async def _pass(self, begun: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy both ways until either end hangs up; `begun` was read already."""
        there, back = await asyncio.open_connection("127.0.0.1", self._target())
        self._connections.add(back)
        back.write(begun)
        ways = {asyncio.create_task(self._copy(reader, back)), asyncio.create_task(self._copy(there, writer))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.close()
            self._connections.discard(back)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(_PIECE):
            await self._passable.wait()
            sink.write(piece)
            await sink.drain()

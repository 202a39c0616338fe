"""A reverse proxy that counts what goes over the wire to one storage service, whoever sends it and with which SDK."""

from __future__ import annotations

import re
from collections import Counter
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

# Of one connection only; what is sent on has its own.
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "host"})
# What aiohttp would add of its own; a signed request must arrive as it was signed.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_LARGEST_BODY = 8 * 1024 * 1024
# `/account/meetings(PartitionKey=…)`, `/account/queue/messages`: the name after the account, and whether `messages`.
_WHAT = re.compile(r"/[^/]+/(?P<name>[^/(?]+)(?:\([^)]*\))?(?P<messages>/messages)?")


class Wire:
    """Counts requests by method and table or queue: `GET meetings`, `POST outreach-events/messages`.

    `target` is the service's base address without a path.
    """

    def __init__(self, target: str) -> None:
        self.counts: Counter[str] = Counter()
        self._target = target
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        if self._runner is None:
            raise RuntimeError("Use the wire in `async with`.")
        port: int = self._runner.addresses[0][1]
        return port

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        if self._session is None:
            raise RuntimeError("Use the wire in `async with`.")
        self.counts[f"{request.method} {_what(request.raw_path)}"] += 1
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            headers=_sent_on(request.headers),
            data=await request.read() or None,
            skip_auto_headers=_NOT_ADDED,
            allow_redirects=False,
        ) as answer:
            return web.Response(status=answer.status, headers=_sent_on(answer.headers), body=await answer.read())


def _what(path: str) -> str:
    found = _WHAT.match(path)
    return found["name"] + (found["messages"] or "") if found else path


def _sent_on(headers: CIMultiDict[str] | aiohttp.typedefs.LooseHeaders) -> CIMultiDict[str]:
    given = CIMultiDict(headers)
    return CIMultiDict((name, value) for name, value in given.items() if name.lower() not in _OF_THE_CONNECTION)

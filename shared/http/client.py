"""One way to call a service over HTTP: a fresh connection pool without cookies, errors of our own tree, calls counted.

Retries are not made here: what fails goes back to the queue with a growing delay (`shared/pipeline/retry.py`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from shared.errors import Transient, called
from shared.http.breaker import Breaker
from shared.telemetry import THROTTLED, calling, resource_of
from shared.timestamps import parse_time
from shared.work import current

MAX_CONNECTIONS = 32
_TIMEOUT = httpx.Timeout(30, connect=5)
# The time-outs above are for each piece of an answer; these are for all of it.
ANSWER_SECONDS = 60.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_PACKED = "gzip"
_UNWELL = frozenset({429, 500, 502, 503, 504})


def http_client(base_url: str) -> httpx.AsyncClient:
    """A client for one service. It keeps no cookies: Dataverse's would tie every request to one of its servers."""
    client = httpx.AsyncClient(
        base_url=base_url,
        verify=_trusted(),
        timeout=_TIMEOUT,
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
        follow_redirects=False,
        headers={"Accept-Encoding": _PACKED},  # the one encoding that is unpacked below
        event_hooks={"response": [_limit]},
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are taken. Reading them takes 40 ms of processor time, so all clients share them."""
    return httpx.create_ssl_context()


class _Limited(httpx.AsyncByteStream):
    """An answer that ends with an error where it is larger than any real one.

    What is `packed` is unpacked here, no further than that: the little that comes in one piece can become a thousand
    times as much, and httpx would make all of it before anybody could count.
    """

    def __init__(self, stream: httpx.AsyncByteStream, *, packed: bool) -> None:
        self._stream = stream
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None  # 16: in gzip's form

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_ANSWER_BYTES
        async for piece in self._stream:
            plain = piece if self._unpacker is None else _unpacked(self._unpacker, piece, room + 1)
            room -= len(plain)
            if room < 0:
                raise httpx.RemoteProtocolError("The answer is too large.")
            yield plain

    async def aclose(self) -> None:
        await self._stream.aclose()


def _unpacked(unpacker: zlib._Decompress, piece: bytes, most: int) -> bytes:
    try:
        return unpacker.decompress(piece, most)
    except zlib.error as error:
        raise httpx.DecodingError("The answer cannot be unpacked.") from error


async def _limit(response: httpx.Response) -> None:
    # Taken out, so that httpx does not unpack it too.
    encoding = response.headers.pop("content-encoding", "identity").lower()
    if encoding not in {_PACKED, "identity"}:
        raise httpx.DecodingError("The answer is packed in a way that was not asked for.")
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _Limited(response.stream, packed=encoding == _PACKED)


class Caller:
    """Sends requests to one service and minds its breaker."""

    def __init__(self, service: str, client: httpx.AsyncClient) -> None:
        self.service = service
        self.breaker = Breaker(service, clock=time.monotonic)
        self._client = client

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, whatever its status. Raises `Transient` where none came or the service asks to be left alone."""
        self.breaker.before_call()
        started = time.monotonic()
        answered = False
        try:
            with calling(self.service, method, resource_of(path)) as call:
                async with asyncio.timeout(ANSWER_SECONDS):
                    response = await self._client.request(
                        method, path, headers=call.headers(headers), params=params, json=json, data=form
                    )
                call.answered(response.status_code)
            answered = True
        except (httpx.RequestError, TimeoutError) as error:
            self.breaker.failed()
            answered = True
            reason = f"{called(self.service)} could not be reached or did not answer in time."
            raise Transient(reason, service=self.service, code=type(error).__name__) from error
        finally:
            current().count(self.service, time.monotonic() - started)
            if not answered:
                self.breaker.gave_up()
        self._learn(response)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _learn(self, response: httpx.Response) -> None:
        wait = retry_after(response)
        if response.status_code in {429, 503} and wait is not None:
            self.breaker.throttled(wait)
            THROTTLED.record(wait, service=self.service)
        elif response.status_code in _UNWELL:
            self.breaker.failed()
        else:
            self.breaker.succeeded()


def retry_after(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds: a number, an HTTP date, or the ISO time that Outreach sends."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, min(float(text), 3600.0))
    except ValueError:
        pass
    for read in (parsedate_to_datetime, parse_time):
        try:
            moment = read(text)
        except (ValueError, OverflowError):
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, min(moment.timestamp() - time.time(), 3600.0))
    return None

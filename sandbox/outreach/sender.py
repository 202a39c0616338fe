"""Delivers as Outreach does: signed, five seconds' patience, no redirects, every HTTP answer is a success.

    async with Sender("http://127.0.0.1:7071/api/outreach/events?code=…", secret="…") as sender:
        sent = await sender.send(script.booked())

https://developers.outreach.io/api/webhooks
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

import aiohttp

from sandbox.outreach.deliveries import Delivery

SIGNATURE: Final = "Outreach-Webhook-Signature"
TIMEOUT_SECONDS: Final = 5.0
ATTEMPTS: Final = 4
SECONDS_BETWEEN: Final = 1.0
CONTENT_TYPE: Final = "application/vnd.api+json"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one delivery. `status` is that of the answer, or `None` where no attempt got one.

    `arrived`: whether an attempt found a connection, so that the app may have the delivery without an answer.
    """

    delivery: Delivery
    status: int | None
    attempts: int
    body: bytes = b""
    arrived: bool = True

    @property
    def delivered(self) -> bool:
        """Whether Outreach thinks that it is done: any answer will do."""
        return self.status is not None

    @property
    def correlation_id(self) -> str | None:
        """What the app answered, where it answered as our app does."""
        try:
            answer = json.loads(self.body)
        except ValueError:
            return None
        found = answer.get("correlationId") if isinstance(answer, dict) else None
        return found if isinstance(found, str) else None


def signature(body: bytes, secret: str) -> str:
    """Lower-case hex HMAC-SHA256 of the raw bytes."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(delivery: Delivery, *, secret: str) -> dict[str, str]:
    """Every header that was seen on a delivery."""
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "Ruby",
        SIGNATURE: signature(delivery.body, secret),
        "outreach-org-id": delivery.organisation,
        "outreach-webhook-id": str(delivery.webhook_id),
        "outreach-webhook-event-id": delivery.event_id,
        "outreach-webhook-cleanup-token": delivery.cleanup_token,
    }


class Sender:
    """Sends deliveries to one webhook address; `connections` of them at a time at most."""

    def __init__(
        self,
        url: str,
        *,
        secret: str,
        connections: int = 16,
        timeout_seconds: float = TIMEOUT_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._secret = secret
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections), cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, delivery: Delivery, *, secret: str | None = None) -> Sent:
        """Deliver, with up to four attempts where the network fails. `secret`: another than the right one."""
        if self._session is None:
            raise RuntimeError("Use the sender in `async with`.")
        sent_headers = headers(delivery, secret=self._secret if secret is None else secret)
        arrived = False
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                await self._sleep(SECONDS_BETWEEN)
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    async with self._session.post(
                        self._url, data=delivery.body, headers=sent_headers, allow_redirects=False
                    ) as response:
                        return Sent(delivery, response.status, attempt, await response.read())
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, TimeoutError, OSError):
                arrived = True
        return Sent(delivery, None, ATTEMPTS, arrived=arrived)

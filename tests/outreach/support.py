"""What these tests share: a clock to set, tables of their own, one Outreach stand-in on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from sandbox.outreach.app import create_app
from sandbox.outreach.records import Record
from sandbox.outreach.seed import seed
from sandbox.outreach.store import Store
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from shared.adapters.authorization import FixedToken, Token
from shared.adapters.http import Caller
from shared.adapters.outreach import Outreach
from shared.core.budget import Budget
from tests.product.bench import served

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """The time of day, which only a test moves."""

    moment: datetime = START

    def now(self) -> datetime:
        """The time, aware."""
        return self.moment

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self.moment.timestamp()

    def pass_by(self, **span: float) -> None:
        """Let time pass, in the words of `timedelta`."""
        self.moment += timedelta(**span)


@dataclass
class Naps:
    """A sleep that takes no time; it keeps how long it should have been, and may do something meanwhile."""

    meanwhile: Callable[[], None] = lambda: None
    taken: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.meanwhile()


@asynccontextmanager
async def standing_in() -> AsyncIterator[tuple[Store, str]]:
    """A fresh Outreach stand-in: its insides and its address."""
    store = Store()
    seed(store)
    async with served(create_app(store)) as url:
        yield store, url


@asynccontextmanager
async def client(
    url: str, *, token: Token | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Outreach]:
    """Our client of the Outreach at `url`, or of `transport` under that address."""
    async with httpx.AsyncClient(base_url=url, transport=transport) as http:
        caller = Caller("outreach", http)
        yield Outreach(
            caller, token=token or FixedToken(DEVELOPMENT_TOKEN), url=url, budget=Budget(now=START.timestamp)
        )


def add_event(store: Store, number: int, name: object, *, at: str, payload: Any = None, **relations: int) -> None:
    """One entry of the events API, made after its published schema."""
    attributes = {"name": name, "eventAt": at, "createdAt": at, "payload": payload, "body": None, "externalUrl": None}
    store.put(Record("event", number, attributes, {kind: (kind, target) for kind, target in relations.items()}))


def add_webhook(store: Store, number: int, url: str, **attributes: Any) -> Record:
    """One registered webhook, with a secret that nobody may ever see."""
    values = {
        "url": url,
        "active": True,
        "resource": "*",
        "action": "*",
        "secret": "never-to-be-shown",
        "cleanupToken": "never-to-be-shown-either",
        "payloadVersion": 1,
        "disabledReason": None,
        "disabledSince": None,
        "disabledUntil": None,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
        **attributes,
    }
    record = Record("webhook", number, values)
    store.put(record)
    return record

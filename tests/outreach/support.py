"""One Outreach stand-in on the wire, our client of it, and what may stand in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from sandbox.outreach.app import create_app
from sandbox.outreach.records import Record
from sandbox.outreach.seed import seed
from sandbox.outreach.store import Store
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from shared.http.authorization import Token, fixed_token
from shared.http.client import Caller
from shared.outreach.client import Outreach
from shared.outreach.quota import Budget
from tests.clock import START
from tests.product.bench import served


@asynccontextmanager
async def outreach_stand_in() -> AsyncIterator[tuple[Store, str]]:
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
            caller, token=token or fixed_token(DEVELOPMENT_TOKEN), url=url, budget=Budget(now=START.timestamp)
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

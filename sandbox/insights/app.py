"""The ingestion endpoint on the wire, and what it has taken under `/__sandbox/`.

https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete

| lever | does |
|---|---|
| `GET telemetry?operation=` | what it has taken, or that of one trace |
| `GET counters` | how much of each kind, and how many callers it refused for their token |
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.certificates import Certificates
from sandbox.identity.checking import is_accepted

INSTRUMENTATION_KEY: Final = "5a9d0b5e-0000-4000-8000-00000000a1a1"
AUDIENCE: Final = "https://monitor.azure.com"
KEPT: Final = 20_000
LARGEST_BODY: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class Sink:
    """What it has taken. `key`: callers behind TLS must bring a token that it checks."""

    key: RSAPublicKey | None
    taken: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    kinds: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    async def track(self, request: web.Request) -> web.Response:
        """Take a batch: a JSON list, or one document a line."""
        if request.secure and self.key is not None:
            authorization = request.headers.get("Authorization")
            if not is_accepted(authorization, audience=AUDIENCE, key=self.key):
                self.refused += 1
                return web.json_response({"itemsReceived": 0, "itemsAccepted": 0, "errors": []}, status=401)
        batch = _documents(await request.read())
        for document in batch:
            self.taken.append(document)
            self.kinds[str(document.get("data", {}).get("baseType"))] += 1
        return web.json_response({"itemsReceived": len(batch), "itemsAccepted": len(batch), "errors": []})

    async def live(self, _request: web.Request) -> web.Response:
        """Nobody watches the live metrics."""
        return web.Response(headers={"x-ms-qps-subscribed": "false"})

    async def telemetry(self, request: web.Request) -> web.Response:
        """All, or those of one trace."""
        operation = request.query.get("operation")
        found = [one for one in self.taken if operation in (None, one.get("tags", {}).get("ai.operation.id"))]
        return web.json_response({"telemetry": found})

    async def counters(self, _request: web.Request) -> web.Response:
        """How much it has taken."""
        return web.json_response({"kinds": dict(self.kinds), "refused": self.refused})


def create_app(certificates: Certificates | None = None) -> web.Application:
    """The application; with certificates it asks callers behind TLS for a token."""
    sink = Sink(certificates.private_key().public_key() if certificates else None)
    app = web.Application(client_max_size=LARGEST_BODY)
    # A connection string's endpoint ends with a slash, and Microsoft's exporter for Python puts one more after it.
    app.router.add_post(r"/{slash:/?}{version:v2|v2\.1}/track", sink.track)
    app.router.add_post("/QuickPulseService.svc/{action}", sink.live)
    app.router.add_get("/__sandbox/telemetry", sink.telemetry)
    app.router.add_get("/__sandbox/counters", sink.counters)
    return app


def _documents(body: bytes) -> list[dict[str, Any]]:
    """What a batch holds; aiohttp has undone a compression that the header named, and some senders name none."""
    text = (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines() if line.strip()]

"""The whole app on its host inside the test's own process, where an exporter in memory can see it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import function_app
from functions import sync
from sandbox.dataverse import create_app as dataverse_app
from sandbox.dataverse.seed import seed as seed_dataverse
from sandbox.dataverse.store import Store
from sandbox.host import Host
from sandbox.host.keys import Keys
from sandbox.host.settings import HostJson, HostSettings
from sandbox.outreach.app import create_app as outreach_app
from sandbox.outreach.seed import seed as seed_outreach
from sandbox.outreach.store import Store as OutreachStore
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from shared.pipeline.signature import sign
from shared.runtime import runtime
from tests.patience import PATIENCE
from tests.product.bench import served

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-secret-for-tests-only"
KEYS = Keys(function="function-key-for-tests", admin="admin-key-for-tests")


@dataclass(frozen=True)
class Live:
    """A running app. `crm` is the inside of the Dataverse stand-in."""

    client: httpx.AsyncClient
    crm: Store
    outreach: OutreachStore

    async def deliver(self, body: bytes, **headers: str) -> httpx.Response:
        """Send a signed delivery as Outreach does."""
        signed = {"outreach-webhook-signature": sign(body, SECRET), "x-functions-key": KEYS.function}
        return await self.client.post("/api/outreach/events", content=body, headers=signed | headers)

    async def journal(self, correlation_id: str) -> dict[str, Any]:
        """The journal of an event, as soon as it is carried out and its span and its line are written."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.client.get(f"/api/correlations/{correlation_id}", headers=self.admin)
                if answer.status_code == 200 and not (await self._counts("sync"))["in_flight"]:
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.05)

    async def sweep(self) -> None:
        """Let the timer run once, now, and wait for its end."""
        before = await self._swept()
        answer = await self.client.post("/admin/functions/sweep", headers=self.admin, json={})
        assert answer.status_code == 202
        async with asyncio.timeout(PATIENCE):
            while await self._swept() == before:  # noqa: ASYNC110 - HTTP cannot call back
                await asyncio.sleep(0.05)

    async def _swept(self) -> int:
        counts = await self._counts("sweep")
        return counts["invocations"] - counts["in_flight"]

    async def _counts(self, function: str) -> dict[str, int]:
        report = (await self.client.get("/__sandbox/host")).json()
        counts: dict[str, int] = report["functions"][function]
        return counts

    @property
    def admin(self) -> dict[str, str]:
        """The admin's key."""
        return {"x-functions-key": KEYS.admin}


@asynccontextmanager
async def live(storage: str, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> AsyncIterator[Live]:
    """Run the app as `function_app.py` registers it."""
    crm, outreach = Store(), OutreachStore()
    seed_dataverse(crm)
    seed_outreach(outreach)
    host_json = HostJson.model_validate(json.loads((ROOT / "host.json").read_text(encoding="utf-8")))
    async with served(dataverse_app(crm)) as dataverse_url, served(outreach_app(outreach)) as outreach_url:
        environment = {
            "AzureWebJobsStorage": storage,
            "SYNC_QUEUE_NAME": sync._QUEUE,
            "OUTREACH_WEBHOOK_SECRET": SECRET,
            "OUTREACH_API_URL": outreach_url,
            "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
            "DATAVERSE_URL": dataverse_url,
            **settings,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        runtime.cache_clear()
        host = Host(
            function_app.app,
            HostSettings(
                root=ROOT,
                host_json=host_json,
                keys=KEYS,
                queue_lease=60.0,
                shutdown_grace=5.0,
                body_limit=2_000_000,
                state_folder=None,
            ),
            environ=os.environ,
        )
        for timer in host._timers.values():
            timer.stop()  # a full minute may come in the middle of a test; `sweep` runs it when the test wants it
        try:
            async with host, httpx.AsyncClient(base_url=host.url, timeout=PATIENCE) as client:
                yield Live(client, crm, outreach)
        finally:
            await runtime().aclose()
            runtime.cache_clear()

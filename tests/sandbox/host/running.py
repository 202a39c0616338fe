"""Running a small app on the host, inside the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func
import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from sandbox.host import Host
from sandbox.host.keys import Keys
from sandbox.host.settings import HostJson, HostSettings
from tests.patience import PATIENCE

STEP = 0.02


@dataclass(frozen=True)
class Running:
    """A running host and a client of it."""

    host: Host
    client: httpx.AsyncClient

    async def report(self) -> Any:
        """What the host says of itself to tests."""
        return (await self.client.get("/__sandbox/host")).json()

    async def until(self, condition: Callable[[Any], bool]) -> Any:
        """Ask the host until its report fulfils the condition."""
        async with asyncio.timeout(PATIENCE):
            while not condition(report := await self.report()):  # noqa: ASYNC110 - HTTP cannot call back
                await asyncio.sleep(STEP)
        return report


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what has no event: what the host does on its own."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it has no event, that is the point
            await asyncio.sleep(STEP)


@asynccontextmanager
async def running(
    app: func.FunctionApp,
    *,
    host_json: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    keys: Keys | None = None,
    lease: float = 60.0,
    grace: float = 5.0,
    body_limit: int = 1_000_000,
    traced: bool = False,
    state_folder: Path | None = None,
) -> AsyncIterator[Running]:
    """Run `app` with host.json's content as given."""
    settings = HostSettings(
        root=Path("/nowhere"),
        host_json=HostJson.model_validate(host_json or {}),
        keys=keys or Keys(),
        queue_lease=lease,
        shutdown_grace=grace,
        body_limit=body_limit,
        traced=traced,
        state_folder=state_folder,
    )
    host = Host(app, settings, environ=dict(environ or {}))
    async with host, httpx.AsyncClient(base_url=host.url, timeout=PATIENCE) as client:
        yield Running(host, client)


def queues(**settings: object) -> dict[str, Any]:
    """Make a host.json whose queue triggers look often."""
    return {"extensions": {"queues": {"maxPollingInterval": "00:00:00.2", **settings}}}


def queue_app(handler: Callable[..., Coroutine[Any, Any, Any]], queue: str) -> func.FunctionApp:
    """Make an app of one queue function, called `work`, whose parameter is called `message`."""
    app = func.FunctionApp()
    decorate = app.queue_trigger(arg_name="message", queue_name=queue, connection="AzureWebJobsStorage")
    app.function_name("work")(decorate(handler))
    return app


@contextmanager
def queue_client(connection_string: str, name: str) -> Iterator[QueueClient]:
    """Open a queue as a test looks at it, message texts as they are stored."""
    with QueueClient.from_connection_string(connection_string, name) as client:
        yield client


def count(connection_string: str, name: str) -> int:
    """How many messages a queue holds, invisible ones included; none if there is no such queue."""
    with queue_client(connection_string, name) as client:
        try:
            return client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0

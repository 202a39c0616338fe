"""What both builds run against: Azurite and the two stand-ins, each a process of its own, and their counters."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from bench.naive import MEETING_COLUMN
from bench.wire import Wire
from sandbox.azurite import Azurite, connection_string
from sandbox.environment import machine_environment
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from sandbox.patience import PATIENCE
from sandbox.service import OwnProgram, Service
from shared.outreach import tokens
from shared.settings import SETTINGS
from shared.storage import checkpoints, dead_letters, journal, meetings, overflow, people_cache, sessions, statistics

TABLES = tuple(
    module.TABLE
    for module in (dead_letters, journal, checkpoints, meetings, people_cache, sessions, overflow, statistics, tokens)
)
SECRET = "a-secret-for-the-bench-only"  # noqa: S105 - it protects nothing


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each service was asked since the start: by method and table or queue, or all together."""

    dataverse: int = 0
    outreach: int = 0
    tables: Counter[str] = field(default_factory=Counter)
    queues: Counter[str] = field(default_factory=Counter)

    def __sub__(self, before: Counts) -> Counts:
        return Counts(
            self.dataverse - before.dataverse,
            self.outreach - before.outreach,
            self.tables - before.tables,
            self.queues - before.queues,
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.dataverse + other.dataverse,
            self.outreach + other.outreach,
            self.tables + other.tables,
            self.queues + other.queues,
        )

    @property
    def event_tables(self) -> int:
        """Table operations that events cause. The chart's sums are stored every ten seconds, whatever comes."""
        return sum(many for what, many in self.tables.items() if what.rpartition(" ")[2] != statistics.TABLE)

    @property
    def queue_puts(self) -> int:
        """Messages put into a queue. Taking them out is the trigger's, which here is the bench itself."""
        return sum(many for what, many in self.queues.items() if what.startswith("POST "))


class Laboratory:
    """`with Laboratory() as laboratory:` starts all three; they end with it, or with the process."""

    def __init__(self) -> None:
        self._logs = tempfile.TemporaryDirectory(prefix="bench-")
        logs = Path(self._logs.name)
        self.azurite = Azurite(persistence="memory")
        self.dataverse = Service(OwnProgram("dataverse"), log=logs / "dataverse.log", environment=machine_environment())
        self.outreach = Service(OwnProgram("outreach"), log=logs / "outreach.log", environment=machine_environment())

    def __enter__(self) -> Self:
        try:
            self.azurite.start()
            self.dataverse.start()
            self.outreach.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.outreach.stop()
        self.dataverse.stop()
        self.azurite.__exit__()
        self._logs.cleanup()

    def installation(self, queue: str, *, storage: str = "") -> dict[str, str]:
        """The product's whole environment, with a queue and tables that are there, as after a deployment.

        `storage`: another way to Azurite.
        """
        direct = self.azurite.connection_string
        with QueueServiceClient.from_connection_string(direct) as queues, suppress(ResourceExistsError):
            queues.create_queue(queue)
        with TableServiceClient.from_connection_string(direct) as tables:
            for name in TABLES:
                tables.create_table_if_not_exists(name)
        return {
            **{setting.name: setting.default or "" for setting in SETTINGS},
            "AzureWebJobsStorage": storage or direct,
            "SYNC_QUEUE_NAME": queue,
            "OUTREACH_WEBHOOK_SECRET": SECRET,
            "OUTREACH_API_URL": self.outreach.url,
            "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
            "DATAVERSE_URL": self.dataverse.url,
        }

    async def clean(self, *, latency_ms: float = 0) -> None:
        """An organisation as on the first day, whose services take `latency_ms` for an answer."""
        await _post(self.dataverse.url, "reset", {})
        column = {"name": MEETING_COLUMN, "type": "String", "max_length": 100}
        await _post(self.dataverse.url, "columns", {"columns": [column]})
        await self.slow_down(latency_ms)

    async def slow_down(self, latency_ms: float) -> None:
        """From now on both services take this long for an answer."""
        for url in (self.dataverse.url, self.outreach.url):
            await _post(url, "faults", {"latency_ms": latency_ms})

    async def add_prospects(self, first: int, many: int, *, contact: str) -> None:
        """Prospects that nobody has asked for yet; all of them are `contact` in Dynamics."""
        connection = {"connection": "Dynamics", "type": "Contact", "id": contact}
        prospects = [{"id": first + number, "data_connections": [connection]} for number in range(many)]
        await _post(self.outreach.url, "seed", {"prospects": prospects})

    async def appointments(self) -> list[dict[str, Any]]:
        """Every appointment, as the stand-in keeps it."""
        async with httpx.AsyncClient(base_url=self.dataverse.url, timeout=60) as client:
            answer = await client.get("/__sandbox/state", params={"entity_set": "appointments"})
        rows: list[dict[str, Any]] = answer.raise_for_status().json()["appointments"]
        return rows

    @asynccontextmanager
    async def wired(self) -> AsyncIterator[Wires]:
        """Azurite behind counting proxies."""
        parts = dict(part.split("=", 1) for part in self.azurite.connection_string.strip(";").split(";"))
        blob, queue, table = (parts[f"{name}Endpoint"].rpartition("/")[0] for name in ("Blob", "Queue", "Table"))
        async with AsyncExitStack() as stack:
            queues = await stack.enter_async_context(Wire(queue))
            tables = await stack.enter_async_context(Wire(table))
            storage = connection_string(int(blob.rpartition(":")[2]), queues.port, tables.port)
            yield Wires(storage, queues, tables, self)


@dataclass(frozen=True, slots=True)
class Wires:
    """`storage`: the connection string of Azurite behind the proxies."""

    storage: str
    queues: Wire
    tables: Wire
    laboratory: Laboratory

    async def counts(self) -> Counts:
        """What all services were asked so far."""
        asked = []
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            for service in (self.laboratory.dataverse, self.laboratory.outreach):
                answer = await client.get(f"{service.url}/__sandbox/counters")
                asked.append(int(answer.raise_for_status().json()["total"]))
        return Counts(asked[0], asked[1], Counter(self.tables.counts), Counter(self.queues.counts))


async def _post(url: str, lever: str, body: dict[str, Any]) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        (await client.post(f"{url}/__sandbox/{lever}", json=body)).raise_for_status()

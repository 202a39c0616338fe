"""The storage account: queue and tables reachable, writing allowed, nothing piled up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.storage.queue.aio import QueueClient

from ops.findings import Finding
from shared.admin.unverified import in_words
from shared.errors import RemoteError, SyncError, describe
from shared.http.credentials import azure_credential
from shared.outreach import tokens
from shared.settings import IngestSettings, read_organisation
from shared.storage import (
    checkpoints,
    dead_letters,
    journal,
    meetings,
    overflow,
    people_cache,
    sessions,
    statistics,
    unverified,
)
from shared.storage.account import Queue, Table, queue_service, table_service
from shared.storage.dead_letters import DeadLetters
from shared.storage.organisation import AccountOwner
from shared.storage.overflow import Overflow

AREA = "Storage"
TABLES = tuple(
    module.TABLE
    for module in (
        meetings,
        journal,
        dead_letters,
        overflow,
        people_cache,
        tokens,
        checkpoints,
        statistics,
        sessions,
        unverified,
    )
)
_MANY = 1000
_PROBE = {"PartitionKey": "~doctor", "RowKey": "~doctor"}
_REACH = "Check AzureWebJobsStorage, and that the account's network rules let you in."
_ROLES = "Give the identity Storage Queue Data Contributor and Storage Table Data Contributor on the account."


async def check_storage(settings: IngestSettings, environment: Mapping[str, str]) -> list[Finding]:
    """Read and write what the sync reads and writes; a probe that is written is taken away again."""
    async with AsyncExitStack() as open_:
        credential: AsyncTokenCredential | None = None
        if not settings.storage.connection_string:
            credential = await open_.enter_async_context(azure_credential(settings.storage.client_id, environment))
        queues = await open_.enter_async_context(queue_service(settings.storage, credential))
        tables = await open_.enter_async_context(table_service(settings.storage, credential))
        queue = Queue(queues, settings.queue_name)
        found = [await _ask(f"Queue {settings.queue_name} can be read", queue.depth)]
        if found[0].state == "problem":
            return found
        found.append(await _ask("It takes messages", _probe_queue(queues.get_queue_client(settings.queue_name))))
        for name in TABLES:
            table = Table(tables, name)
            found.append(await _ask(f"Table {name} can be read and written", _probe_table(table)))
        if all(finding.state == "ok" for finding in found):
            found += await _piled_up(
                queue, DeadLetters(Table(tables, dead_letters.TABLE)), Overflow(Table(tables, overflow.TABLE))
            )
            found += await _unverified(Table(tables, unverified.TABLE))
            found += await _owner(Table(tables, checkpoints.TABLE), environment)
        return found


def _probe_table(table: Table) -> Callable[[], Awaitable[object]]:
    async def probe() -> None:
        await table.put(dict(_PROBE))
        await table.delete(_PROBE["PartitionKey"], _PROBE["RowKey"])

    return probe


def _probe_queue(client: QueueClient) -> Callable[[], Awaitable[object]]:
    async def probe() -> None:
        # Nobody sees it, and it ends by itself should we die before it is deleted.
        sent = await client.send_message("probe", visibility_timeout=30, time_to_live=31)
        await client.delete_message(sent)

    return probe


async def _piled_up(queue: Queue, dead_letters: DeadLetters, aside: Overflow) -> list[Finding]:
    waiting, in_overflow = await queue.depth(), await aside.depth(limit=_MANY)
    found = [Finding(AREA, "ok", f"{waiting} messages wait in the queue, {in_overflow} in the overflow table.")]
    dead = await dead_letters.count(limit=_MANY)
    if dead:
        many = str(dead) if dead < _MANY else f"{_MANY} or more"
        found.append(
            Finding(AREA, "warning", f"Dead letters: {many}.", "deadletters list, then deadletters replay or dismiss.")
        )
    return found


async def _unverified(table: Table) -> list[Finding]:
    kept = unverified.UnverifiedTable(table, now=lambda: datetime.now(UTC))
    said = in_words(await kept.totals())
    fix = (
        "Compare OUTREACH_WEBHOOK_SECRET with the secret of the webhook: once it is right they are applied by "
        "themselves. If they are none of yours: unverified --forget."
    )
    return [Finding(AREA, "warning", said, fix)] if said else []


async def _owner(table: Table, environment: Mapping[str, str]) -> list[Finding]:
    ours = read_organisation(environment)
    owner = AccountOwner(table, ours=ours, now=lambda: datetime.now(UTC), clock=time.monotonic)
    return [Finding(AREA, "problem", problem) for problem in await owner.compare()]


async def _ask(what: str, call: Callable[[], Awaitable[object]]) -> Finding:
    try:
        await call()
    except SyncError as error:
        return Finding(
            AREA, "problem", f"{what}: no. {describe(error).sentence}", _ROLES if _is_refusal(error) else _REACH
        )
    except AzureError as error:
        return Finding(AREA, "problem", f"{what}: no ({type(error).__name__}).", _REACH)
    return Finding(AREA, "ok", f"{what}.")


def _is_refusal(error: SyncError) -> bool:
    return isinstance(error, RemoteError) and error.status in {401, 403}

"""Azure Storage behind two small doors, a table and a queue, with the errors of our own tree.

Both doors make what is not there yet: the queue trigger does not create its queue, and a laptop has no tables.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar
from urllib.request import getproxies

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from shared.errors import Permanent, RemoteError, RowConflict, Transient
from shared.settings import StorageSettings
from shared.telemetry import storing
from shared.work import current

# Short, because what fails goes back to the queue with a delay of its own; and ingest must answer within 4 seconds.
_PATIENCE: Mapping[str, Any] = {"retry_total": 1, "connection_timeout": 2, "read_timeout": 5}
_TABLE_PATIENCE: Mapping[str, Any] = {**_PATIENCE, "retry_backoff_factor": 0.2}
# The queue's SDK has a retry policy of its own, which would wait 15 seconds first.
_QUEUE_PATIENCE: Mapping[str, Any] = {
    **_PATIENCE,
    "initial_backoff": 1,
    "increment_base": 1,
    "random_jitter_range": 1,
}

Entity = dict[str, Any]
T = TypeVar("T")
# Under this name a row that was found carries its etag.
ETAG = "~etag"
KEYS = ("PartitionKey", "RowKey")
# Entities of one partition that one request may change.
MAX_AT_ONCE = 100
# The two keys with which the next page begins.
Continuation = dict[str, str | None]


def table_service(settings: StorageSettings, credential: AsyncTokenCredential | None) -> TableServiceClient:
    """A client of the account's tables: by connection string where there is one, else by identity."""
    if settings.connection_string:
        return TableServiceClient.from_connection_string(settings.connection_string, **_TABLE_PATIENCE, **_way_out())
    return TableServiceClient(settings.table_url, credential=credential, **_TABLE_PATIENCE, **_way_out())


def queue_service(settings: StorageSettings, credential: AsyncTokenCredential | None) -> QueueServiceClient:
    """A client of the account's queues: by connection string where there is one, else by identity."""
    if settings.connection_string:
        return QueueServiceClient.from_connection_string(settings.connection_string, **_QUEUE_PATIENCE, **_way_out())
    return QueueServiceClient(settings.queue_url, credential=credential, **_QUEUE_PATIENCE, **_way_out())


def _way_out() -> Mapping[str, Any]:
    """Where no proxy is set, as in Azure, no call looks for one; it would start a thread for that each time."""
    return {"use_env_settings": bool(getproxies())}


class Table:
    """One table. Keys must be safe already (see `shared.meeting.identity.table_key`)."""

    def __init__(self, service: TableServiceClient, name: str) -> None:
        self._client: TableClient = service.get_table_client(name)

    async def get(self, partition: str, row: str) -> tuple[Entity, str] | None:
        """The entity and its etag, or None."""

        async def call() -> tuple[Entity, str] | None:
            try:
                entity = await self._client.get_entity(partition, row)
            except HttpResponseError as error:
                if error.status_code == 404 and _code(error) != "TableNotFound":
                    return None
                raise
            return dict(entity), str(entity.metadata["etag"])

        return await self._sure(call, "GET")

    async def save(self, entity: Entity, *, etag: str | None) -> str:
        """Insert (`etag` None) or replace only what still has `etag`. Returns the new etag; raises `RowConflict`."""
        own = _without_etag(entity)

        async def call() -> str:
            if etag is None:
                return str((await self._client.create_entity(own))["etag"])
            done = await self._client.update_entity(
                own, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
            return str(done["etag"])

        return await self._sure(call, "PUT")

    async def put(self, entity: Entity) -> None:
        """Insert or replace, whatever is there."""
        own = _without_etag(entity)

        async def call() -> None:
            await self._client.upsert_entity(own, mode=UpdateMode.REPLACE)

        await self._sure(call, "PUT")

    async def delete(self, partition: str, row: str) -> None:
        """Remove the entity; nothing happens where there is none."""

        async def call() -> None:
            await self._client.delete_entity(partition, row)

        await self._sure(call, "DELETE")

    async def delete_unchanged(self, entity: Entity) -> bool:
        """Remove an entity that `query` found, unless it was written since. Returns whether it is gone."""

        async def call() -> None:
            await self._client.delete_entity(
                entity["PartitionKey"],
                entity["RowKey"],
                etag=entity[ETAG],
                match_condition=MatchConditions.IfNotModified,
            )

        try:
            await self._sure(call, "DELETE")
        except RowConflict:
            return False
        return True

    async def change_all(self, entities: Sequence[Entity]) -> None:
        """Set some properties of many entities of one partition; of one that is not there, nothing."""
        await self._at_once([("update", entity, {"mode": UpdateMode.MERGE}) for entity in entities], self._change)

    async def delete_all(self, entities: Sequence[Entity]) -> None:
        """Remove many entities of one partition; nothing happens where one is not there."""
        no_options: Entity = {}
        keys = [{key: entity[key] for key in KEYS} for entity in entities]
        await self._at_once(
            [("delete", key, no_options) for key in keys], lambda key: self.delete(key["PartitionKey"], key["RowKey"])
        )

    async def _change(self, entity: Entity) -> None:
        async def call() -> None:
            await self._client.update_entity(entity, mode=UpdateMode.MERGE)

        with suppress(RowConflict):
            await self._sure(call, "PATCH")

    async def _at_once(
        self, operations: Sequence[tuple[str, Entity, Entity]], singly: Callable[[Entity], Awaitable[None]]
    ) -> None:
        """Operations in few requests; where one of a request cannot be done, each of it for itself.

        https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
        """
        for start in range(0, len(operations), MAX_AT_ONCE):
            some = operations[start : start + MAX_AT_ONCE]

            async def call(some: Sequence[Any] = some) -> None:
                await self._client.submit_transaction(some)

            try:
                await self._sure(call, "POST")
            except RowConflict:
                for _, entity, _ in some:
                    await singly(entity)

    async def query(
        self, filter_: str, parameters: Mapping[str, Any], *, limit: int, select: Sequence[str] | None = None
    ) -> list[Entity]:
        """Up to `limit` entities that fit, with the properties in `select` (None: all).

        Values go into `parameters`, never into the text of `filter_`.
        """

        async def call() -> list[Entity]:
            found: list[Entity] = []
            pages: AsyncIterator[Any] = self._client.query_entities(
                filter_,
                parameters=dict(parameters),
                select=list(select) if select else None,
                results_per_page=min(limit, 1000),
            )
            async for entity in pages:
                found.append({**entity, ETAG: str(entity.metadata["etag"])})
                if len(found) >= limit:
                    break
            return found

        return await self._sure(call, "GET")

    async def page(
        self,
        filter_: str,
        parameters: Mapping[str, Any],
        *,
        after: Continuation | None,
        size: int,
        select: Sequence[str] | None = KEYS,
    ) -> tuple[list[Entity], Continuation | None]:
        """Up to `size` entities that fit, found by one request, and where the next page begins.

        `after`: what the call before returned as that. `select`: the properties wanted, None for all. A page may be
        empty although more follow: the service looks through at most 1,000 entities, or for 5 seconds, per request.
        """

        async def call() -> tuple[list[Entity], Continuation | None]:
            start: Any = dict(after) if after else None  # typed as text by the SDK, but it is a dictionary
            pages: Any = self._client.query_entities(
                filter_, parameters=dict(parameters), select=list(select) if select else None, results_per_page=size
            ).by_page(continuation_token=start)
            found = [{**entity, ETAG: str(entity.metadata["etag"])} async for entity in await anext(pages)]
            return found, dict(pages.continuation_token) if pages.continuation_token else None

        return await self._sure(call, "GET")

    async def count(self, filter_: str, parameters: Mapping[str, Any], *, limit: int) -> int:
        """How many entities fit, counted up to `limit`. Only keys travel."""

        async def call() -> int:
            found = 0
            entities: AsyncIterator[Any] = self._client.query_entities(
                filter_, parameters=dict(parameters), select=["RowKey"], results_per_page=min(limit, 1000)
            )
            async for _ in entities:
                found += 1
                if found >= limit:
                    break
            return found

        return await self._sure(call, "GET")

    async def reachable(self) -> None:
        """Raises where the table cannot be read; an empty table is fine."""
        await self.get("~health", "~health")

    async def _sure(self, call: Callable[[], Awaitable[T]], method: str) -> T:
        with _counted(method, self._client.table_name):
            return await _sure(call, create=self._make, missing="TableNotFound")

    async def _make(self) -> None:
        await self._client.create_table()


class Queue:
    """One queue of text messages."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        self._client: QueueClient = service.get_queue_client(name)

    async def send(self, message: str, *, delay: float = 0) -> None:
        """Store `message`, to be seen after `delay` seconds. It never expires: a week's stop must lose nothing."""

        async def call() -> None:
            await self._client.send_message(message, visibility_timeout=round(delay), time_to_live=-1)

        with _counted("POST", self._client.queue_name):
            await _sure(call, create=self._client.create_queue, missing="QueueNotFound")

    async def depth(self) -> int:
        """About how many messages wait."""

        async def call() -> int:
            return int((await self._client.get_queue_properties()).approximate_message_count or 0)

        with _counted("GET", self._client.queue_name):
            return await _sure(call, create=self._client.create_queue, missing="QueueNotFound")

    async def oldest(self) -> datetime | None:
        """Since when the first message waits that may be taken now; None where there is none."""

        async def call() -> datetime | None:
            messages = await self._client.peek_messages(max_messages=1)
            return messages[0].inserted_on if messages else None

        with _counted("GET", self._client.queue_name):
            return await _sure(call, create=self._client.create_queue, missing="QueueNotFound")


def _without_etag(entity: Entity) -> Entity:
    """A row that was found may be written back; the name of its etag is none that Azure would keep."""
    return {name: value for name, value in entity.items() if name != ETAG}


@contextmanager
def _counted(method: str, name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        with storing(method, name):
            yield
    finally:
        current().count("storage", time.monotonic() - started)


async def _sure(call: Callable[[], Awaitable[T]], *, create: Callable[[], Awaitable[Any]], missing: str) -> T:
    """`call`, with what it works on created when it is missing, and errors turned into ours."""
    try:
        try:
            return await call()
        except HttpResponseError as error:
            if _code(error) != missing:
                raise
        try:
            await create()
        except HttpResponseError as error:
            if error.status_code not in {204, 409}:  # somebody else was quicker; of a queue that is no error but 204
                raise
        return await call()
    except HttpResponseError as error:
        raise _translated(error) from error
    except AzureError as error:
        raise Transient("Azure Storage cannot be reached.", service="storage", code=type(error).__name__) from error


def _code(error: HttpResponseError) -> str:
    """The service's own code. Inserting raises errors that the SDK did not decode; then it stands in the body only."""
    code = getattr(error, "error_code", "") or ""
    if code or error.response is None:
        return str(getattr(code, "value", code))
    try:
        return str(json.loads(error.response.text())["odata.error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _translated(error: HttpResponseError) -> RowConflict | RemoteError:
    """Conflicts steer the merge. All else may pass: a missing role or a full account is not the event's fault."""
    code = _code(error)
    if error.status_code == 412 or code in {"EntityAlreadyExists", "UpdateConditionNotSatisfied"}:
        return RowConflict(code)
    if error.status_code == 404:
        return RowConflict(code)  # the row was deleted since it was loaded
    if code in {"RequestBodyTooLarge", "EntityTooLarge", "PropertyValueTooLarge"}:
        return Permanent("More text than one table row can hold (1 MiB).", service="storage", status=413, code=code)
    if error.status_code in {401, 403}:
        reason = "Azure Storage refused the app. Give its identity the Queue and Table Data Contributor roles."
        return Transient(reason, service="storage", status=error.status_code, code=code)
    return Transient("Azure Storage answered with an error.", service="storage", status=error.status_code, code=code)

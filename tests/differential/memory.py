"""Storage and services in memory, so that a history takes milliseconds: queue, tables, and clients without a network.

Tables take the few forms of filter that carrying out events needs, and refuse every other one.
"""

from __future__ import annotations

import heapq
import json as json_
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import httpx
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from sandbox.dataverse.api import answer_call
from sandbox.dataverse.call import Answer, Call, encode
from sandbox.dataverse.store import Store
from sandbox.outreach.records import RESOURCES
from sandbox.outreach.store import Store as OutreachStore
from shared.errors import RowConflict
from shared.storage.account import ETAG, Continuation, Entity, Queue, Table

_TERM = re.compile(r"(\w+) (eq|ne|lt|le|gt|ge) @(\w+)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
}
API = "/api/data/v9.2/"


class MemoryQueue(Queue):
    """Messages with the second from which they may be taken. `seconds`: the time."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._numbers = count()
        self._messages: list[tuple[float, int, str]] = []

    async def send(self, message: str, *, delay: float = 0) -> None:
        """Store `message`, to be taken after `delay` seconds."""
        heapq.heappush(self._messages, (self._seconds() + delay, next(self._numbers), message))

    def take(self) -> str | None:
        """The next message that may be taken now."""
        if self._messages and self._messages[0][0] <= self._seconds():
            return heapq.heappop(self._messages)[2]
        return None

    @property
    def next_at(self) -> float | None:
        """From when on there is something to take; None: the queue is empty."""
        return self._messages[0][0] if self._messages else None


class WholeTable(Table):
    """One table: rows with a version each."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[Entity, int]] = {}
        self._versions = count(1)

    async def get(self, partition: str, row: str) -> tuple[Entity, str] | None:
        """The row and its etag."""
        found = self.rows.get((partition, row))
        return None if found is None else (dict(found[0]), str(found[1]))

    async def save(self, entity: Entity, *, etag: str | None) -> str:
        """Insert, or replace what still has `etag`."""
        found = self.rows.get((entity["PartitionKey"], entity["RowKey"]))
        if (None if found is None else str(found[1])) != etag:
            raise RowConflict
        return self._store(entity)

    async def put(self, entity: Entity) -> None:
        """Insert or replace."""
        self._store(entity)

    async def delete(self, partition: str, row: str) -> None:
        """Remove it, if it is there."""
        self.rows.pop((partition, row), None)

    async def delete_unchanged(self, entity: Entity) -> bool:
        """Remove it, unless it was written since."""
        key = entity["PartitionKey"], entity["RowKey"]
        found = self.rows.get(key)
        if found is None or str(found[1]) != entity[ETAG]:
            return False
        del self.rows[key]
        return True

    async def query(
        self, filter_: str, parameters: Mapping[str, Any], *, limit: int, select: Sequence[str] | None = None
    ) -> list[Entity]:
        """Up to `limit` rows that fit, in the order of their keys, whole whatever `select` says."""
        del select
        keep = _compiled(filter_, parameters)
        rows = [{**entity, ETAG: str(version)} for _, (entity, version) in sorted(self.rows.items()) if keep(entity)]
        return rows[:limit]

    async def page(
        self,
        filter_: str,
        parameters: Mapping[str, Any],
        *,
        after: Continuation | None,
        size: int,
        select: Sequence[str] | None = None,
    ) -> tuple[list[Entity], Continuation | None]:
        """All that fit: there is one page."""
        assert after is None
        rows = await self.query(filter_, parameters, limit=size + 1, select=select)
        assert len(rows) <= size
        return rows, None

    async def count(self, filter_: str, parameters: Mapping[str, Any], *, limit: int) -> int:
        """How many fit."""
        return len(await self.query(filter_, parameters, limit=limit))

    def _store(self, entity: Entity) -> str:
        version = next(self._versions)
        kept = {name: value for name, value in entity.items() if name != ETAG}
        self.rows[entity["PartitionKey"], entity["RowKey"]] = (kept, version)
        return str(version)


def _compiled(filter_: str, parameters: Mapping[str, Any]) -> Callable[[Entity], bool]:
    terms = []
    for text in filter_.split(" and "):
        found = _TERM.fullmatch(text)
        assert found is not None, f"The tables of this room do not know the filter {filter_!r}."
        terms.append((found[1], _COMPARE[found[2]], parameters[found[3]]))
    return lambda entity: all(name in entity and compare(entity[name], value) for name, compare, value in terms)


class Service:
    """A client of `httpx`'s form. `away`: how many more requests fail, and in which way; see `_FAILS`."""

    def __init__(self) -> None:
        self.away: list[str] = []
        self.calls = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
    ) -> httpx.Response:
        """The answer of the service, or trouble."""
        assert data is None
        self.calls += 1
        trouble = self.away.pop(0) if self.away else ""
        if trouble == "not_sent":
            raise httpx.ConnectError("away")
        if trouble.isdigit():
            wait = {"Retry-After": "7"} if trouble in {"429", "503"} else {}
            return httpx.Response(int(trouble), headers=wait, content=b"")
        answer = self.answer(method, path, headers, params or {}, json)
        if trouble == "not_answered":
            raise httpx.ReadTimeout("no answer")
        return answer

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], params: Mapping[str, str], body: Any
    ) -> httpx.Response:
        """What the service does and says."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


class DataverseInMemory(Service):
    """The sandbox's stand-in for Dataverse, called without a network."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], params: Mapping[str, str], body: Any
    ) -> httpx.Response:
        """As `sandbox.dataverse.app` answers, and no fault of its own."""
        assert path.startswith(API)
        sent = CIMultiDict(headers)
        if body is not None:
            sent["Content-Type"] = "application/json"
        call = Call(
            method=method,
            base="https://crm.example.com/api/data/v9.2",
            path=path.removeprefix(API),
            options=MultiDict(params),
            headers=CIMultiDictProxy(sent),
            body=b"" if body is None else json_.dumps(body).encode(),
            store=self._store,
        )
        return _response(answer_call(call))


def _response(answer: Answer) -> httpx.Response:
    content = b"" if answer.body is None else encode(answer.body)
    return httpx.Response(answer.status, headers=list(answer.headers), content=content)


class OutreachInMemory(Service):
    """The records of the sandbox's stand-in for Outreach, one at a time."""

    def __init__(self, store: OutreachStore) -> None:
        super().__init__()
        self._store = store

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], params: Mapping[str, str], body: Any
    ) -> httpx.Response:
        """The record with its data connections."""
        del headers, body
        assert method == "GET"
        assert params == {"provideDataConnections": "true"}
        collection, _, record_id = path.removeprefix("/api/v2/").partition("/")
        record = self._store.records[RESOURCES[collection].type].get(int(record_id))
        if record is None:
            document: dict[str, Any] = {"errors": [{"id": "resourceNotFound", "title": "Resource Not Found"}]}
            return httpx.Response(404, json=document)
        return httpx.Response(200, json={"data": record.resource_object("https://api.example.com", connections="with")})

"""Doors that only read, for whoever must not change anything.

They refuse by construction: there is no path through them to a write, whatever the code behind them tries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeVar

import httpx

from shared.adapters.http import Caller
from shared.adapters.storage import Entity, Table
from shared.core.errors import Permanent, RowConflict

T = TypeVar("T")


class GetOnlyCaller(Caller):
    """A caller whose every request is a GET."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> httpx.Response:
        """As `Caller.send`; raises `Permanent` for any other method."""
        if method != "GET":
            raise _refused(self.service)
        return await super().send(method, path, headers=headers, params=params, json=json)


class ReadOnlyTable(Table):
    """A table that is read, and not even made where it is missing: then it holds nothing."""

    async def get(self, partition: str, row: str) -> tuple[Entity, str] | None:
        """The entity and its etag, or None."""
        try:
            return await super().get(partition, row)
        except _NoTable:
            return None

    async def query(self, filter_: str, parameters: Mapping[str, Any], *, limit: int) -> list[Entity]:
        """Up to `limit` entities that fit."""
        try:
            return await super().query(filter_, parameters, limit=limit)
        except _NoTable:
            return []

    async def save(self, entity: Entity, *, etag: str | None) -> NoReturn:  # noqa: ARG002 - refused whatever is asked
        """Refused."""
        raise _refused("storage")

    async def put(self, entity: Entity) -> NoReturn:  # noqa: ARG002 - refused whatever is asked
        """Refused."""
        raise _refused("storage")

    async def delete(self, partition: str, row: str) -> NoReturn:  # noqa: ARG002 - refused whatever is asked
        """Refused."""
        raise _refused("storage")

    async def _create(self) -> NoReturn:
        raise _NoTable


class _NoTable(RowConflict):
    """The table is missing."""


def _refused(service: str) -> Permanent:
    return Permanent("A preview must not change anything; this is an error in the app.", service=service)


Reading = Callable[[], Awaitable[T]]

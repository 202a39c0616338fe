"""Doors that only read, for whoever must not change anything: a dry run, above all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import httpx

from shared.dataverse.client import Dataverse
from shared.errors import Permanent, SyncError
from shared.meeting.delivery import Reference
from shared.meeting.people import Person
from shared.outreach.client import Outreach
from shared.storage.account import Entity, Table
from shared.storage.people_cache import PeopleCache
from shared.timestamps import Clock


class GetOnlyDataverse(Dataverse):
    """A Dataverse whose every request is a GET, whatever the code above tries."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """As `Dataverse.request`; raises `Permanent` for any other method."""
        if method != "GET":
            raise _refused("dataverse")
        return await super().request(method, path, params=params, body=body, headers=headers)


class RecordingOutreach(Outreach):
    """An Outreach whose every request is a GET, and that keeps the records it gave, so that they can be explained."""

    def __init__(self, outreach: Outreach) -> None:
        """Share the connections, the token and the pauses of `outreach`."""
        vars(self).update(vars(outreach))
        self.records: dict[Reference, Mapping[str, Any] | None] = {}

    async def get(self, resource: str, record_id: str) -> dict[str, Any] | None:
        """As `Outreach.get`."""
        record = await super().get(resource, record_id)
        self.records[Reference(resource, record_id)] = record
        return record

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None
    ) -> httpx.Response | None:
        """As `Outreach.request`; raises `Permanent` for any other method."""
        if method != "GET":
            raise _refused("outreach")
        return await super().request(method, path, params=params, body=body)


class UnmadeTable(Table):
    """A table that is not made where it is missing: it holds nothing then."""

    def __init__(self, table: Table) -> None:
        """The same table as `table`."""
        self._client = table._client  # noqa: SLF001 - another door to what is already open

    async def get(self, partition: str, row: str) -> tuple[Entity, str] | None:
        """The entity and its etag, or None."""
        try:
            return await super().get(partition, row)
        except TableMissing:
            return None

    async def _make(self) -> NoReturn:
        raise TableMissing


class FormerPeople(PeopleCache):
    """Who people were, for those whom Outreach has deleted; everybody else is looked up, and nothing is kept."""

    def __init__(self, table: Table, *, now: Clock) -> None:
        """Over the same table as the sync's."""
        super().__init__(UnmadeTable(table), now=now)

    async def get(self, reference: Reference) -> tuple[Person, float] | None:  # noqa: ARG002 - nobody is known here
        """None."""
        return None

    async def put(self, reference: Reference, person: Person, *, seconds: float) -> None:
        """Nothing."""

    async def forget(self, reference: Reference) -> None:
        """Nothing."""


class TableMissing(SyncError):
    """The table is missing."""


def _refused(service: str) -> Permanent:
    return Permanent("A dry run must not change anything; this is an error in the app.", service=service)

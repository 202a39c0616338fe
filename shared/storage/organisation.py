"""Which organisation a storage account belongs to: one row, noted by the first app that starts (table `sweep`).

Meetings are known by the ids of one Outreach organisation and by the appointments of one Dynamics. A second app on the
same account would take them for its own. It is told so, and touches nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields, replace

from shared.errors import AnothersAccount, RemoteError, RowConflict
from shared.settings import Organisation
from shared.storage.account import Entity, Table
from shared.storage.layout import upgraded
from shared.timestamps import Clock, sortable
from shared.work import Work, begin

LAYOUT = 1
# After a look that said no, or said nothing because storage was away, the next one.
LOOK_AGAIN_SECONDS = 10.0
_ROW = {"PartitionKey": "account", "RowKey": "organisation"}
_SETTINGS = {"outreach": "OUTREACH_ORG_ID", "dataverse": "DATAVERSE_URL"}
_MEND = (
    "Correct the setting, or name an account of this app's own in AzureWebJobsStorage. If it is the same installation "
    "and has moved: python -m ops storage claim."
)


class AccountOwner:
    """Compares the settings of this app with what the account notes. `clock`: monotonic seconds."""

    def __init__(self, table: Table, *, ours: Organisation, now: Clock, clock: Callable[[], float]) -> None:
        self._table = table
        self._ours = ours
        self._now = now
        self._clock = clock
        self._is_ours = ours == Organisation()  # nothing to compare
        self._look: asyncio.Task[tuple[str, ...]] | None = None
        self._looked_at = 0.0

    async def check(self, *, patience: float) -> None:
        """Raise `AnothersAccount` where the account is known to be another organisation's.

        Looks once per process, for `patience` seconds at most. Storage that is away or has no note yet blocks nothing.
        """
        if self._is_ours:
            return
        if self._look is None or (self._look.done() and self._clock() >= self._looked_at + LOOK_AGAIN_SECONDS):
            self._look = asyncio.create_task(self._ask())
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                # Shielded: whoever waits no longer leaves the answer to those who come after.
                problems = await asyncio.shield(self._look)
            if problems:
                raise AnothersAccount(problems)

    def refuse_others(self) -> None:
        """Raise `AnothersAccount` where the last look said so."""
        if (
            self._look is not None
            and self._look.done()
            and not self._look.cancelled()
            and (told := self._look.result())
        ):
            raise AnothersAccount(told)

    async def noted(self) -> Organisation | None:
        """What the account notes; None: nothing yet. Raises `RemoteError`."""
        found = await self._table.get(_ROW["PartitionKey"], _ROW["RowKey"])
        return None if found is None else _read(found[0])

    async def compare(self) -> tuple[str, ...]:
        """What differs, and how to mend it, without noting anything. Raises `RemoteError`."""
        return self._differences(await self.noted() or Organisation())

    async def insist(self) -> None:
        """Raise `AnothersAccount` where something differs, without noting anything. Raises `RemoteError`."""
        if problems := await self.compare():
            raise AnothersAccount(problems)

    async def claim(self) -> Organisation | None:
        """The account is this app's from now on. Returns whose it was."""
        before = await self.noted()
        await self._table.put(self._row(self._ours))
        return before

    async def aclose(self) -> None:
        """Look no longer."""
        if self._look is not None:
            self._look.cancel()

    async def _ask(self) -> tuple[str, ...]:
        begin(Work())  # what it costs is not the cost of an event
        problems: tuple[str, ...] = ()
        # Storage is away, two processes start at once, or somebody has written there what is no note.
        with suppress(RemoteError, RowConflict, ValueError):
            problems = await self._note()
            self._is_ours = not problems
        self._looked_at = self._clock()
        return problems

    async def _note(self) -> tuple[str, ...]:
        """Note what is not noted yet. Returns what differs."""
        found = await self._table.get(_ROW["PartitionKey"], _ROW["RowKey"])
        noted = Organisation() if found is None else _read(found[0])
        if problems := self._differences(noted):
            return problems
        both = replace(noted, **{name: value for name, value in asdict(self._ours).items() if value})
        if both != noted:
            await self._table.save(self._row(both), etag=None if found is None else found[1])
        return ()

    def _differences(self, noted: Organisation) -> tuple[str, ...]:
        """Two values are compared where both are there."""
        ours, theirs = asdict(self._ours), asdict(noted)
        differing = [name for name in _SETTINGS if ours[name] and theirs[name] and ours[name] != theirs[name]]
        told = [f"{_SETTINGS[name]} is {ours[name]}, and the account's is {theirs[name]}." for name in differing]
        return (f"The storage account holds another organisation's data: {' '.join(told)} {_MEND}",) if told else ()

    def _row(self, one: Organisation) -> Entity:
        return {**_ROW, "version": LAYOUT, "noted_at": sortable(self._now()), **asdict(one)}


def _read(row: Entity) -> Organisation:
    known = upgraded(row, ())
    texts = {one.name: known.get(one.name, "") for one in fields(Organisation)}
    return Organisation(**{name: text if isinstance(text, str) else "" for name, text in texts.items()})

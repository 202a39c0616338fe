"""The sums behind the chart: cheap, shared by processes, and lost only in part when one is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.azurite import StorageNames
from shared.errors import Transient
from shared.meeting.outcome import OutcomeKind
from shared.settings import StorageSettings
from shared.storage.account import Table, table_service
from shared.storage.statistics import SLOT, Statistics, Totals, slot_of, total
from tests.patience import PATIENCE

START = datetime(2026, 3, 2, 23, 50, tzinfo=UTC)


class Clock:
    """A time of day that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def table(azurite: str, storage_names: StorageNames) -> AsyncIterator[Table]:
    """A table of its own."""
    async with table_service(StorageSettings(connection_string=azurite), None) as service:
        yield Table(service, storage_names.table("tallies"))


async def test_processes_add_up(table: Table) -> None:
    """Each process writes its own sums, again and again; a reader sees all of them, each event once."""
    clock = Clock()
    one, two = Statistics(table, now=clock), Statistics(table, now=clock)
    one.record(OutcomeKind.CREATED, lag=2.0)
    await one.aclose()
    one.record(OutcomeKind.UPDATED, lag=4.0)
    two.record(OutcomeKind.DUPLICATE, lag=None)
    await one.aclose()
    await two.aclose()
    (found,) = (await one.since(START)).values()
    assert found == Totals({"created": 1, "updated": 1, "duplicate": 1}, 2, 6.0, 4.0)  # type: ignore[arg-type]


async def test_slots_over_midnight(table: Table) -> None:
    """Events of two slots on two days are apart, and what lies before the question is left out."""
    clock = Clock()
    statistics = Statistics(table, now=clock)
    statistics.record(OutcomeKind.CREATED, lag=1.0)
    clock.now = START + timedelta(minutes=20)
    statistics.record(OutcomeKind.UPDATED, lag=3.0)
    await statistics.aclose()
    found = await statistics.since(START)
    assert list(found) == [datetime(2026, 3, 2, 23, 45, tzinfo=UTC), datetime(2026, 3, 3, 0, 0, tzinfo=UTC)]
    assert list(await statistics.since(clock.now)) == [datetime(2026, 3, 3, 0, 0, tzinfo=UTC)]
    assert total(found.values()).outcomes == {"created": 1, "updated": 1}


async def test_many_events_cost_one_write(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst is stored once, some time after its first event and with all of it."""
    stored = asyncio.Event()
    written: list[dict[str, object]] = []

    async def put(entity: dict[str, object]) -> None:
        written.append(entity)
        stored.set()

    monkeypatch.setattr(table, "put", put)
    statistics = Statistics(table, now=Clock(), store_after=0.01)
    for _ in range(100):
        statistics.record(OutcomeKind.UPDATED, lag=1.0)
    async with asyncio.timeout(PATIENCE):
        await stored.wait()
    assert [row["lags"] for row in written] == [100]


async def test_storage_away_costs_nothing_else(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums that cannot be stored stay in memory and go with the next."""
    statistics = Statistics(table, now=Clock())
    statistics.record(OutcomeKind.UPDATED, lag=1.0)
    with monkeypatch.context() as broken:

        async def away(_: object) -> None:
            raise Transient("Azure Storage cannot be reached.", service="storage")

        broken.setattr(table, "put", away)
        await statistics.aclose()
    statistics.record(OutcomeKind.UPDATED, lag=1.0)
    await statistics.aclose()
    assert total((await statistics.since(START)).values()).lags == 2


@pytest.mark.parametrize("minutes", [0, 1, 14, 15, 16, 1439])
def test_a_slot_holds_its_moment(minutes: int) -> None:
    """Every moment lies in exactly one slot, which starts at a full quarter of an hour."""
    moment = START + timedelta(minutes=minutes, seconds=59)
    slot = slot_of(moment)
    assert slot <= moment < slot + SLOT
    assert slot.minute % 15 == slot.second == slot.microsecond == 0

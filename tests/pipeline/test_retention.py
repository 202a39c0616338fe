"""Rows that were kept long enough go, a piece per run, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sandbox.outreach.deliveries import DEFAULT_START, MeetingScript
from shared.pipeline import retention
from shared.pipeline.retention import Kept, Retention
from shared.storage import journal, people_cache, statistics
from shared.storage.account import Table
from shared.storage.checkpoints import Checkpoints
from shared.timestamps import sortable
from tests.clock import Clock
from tests.product.bench import Installation

Tables = Callable[[str], Table]


async def fill(table: Table, clock: Clock, *, rows: int, days: float) -> None:
    """`rows` rows that are `days` old, each in a partition of its own."""
    at = sortable(clock.now() - timedelta(days=days))
    for number in range(rows):
        await table.put({"PartitionKey": f"{days}-{number:03}", "RowKey": "row", "finished_at": at})


async def left(table: Table) -> int:
    return len(await table.query("PartitionKey ne @none", {"none": ""}, limit=1000))


def made(tables: Tables, clock: Clock) -> Retention:
    kept = Kept("journal", tables("journal"), "finished_at", timedelta(days=90))
    return Retention((kept,), checkpoints=Checkpoints(tables("sweep")), now=clock.now)


async def test_old_rows_go(tables: Tables, clock: Clock) -> None:
    """Rows older than the limit are deleted and younger ones stay."""
    await fill(tables("journal"), clock, rows=5, days=90.5)
    await fill(tables("journal"), clock, rows=4, days=89.5)
    assert await made(tables, clock).run() == {"journal": 5}
    assert await left(tables("journal")) == 4


async def test_a_bounded_piece_per_run(tables: Tables, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks through a few pages, and the next one goes on where it stopped, in another process too."""
    monkeypatch.setattr(retention, "PAGE_SIZE", 3)
    monkeypatch.setattr(retention, "MAX_PAGES", 2)
    await fill(tables("journal"), clock, rows=14, days=100)
    deleted = [(await made(tables, clock).run())["journal"] for _ in range(4)]
    assert deleted == [6, 6, 2, 0]
    assert await left(tables("journal")) == 0


async def test_one_pass_a_day(tables: Tables, clock: Clock) -> None:
    """After the end of the table the part rests for a day."""
    worker = made(tables, clock)
    await worker.run()
    await fill(tables("journal"), clock, rows=2, days=100)
    clock.pass_by(hours=23)
    assert await worker.run() == {"journal": 0}
    clock.pass_by(hours=2)
    assert await worker.run() == {"journal": 2}


async def test_table_that_is_not_there(tables: Tables, clock: Clock) -> None:
    """Before the first event there is nothing to forget."""
    assert await made(tables, clock).run() == {"journal": 0}


@pytest.mark.parametrize("name", [journal.TABLE, statistics.TABLE, people_cache.TABLE])
async def test_nothing_grows_for_ever(product: Installation, name: str) -> None:
    """Whatever gets a row with every event or person loses it again: journal, sums of the chart, people."""
    await product.sync(MeetingScript(1).booked())
    await product.restart()  # a process that ends stores its sums
    rows = product.runtime._table(name)
    before = await left(rows)
    product.runtime.later = timedelta(days=89)
    await product.runtime.sweep.run()
    assert await left(rows) == before > 0
    product.runtime.later = timedelta(days=93)
    await product.runtime.sweep.run()
    assert await left(rows) == 0


async def test_dead_letters_stay(product: Installation) -> None:
    """A dead letter waits for a person, however long that takes, and can then be sent again."""
    script = MeetingScript(1)
    await product.sync(script.booked(start=DEFAULT_START, end=DEFAULT_START - timedelta(hours=1)))
    product.runtime.later = timedelta(days=400)
    assert not (await product.runtime.sweep.run()).failed
    assert len(await product.runtime.dead_letters.newest(limit=10)) == 1
    assert len(await product.runtime.admin.replay(correlation_ids=None, by="_master")) == 1


async def test_journal_of_the_product(product: Installation) -> None:
    """With SYNC_RETENTION_DAYS=30 an event's journal is there for 30 days, and its meeting for ever."""
    await product.restart(SYNC_RETENTION_DAYS="30")
    (receipt,) = await product.send(MeetingScript(1).booked())
    await product.work()
    for days, there in ((29, True), (31, False)):
        product.runtime.later = timedelta(days=days)
        await product.runtime.sweep.run()
        found = await product.correlation(receipt.correlation_id)
        assert (found is not None) is there
    assert await product.meeting("1") is not None

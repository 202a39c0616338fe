"""What the sweep remembers: checkpoints, a lease that one has at a time, and meetings to look at again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.meeting.identity import MeetingKey
from shared.storage.account import Table
from shared.storage.checkpoints import Checkpoints, FollowUps, Lease
from tests.clock import Clock

Tables = Callable[[str], Table]


async def test_a_checkpoint_is_the_last_that_was_put(tables: Tables) -> None:
    """Under its name alone, whatever stands in that; before the first there is an empty one."""
    checkpoints = Checkpoints(tables("sweep"))
    assert await checkpoints.get("part/one") == {}
    await checkpoints.put("part/one", {"after": {"PartitionKey": "a"}})
    await checkpoints.put("part/one", {"rest": "until"})
    await checkpoints.put("part?two", {})
    assert await checkpoints.get("part/one") == {"rest": "until"}


async def test_lease_on_a_table_that_is_missing(tables: Tables, clock: Clock) -> None:
    """Of several who want a lease at once, on a table that nobody made yet, exactly one gets it."""
    leases = [Lease(tables("leases"), name="x", now=clock.now) for _ in range(5)]
    assert sorted(await asyncio.gather(*(lease.take(seconds=60) for lease in leases))) == [False] * 4 + [True]


async def test_lease_is_given_back_by_its_owner_only(tables: Tables, clock: Clock) -> None:
    """Who lost a lease by being slow does not take it from whoever has it now."""
    slow, quick, third = (Lease(tables("leases"), name="x", now=clock.now) for _ in range(3))
    assert await slow.take(seconds=60)
    clock.pass_by(seconds=61)
    assert await quick.take(seconds=60)
    await slow.release()
    assert not await third.take(seconds=60)
    await quick.release()
    assert await third.take(seconds=60)


async def test_looks_again_three_times(tables: Tables, clock: Clock) -> None:
    """After 15 minutes, an hour and a day, and then no more."""
    again, key = FollowUps(tables("sweep"), now=clock.now), MeetingKey("meeting", "5")
    await again.plan(key)
    seen = []
    for minutes in range(0, 25 * 60, 5):
        for row in await again.due(limit=10):
            seen.append(minutes)
            await again.done(row)
        clock.pass_by(minutes=5)
    assert seen == [15, 60, 24 * 60]

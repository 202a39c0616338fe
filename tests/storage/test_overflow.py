"""The second place for an event: kept whole, pointed at from the queue, and gone when it is done."""

from __future__ import annotations

from collections.abc import Callable

from shared.storage.account import Table
from shared.storage.envelope import Envelope, fits_queue
from shared.storage.overflow import Overflow

Tables = Callable[[str], Table]
EARLY, LATE = "2026-03-02T12:00:00.000000Z", "2026-03-02T13:00:00.000000Z"


def event(number: int, *, at: str = EARLY, size: int = 1) -> Envelope:
    """An event whose body is so long."""
    return Envelope(correlation_id=f"{number:032x}", received_at=at, body={"data": "x" * size})


async def test_an_event_comes_back_whole_along_its_pointer(tables: Tables) -> None:
    """However large it is, its pointer fits the queue; forgotten, it is gone."""
    overflow = Overflow(tables("spill"))
    kept = event(1, size=500_000)
    pointer = await overflow.keep(kept)
    assert fits_queue(pointer.to_message())
    assert not fits_queue(kept.to_message())
    assert await overflow.load(pointer.spill_key) == kept
    await overflow.forget(pointer.spill_key)
    await overflow.mark_pointed(pointer.spill_key, at=EARLY)  # the worker was quicker
    assert (await overflow.load(pointer.spill_key), await overflow.depth(limit=10)) == (None, 0)


async def test_what_no_pointer_leads_to_is_found(tables: Tables) -> None:
    """One that was never pointed at, or so long ago that its pointer must be lost; not one that just came."""
    overflow = Overflow(tables("spill"))
    never, pointed, fresh = [await overflow.keep(event(n, at=at)) for n, at in ((1, EARLY), (2, EARLY), (3, LATE))]
    await overflow.mark_pointed(pointed.spill_key, at=LATE)

    async def found(pointed_before: str, limit: int = 10) -> list[str]:
        rows = await overflow.without_pointer(fresh_before=LATE, pointed_before=pointed_before, limit=limit)
        return [one.spill_key for one in rows]

    assert await found(LATE) == [never.spill_key]
    assert await found("2026-03-02T14") == [never.spill_key, pointed.spill_key]
    assert await found("2026-03-02T14", limit=1) == [never.spill_key]
    assert await overflow.depth(limit=10) == 3
    assert fresh.correlation_id == f"{3:032x}"

"""Bounds that hold across processes: never too many rows, whoever adds them, dies, or counts at which moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.storage.room import LOT_BYTES, LOT_ENDS, LOT_ROWS, Room, Size
from tests.clock import Clock
from tests.storage.memory import MemoryTable

MIB = 1024 * 1024


@dataclass
class Place:
    """One table that some processes fill, and what is really in it."""

    most: Size
    clock: Clock = field(default_factory=Clock)
    table: MemoryTable = field(default_factory=MemoryTable)
    there: Size = field(default_factory=Size)

    def process(self) -> Room:
        """One more."""
        return Room(self.table, most=self.most, now=self.clock.now)

    async def add(self, room: Room, size: int = 1000) -> bool:
        """Add a row, where there is room."""
        if await room.take(size) is None:
            return False
        self.there += Size(1, size)
        assert self.most.holds(self.there)
        return True

    async def count(self) -> None:
        """The timer looks through the table."""
        await self.process().counted(self.there, since=self.clock.now(), note={})

    def forget(self, rows: int, size: int = 1000) -> None:
        """Rows go."""
        self.there -= Size(rows, rows * size)


async def test_one_process_fills_all_of_it() -> None:
    """Without a count in between not a row is missing."""
    place = Place(Size(1000, 100 * MIB))
    room = place.process()
    assert [await place.add(room) for _ in range(1002)] == [True] * 1000 + [False] * 2


async def test_processes_side_by_side_fill_nearly_all_of_it() -> None:
    """What one is granted and leaves is missing until its grant has ended and somebody has counted."""
    place = Place(Size(1000, 100 * MIB))
    rooms = [place.process() for _ in range(4)]
    added = [await asyncio.gather(*(place.add(room) for room in rooms)) for _ in range(260)]
    assert sum(map(sum, added)) == 1000
    place = Place(Size(1000, 100 * MIB))
    idle, busy = place.process(), place.process()
    await place.add(idle)
    while await place.add(busy):
        pass
    assert place.there.rows == 1000 - LOT_ROWS + 1
    place.clock.pass_by(seconds=LOT_ENDS.total_seconds() + 1)
    await place.count()
    while await place.add(busy):
        pass
    assert place.there.rows == 1000


async def test_a_row_costs_no_more_than_itself() -> None:
    """A look and a note for hundreds of rows; nothing where it is known that there is no room."""
    place = Place(Size(LOT_ROWS * 2, 100 * MIB))
    room = place.process()
    for _ in range(LOT_ROWS):
        await place.add(room)
    assert (place.table.reads, place.table.writes) == (1, 1)
    while await place.add(room):
        pass
    reads = place.table.reads
    assert [await place.add(room) for _ in range(100)] == [False] * 100
    assert place.table.reads == reads


@pytest.mark.parametrize("size", [1, 1000, MIB])
async def test_bytes_are_bounded_as_rows_are(size: int) -> None:
    """Whichever comes first."""
    place = Place(Size(10_000, 10 * MIB))
    room, added = place.process(), 0
    while added < 12_000 and await place.add(room, size):
        added += 1
    assert added == min(10_000, 10 * MIB // size)


async def test_a_small_row_goes_in_where_a_large_one_does_not() -> None:
    """That there is no room for one is not said of all."""
    place = Place(Size(100, 2 * MIB))
    room = place.process()
    assert [await place.add(room, MIB + 1), await place.add(room, MIB), await place.add(room, 1000)] == [
        True,
        False,
        True,
    ]


async def test_room_that_was_given_back_is_there_again() -> None:
    """A row that was there already took none."""
    place = Place(Size(2, MIB))
    room = place.process()
    for _ in range(10):
        lot = await room.take(1000)
        assert lot is not None
        room.give_back(lot, 1000)
    assert [await place.add(room) for _ in range(3)] == [True, True, False]


async def test_what_was_forgotten_makes_room_once_it_was_counted() -> None:
    """Within seconds of the count."""
    place = Place(Size(1000, 100 * MIB))
    room = place.process()
    while await place.add(room):
        pass
    place.clock.pass_by(minutes=6)
    place.forget(600)
    await place.count()
    place.clock.pass_by(seconds=11)
    added = 0
    while await place.add(room):
        added += 1
    assert added == 600


async def test_what_was_counted_is_not_counted_twice_for_long(clock: Clock) -> None:
    """However fast a process adds: what it is done with counts once, as soon as the timer has seen it."""
    place = Place(Size(100_000, 1000 * MIB), clock)
    room = place.process()
    for _ in range(20):
        for _ in range(LOT_ROWS):
            await place.add(room)
    clock.pass_by(seconds=20)
    await place.count()
    taken = (await room.account()).taken.rows
    assert place.there.rows <= taken <= place.there.rows + 2 * LOT_ROWS


async def test_a_timer_that_never_counts_lets_nothing_grow() -> None:
    """Grants of long ago are added up, so the one row stays small, and the bound holds."""
    place = Place(Size(1_000_000, 10_000 * MIB))
    for _ in range(500):
        room = place.process()
        assert await place.add(room)
        place.clock.pass_by(minutes=5)
    (entity, _), *_ = place.table.rows.values()
    assert len(entity["account"]) < 3000


steps = st.lists(
    st.tuples(
        st.sampled_from(["add"] * 6 + ["crash", "count", "slow count", "forget", "pass"]),
        st.integers(0, 2),
        st.integers(1, 300),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps)
def test_there_are_never_too_many(steps: list[tuple[str, int, int]]) -> None:
    """Three processes add, die and come back; the timer counts, also slowly; rows go; time passes."""

    async def main() -> None:
        place = Place(Size(700, 2 * MIB))
        rooms = [place.process() for _ in range(3)]
        looking: tuple[Size, Clock] | None = None
        for what, who, many in steps:
            match what:
                case "add":
                    await asyncio.gather(*(place.add(rooms[(who + n) % 3], 10 * many) for n in range(many)))
                case "crash":
                    rooms[who] = place.process()
                case "count":
                    await place.count()
                case "slow count" if looking is None:
                    looking = place.there, Clock(place.clock.moment)
                case "slow count" if looking is not None:
                    # It may have missed what came after it began, and found what went.
                    await place.process().counted(looking[0], since=looking[1].now(), note={})
                    looking = None
                case "forget" if place.there.rows >= many:
                    average = place.there.bytes // max(1, place.there.rows)
                    place.there -= Size(many, many * average)
                case _:
                    place.clock.pass_by(seconds=float(many))
                    if looking is not None and place.clock.now() - looking[1].now() > timedelta(seconds=60):
                        looking = None  # a count is given up before

    asyncio.run(main())
    assert LOT_BYTES > 2 * MIB

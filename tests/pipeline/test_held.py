"""Calls that wait for storage: none is lost, none is answered too early, and never more than the bounds say.

Time is virtual: two minutes pass at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import NotStored, Transient
from shared.pipeline.held import BOUNDS, Bounds, Held
from tests.virtual_time import virtually

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
# As `Outbox.put` hangs where storage does.
HANGS = 3.6
# A call that ends a moment after its time is in time: these are floats.
MOMENT = 1e-6

Store = Callable[[], Awaitable[str]]


@dataclass
class Storage:
    """Storage that is away for the first `away` seconds: it hangs, or refuses. It remembers who asked when."""

    away: float
    hangs: float = 0.0
    takes: float = 0.0
    tries: list[tuple[float, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    def store(self, name: str) -> Store:
        """What stores the delivery `name`."""

        async def store() -> str:
            self.tries.append((seconds(), name))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                if seconds() < self.away:
                    await asyncio.sleep(self.hangs)
                    raise Transient("away", service="storage")
                await asyncio.sleep(self.takes)
            finally:
                self.under_way -= 1
            return f"stored {name}"

        return store


def seconds() -> float:
    """Since the test began."""
    return asyncio.get_running_loop().time()


def made(bounds: Bounds = BOUNDS) -> Held[str]:
    return Held(now=lambda: START + timedelta(seconds=seconds()), bounds=bounds)


async def ending(call: Coroutine[Any, Any, str]) -> tuple[str, float]:
    """What a call returned, or why it was not stored, and when."""
    try:
        said = await call
    except NotStored as error:
        said = error.reason
    return said, seconds()


def hold(
    held: Held[str], storage: Storage, name: str, *, size: int = 1000, waited: float = 0.0
) -> Coroutine[Any, Any, str]:
    return held.hold(name, place="here", size=size, seconds=waited, store=storage.store(name))


def names(many: int) -> list[str]:
    return [f"{number}" for number in range(many)]


@pytest.mark.parametrize("hangs", [0.0, HANGS])
@pytest.mark.parametrize("away", [0.0, 0.4, 4.4, 10.4, 56.4])
def test_every_held_delivery_is_stored_once_storage_is_back(away: float, hangs: float) -> None:
    """Within a second, or the one try that was hanging; the others follow at once."""
    storage = Storage(away, hangs)

    async def main() -> list[tuple[str, float]]:
        held = made()
        return await asyncio.gather(*(ending(hold(held, storage, name)) for name in names(BOUNDS.calls)))

    ends = virtually(main())
    assert [said for said, _ in ends] == [f"stored {name}" for name in names(BOUNDS.calls)]
    assert max(at for _, at in ends) <= away + max(BOUNDS.pause, hangs) + MOMENT


@pytest.mark.parametrize("hangs", [0.0, HANGS])
def test_one_try_a_second_is_for_all(hangs: float) -> None:
    """Storage that is away, or throttles, meets one call a second, however many are held; each gets its turn."""
    storage = Storage(60, hangs)

    async def main() -> None:
        held = made()
        await asyncio.gather(*(hold(held, storage, name) for name in names(10)))

    virtually(main())
    failed = [(at, name) for at, name in storage.tries if at < storage.away]
    apart = [later - earlier for (earlier, _), (later, _) in pairwise(failed)]
    assert min(apart) >= BOUNDS.pause - MOMENT
    assert max(apart) <= max(BOUNDS.pause, hangs) + MOMENT
    assert [name for _, name in failed[:10]] == names(10)


def test_when_storage_is_back_eight_store_at_a_time() -> None:
    """So that what has just come back is not knocked over."""
    storage = Storage(4.5, takes=0.2)

    async def main() -> float:
        held = made()
        await asyncio.gather(*(hold(held, storage, name) for name in names(BOUNDS.calls)))
        return seconds()

    took = virtually(main())
    assert storage.most_under_way == BOUNDS.at_once
    assert took < storage.away + BOUNDS.pause + storage.takes * (1 + BOUNDS.calls / BOUNDS.at_once) + 0.1


def test_storage_that_goes_away_again_is_left_alone_again() -> None:
    """Those at the gate go back to one try a second, and none is lost."""
    tries: list[float] = []

    async def store() -> str:
        """It takes ten, then nothing for ten seconds."""
        tries.append(seconds())
        await asyncio.sleep(0.1)
        if len(tries) > 10 and seconds() < 20:
            raise Transient("away", service="storage")
        return "stored"

    async def main() -> list[str]:
        held = made()
        return await asyncio.gather(
            *(held.hold(name, place="here", size=1, seconds=0, store=store) for name in names(40))
        )

    assert virtually(main()) == ["stored"] * 40
    assert len([at for at in tries if 2 < at < 20]) <= 20 + BOUNDS.at_once


@pytest.mark.parametrize(
    ("bounds", "fit"),
    [
        (Bounds(calls=3), 3),
        (Bounds(bytes=2500), 2),
        (BOUNDS, 50),
        (Bounds(bytes=3000), 3),
    ],
)
def test_beyond_the_bounds_the_answer_comes_at_once(bounds: Bounds, fit: int) -> None:
    """As many are held as fit; when those are stored there is room again."""
    storage = Storage(30)

    async def main() -> tuple[list[tuple[str, float]], str]:
        held = made(bounds)
        ends = await asyncio.gather(*(ending(hold(held, storage, name, size=1000)) for name in names(100)))
        return ends, await hold(held, storage, "later")

    ends, later = virtually(main())
    assert [said for said, _ in ends[:fit]] == [f"stored {name}" for name in names(fit)]
    assert ends[fit:] == [("bounds", 0.0)] * (100 - fit)
    assert later == "stored later"


def test_who_asks_first_need_not_try_in_vain() -> None:
    """While all room is taken by those that wait for the same; not for a copy, nor for what is stored elsewhere."""
    storage = Storage(30)

    async def main() -> list[bool]:
        held = made(Bounds(calls=2))
        said = []
        for name in ("1", "2"):
            said.append(held.is_beyond(name, place="here", size=1))
            asyncio.get_running_loop().create_task(hold(held, storage, name))
            await asyncio.sleep(0)
        said += [held.is_beyond(name, place=place, size=1) for name in ("2", "3") for place in ("here", "elsewhere")]
        await asyncio.sleep(31)
        return [*said, held.is_beyond("3", place="here", size=1)]

    assert virtually(main()) == [False, False, False, False, True, False, False]


def test_nobody_waits_longer_than_a_call_may_last() -> None:
    """The time counts from the arrival, so what a call has waited before it was held counts too."""
    storage = Storage(1000, HANGS)

    async def main() -> list[tuple[str, float]]:
        held = made()
        calls = (hold(held, storage, "1"), hold(held, storage, "2", waited=3.6), _later(held))
        return await asyncio.gather(*map(ending, calls))

    async def _later(held: Held[str]) -> str:
        await asyncio.sleep(50)
        return await hold(held, storage, "3")

    assert virtually(main()) == [("waited", 120.0), ("waited", pytest.approx(116.4)), ("waited", 170.0)]


def test_a_copy_waits_for_the_first_and_keeps_nothing() -> None:
    """It is told what came of the first one, takes no room, and never tries itself."""
    storage = Storage(4)
    copies = 200

    async def main() -> list[str]:
        held = made(Bounds(calls=1, bytes=1000))
        first = asyncio.create_task(hold(held, storage, "1"))
        await asyncio.sleep(0)
        assert "1" in held
        followed = [held.follow("1") for _ in range(copies // 2)]
        again = [hold(held, storage, "1") for _ in range(copies // 2)]
        return await asyncio.gather(first, *followed, *again)

    assert virtually(main()) == ["stored 1"] * (1 + copies)
    assert storage.tries == [(float(at), "1") for at in (1, 2, 3, 4)]


def test_a_copy_waits_as_long_as_its_sender() -> None:
    """After six seconds nobody is there to be answered; the first one waits on."""
    storage = Storage(60)

    async def main() -> list[tuple[str, float]]:
        held = made()
        first = asyncio.create_task(ending(hold(held, storage, "1")))
        ends = []
        for _ in range(3):
            await asyncio.sleep(1)
            ends.append(await ending(held.follow("1")))
        return [*ends, await first]

    assert virtually(main()) == [("copy", 7.0), ("copy", 14.0), ("copy", 21.0), ("stored 1", 60.0)]


def test_a_copy_learns_that_the_first_has_given_up() -> None:
    """It has nothing to wait for then."""

    async def main() -> list[tuple[str, float]]:
        held = made(Bounds(seconds=3))
        first = asyncio.create_task(ending(hold(held, Storage(60), "1")))
        await asyncio.sleep(0)
        return [await first, await ending(held.follow("1"))] if "1" not in held else [await _both(held, first)]

    async def _both(held: Held[str], first: Any) -> tuple[str, float]:
        copy, _ = await asyncio.gather(ending(held.follow("1")), first)
        return copy

    assert virtually(main()) == [("copy", 3.0)]


def test_one_that_never_can_be_stored_keeps_no_other() -> None:
    """The turn goes round, so what storage refuses for its own sake is one of many."""
    storage, never = Storage(0), Storage(1000)

    async def main() -> list[tuple[str, float]]:
        held = made()
        bad = [ending(hold(held, never, f"bad {name}")) for name in names(3)]
        good = [ending(hold(held, storage, name)) for name in names(20)]
        return (await asyncio.gather(*bad, *good))[3:]

    ends = virtually(main())
    assert [said for said, _ in ends] == [f"stored {name}" for name in names(20)]
    assert max(at for _, at in ends) <= 5


def test_what_is_wrong_with_one_delivery_ends_its_own_call_only() -> None:
    """Another error than that storage is away is raised where it belongs."""

    async def broken() -> str:
        raise ZeroDivisionError

    async def main() -> list[str | BaseException]:
        held, storage = made(), Storage(3)
        calls = [held.hold("broken", place="here", size=1, seconds=0, store=broken), hold(held, storage, "1")]
        return await asyncio.gather(*calls, return_exceptions=True)

    error, stored = virtually(main())
    assert isinstance(error, ZeroDivisionError)
    assert stored == "stored 1"


@pytest.mark.parametrize("when", [0.0, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("who", [0, 1, 4])
def test_a_call_that_is_cancelled_ends_without_an_answer_and_stops_nobody(when: float, who: int) -> None:
    """Whether it has its turn, waits for it, or is about to get it: somebody else goes on, and its room is free."""
    storage = Storage(10, hangs=0.7)

    async def main() -> list[str | BaseException]:
        held = made(Bounds(calls=5))
        calls = [asyncio.create_task(hold(held, storage, name)) for name in names(5)]
        await asyncio.sleep(when)
        calls[who].cancel()
        await asyncio.sleep(0)
        calls.append(asyncio.create_task(hold(held, storage, "instead")))
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = virtually(main())
    assert isinstance(ends[who], asyncio.CancelledError)
    assert [end for end in ends if isinstance(end, str)] == [
        f"stored {n}" for n in [*names(5), "instead"] if n != str(who)
    ]


def test_what_is_held_is_told_at_once_and_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    """Count, bytes, and since when the first of them waits, about every ten seconds, and again at the next outage."""
    caplog.set_level(logging.INFO)
    storage = Storage(35, HANGS)

    async def main() -> None:
        held = made()
        await asyncio.gather(*(hold(held, storage, name, size=100) for name in names(3)))
        storage.away = 100
        await hold(held, storage, "another")

    virtually(main())
    lines = [json.loads(record.message) for record in caplog.records]
    assert {one["what"] for one in lines} == {"holding"}
    assert lines[0] == {"what": "holding", "count": 1, "bytes": 100, "since": "2026-03-01T12:00:00.000000Z"}
    first = [one for one in lines if one["since"] == lines[0]["since"]]
    assert len(first) == 4
    assert {(one["count"], one["bytes"]) for one in first[1:]} == {(3, 300)}
    assert lines[4] == {"what": "holding", "count": 1, "bytes": 1000, "since": "2026-03-01T12:00:37.000000Z"}


deliveries = st.lists(
    st.tuples(
        st.floats(0, 150),  # when it arrives
        st.integers(0, 12),  # which one; the same twice is a copy
        st.integers(1, 600),  # bytes
        st.none() | st.floats(0, 130),  # cancelled so long after
    ),
    max_size=40,
)
outages = st.lists(st.tuples(st.floats(0, 160), st.floats(0.1, 140)), max_size=4)


@dataclass
class Ordeal:
    """Calls that come and go while storage does, and what must be so all along."""

    bounds: Bounds
    away: list[tuple[float, float]]
    hangs: float
    takes: float
    stored: set[str] = field(default_factory=set)
    inside: dict[str, int] = field(default_factory=dict)

    def store(self, name: str) -> Store:
        """What stores the delivery `name`."""

        async def store() -> str:
            assert len(self.inside) <= self.bounds.calls
            assert sum(self.inside.values()) <= self.bounds.bytes
            if any(start <= seconds() < start + length for start, length in self.away):
                await asyncio.sleep(self.hangs)
                raise Transient("away", service="storage")
            await asyncio.sleep(self.takes)
            self.stored.add(name)
            return name

        return store

    async def call(self, held: Held[str], name: str, size: int) -> str:
        """What ingest does with one delivery."""
        if name in held:
            return await held.follow(name)
        self.inside[name] = size
        try:
            return await held.hold(name, place="here", size=size, seconds=0, store=self.store(name))
        except NotStored as error:
            full = len(self.inside) > self.bounds.calls or sum(self.inside.values()) > self.bounds.bytes
            assert full or error.reason != "bounds"
            raise
        finally:
            del self.inside[name]

    async def one(self, held: Held[str], at: float, number: int, size: int, cancelled: float | None) -> None:
        """A delivery from its arrival to its end."""
        await asyncio.sleep(at)
        task = asyncio.create_task(self.call(held, f"{number}", size))
        done, _ = await asyncio.wait({task}, timeout=cancelled)
        if not done:
            task.cancel()
        try:
            assert await task in self.stored
        except NotStored as error:
            assert error.reason in {"bounds", "waited", "copy"}
        except asyncio.CancelledError:
            assert not done
        assert seconds() <= at + self.bounds.seconds + MOMENT


@settings(max_examples=200, deadline=None, derandomize=True)
@given(deliveries, outages, st.sampled_from([0.0, 0.3, HANGS]), st.sampled_from([0.0, 0.1, 2.0]))
def test_whatever_happens(
    arriving: list[tuple[float, int, int, float | None]], away: list[tuple[float, float]], hangs: float, takes: float
) -> None:
    """Every call ends in time; the bounds hold all along; nothing is left."""
    ordeal = Ordeal(Bounds(calls=6, bytes=1500), away, hangs, takes)

    async def main() -> None:
        held = made(ordeal.bounds)
        await asyncio.gather(*(ordeal.one(held, *delivery) for delivery in arriving))
        assert (held._calls, held._bytes, len(held._turns), held._under_way) == ({}, 0, 0, 0)

    virtually(main())

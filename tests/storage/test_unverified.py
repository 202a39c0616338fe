"""What cannot be verified is kept as it came, once, as long as there is room, and not for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import NotStored, Permanent
from shared.storage.account import Table
from shared.storage.room import Size
from shared.storage.unverified import KEPT_FOR, MOST, Kind, Listed, Totals, Unverified, UnverifiedTable, can_be_kept
from shared.timestamps import sortable
from tests.clock import Clock

MIB = 1024 * 1024
Tables = Callable[[str], Table]


def delivery(
    number: int, clock: Clock, *, kind: Kind = "does_not_fit", body: bytes = b"", tried: str = ""
) -> Unverified:
    """One that differs from the others by its number."""
    return Unverified(
        kind=kind,
        body=body or f"body {number}".encode(),
        signature=f"{number:064x}",
        correlation_id=f"{number:032x}",
        traceparent=f"00-{number:032x}-{number:016x}-01",
        event_id=f"event-{number}",
        received_at=sortable(clock.now()),
        tried=tried,
    )


def table(tables: Tables, clock: Clock, *, most: Size | None = None) -> UnverifiedTable:
    return UnverifiedTable(tables("unverified"), now=clock.now, most=most or MOST)


async def all_untried(kept: UnverifiedTable, kind: Kind, *, with_: str = "new") -> list[Unverified | None]:
    listed = await kept.untried(kind, with_=with_, after="")
    return list((await kept.load(listed, with_=with_)).values()) if listed else []


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        bytes(range(256)),
        b"\x00",
        random.Random(1).randbytes(900 * 1024),  # noqa: S311 - noise that cannot be compressed
        b'{"a": "' + b"x" * (MIB - 9) + b'"}',
    ],
    ids=["JSON", "every byte", "a zero", "large", "the largest"],
)
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's, on more than 1 MiB
async def test_it_comes_out_as_it_came(tables: Tables, clock: Clock, body: bytes) -> None:
    """Byte for byte, with all that names it."""
    kept, one = table(tables, clock), delivery(7, clock, body=body)
    assert await kept.keep(one) == one.correlation_id
    assert await all_untried(kept, "does_not_fit") == [one]
    assert await all_untried(kept, "secret_not_known") == []


async def test_the_same_delivery_is_kept_once(tables: Tables, clock: Clock) -> None:
    """By body and signature; it is found under the correlation id that it came with first."""
    kept, first = table(tables, clock), delivery(1, clock)
    await kept.keep(first)
    again = replace(first, correlation_id="f" * 32, received_at="2026-03-02", event_id="other")
    assert await kept.keep(again) == first.correlation_id
    await kept.keep(replace(first, body=b"another"))
    await kept.keep(replace(first, signature="a" * 64))
    assert (await kept.totals()).rows == 3


async def test_what_is_answered_yes_counts_for_more(tables: Tables, clock: Clock) -> None:
    """One that was refused first and comes again while the secret is not known is one of those from then on."""
    kept, one = table(tables, clock), delivery(1, clock)
    yes = replace(one, kind="secret_not_known")
    await kept.keep(one)
    await kept.keep(yes)
    assert await all_untried(kept, "secret_not_known") == [yes]
    await kept.keep(one)
    assert await all_untried(kept, "secret_not_known") == [yes]


async def test_copies_take_no_room(tables: Tables, clock: Clock) -> None:
    """However often a delivery comes."""
    kept = table(tables, clock, most=Size(2, MIB))
    for _ in range(5):
        await kept.keep(delivery(1, clock))
    await kept.keep(delivery(2, clock))
    with pytest.raises(NotStored) as full:
        await kept.keep(delivery(3, clock))
    assert full.value.reason == "full"
    assert {one.correlation_id for one in await all_untried(kept, "does_not_fit") if one} == {
        f"{n:032x}" for n in (1, 2)
    }


async def test_what_no_row_holds_is_not_kept(tables: Tables, clock: Clock) -> None:
    """Nor does it take room."""
    kept = table(tables, clock)
    noise = random.Random(1).randbytes(MIB)  # noqa: S311 - it cannot be compressed
    with pytest.raises(Permanent):
        await kept.keep(delivery(1, clock, body=noise))
    assert (await kept.room.account()).taken == Size()


@pytest.mark.parametrize(
    ("body", "signature", "kept"),
    [
        (b"x", "a" * 64, True),
        (b"x", "A1" * 32, True),
        (b"", "a" * 64, False),
        (b"x", "a" * 63, False),
        (b"x", "a" * 65, False),
        (b"x", "g" * 64, False),
        (b"x", "", False),
        (b"x", "\uff41" * 64, False),
        (b"x", "a" * 64 + "\n", False),
        (b"x", "sha256=" + "a" * 64, False),
    ],
)
def test_only_what_may_prove_right_is_kept(body: bytes, signature: str, *, kept: bool) -> None:
    """A body, and 64 hex digits."""
    assert can_be_kept(body, signature) is kept


async def test_what_was_tried_is_found_no_more(tables: Tables, clock: Clock) -> None:
    """Until there are other secrets; the order is that of the digests, so a look can go on where the last one ended."""
    kept = table(tables, clock)
    for number in range(230):
        await kept.keep(delivery(number, clock, tried="old" if number % 2 else "new"))
    found = await kept.untried("does_not_fit", with_="new", after="")
    assert [one.digest for one in found] == sorted(one.digest for one in found)
    assert len(found) == 115
    rest = await kept.untried("does_not_fit", with_="new", after=found[99].digest)
    assert rest == found[100:]
    await kept.record_tried([one.digest for one in found], with_="new")
    assert await kept.untried("does_not_fit", with_="new", after="") == []
    assert len(await kept.untried("does_not_fit", with_="newer", after="")) == 230


async def test_a_chunk_holds_only_what_is_to_be_tried(tables: Tables, clock: Clock) -> None:
    """Of what lies between its first and its last row, what was tried before is not read."""
    kept = table(tables, clock)
    for number in range(60):
        await kept.keep(delivery(number, clock, tried="old" if number % 10 else "new"))
    found = await kept.untried("does_not_fit", with_="old", after="")
    assert len(found) == 6
    assert set(await kept.load(found, with_="old")) == {one.digest for one in found}


async def test_marking_and_forgetting_mind_no_gap(tables: Tables, clock: Clock) -> None:
    """Somebody else may have forgotten one meanwhile: the others are marked, or forgotten, all the same."""
    kept = table(tables, clock)
    for number in range(5):
        await kept.keep(delivery(number, clock))
    digests = [one.digest for one in await kept.untried("does_not_fit", with_="new", after="")]
    await kept.forget(digests[2:3])
    await kept.record_tried(digests, with_="new")
    assert await kept.untried("does_not_fit", with_="new", after="") == []
    assert (await kept.totals()).rows == 4
    await kept.forget(digests)
    assert await kept.totals() == Totals()


async def test_seven_days_after_its_arrival_it_goes(tables: Tables, clock: Clock) -> None:
    """Neither earlier nor later, and it is not tried any more."""
    kept = table(tables, clock)
    await kept.keep(delivery(1, clock))
    clock.pass_by(hours=1)
    second = sortable(clock.now())
    await kept.keep(delivery(2, clock, kind="secret_not_known"))
    clock.pass_by(seconds=KEPT_FOR.total_seconds() - 3600)
    assert (await kept.count()).rows == 2
    clock.pass_by(seconds=1)
    assert await all_untried(kept, "does_not_fit") == []
    assert await kept.count() == Totals(1, 0, 6, second)
    clock.pass_by(hours=1)
    assert await kept.count() == Totals()


async def test_it_is_counted_by_kind(tables: Tables, clock: Clock) -> None:
    """Bytes as they came, and the oldest; the room learns what is really there."""
    kept = table(tables, clock)
    assert await kept.totals() == Totals()
    oldest = sortable(clock.now())
    for number in range(3):
        await kept.keep(delivery(number, clock, kind="secret_not_known", body=b"x" * 1000 + bytes([number])))
        clock.pass_by(minutes=1)
        await kept.keep(delivery(10 + number, clock, body=b"y" * 100 + bytes([number])))
    wanted = Totals(3, 3, 3 * 1001 + 3 * 101, oldest)
    assert (await kept.totals(), await kept.count()) == (wanted, wanted)
    account = await kept.room.account()
    assert (account.counted, Totals(**account.note)) == (Size(6, wanted.bytes), wanted)


async def test_of_many_the_last_count_is_told(tables: Tables, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody counts tens of thousands because somebody asks."""
    monkeypatch.setattr("shared.storage.unverified._PAGE", 10)
    kept = table(tables, clock)
    for number in range(25):
        await kept.keep(delivery(number, clock))
    counted = await kept.count()
    assert counted.rows == 25
    await kept.keep(delivery(100, clock))
    assert await kept.totals() == counted


async def test_all_are_forgotten_at_once(tables: Tables, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And there is room again, once the timer has seen it."""
    monkeypatch.setattr("shared.storage.unverified._PAGE", 10)
    kept = table(tables, clock, most=Size(25, MIB))
    for number in range(25):
        await kept.keep(delivery(number, clock))
    clock.pass_by(minutes=6)
    assert await kept.forget_all() == 25
    assert await kept.totals() == Totals()
    assert await kept.count() == Totals()
    clock.pass_by(minutes=1)
    assert await kept.keep(delivery(30, clock))


@pytest.mark.parametrize("damage", [{"data00": b"from another version"}, {"signature": None}])
async def test_one_that_cannot_be_read_says_so(tables: Tables, clock: Clock, damage: dict[str, Any]) -> None:
    """It is there, and is no delivery."""
    kept, one = table(tables, clock), delivery(1, clock)
    await kept.keep(one)
    found = await tables("unverified").get("kept", one.digest)
    assert found is not None
    row = {name: value for name, value in (found[0] | damage).items() if value is not None}
    await tables("unverified").put(row)
    listed = await kept.untried("does_not_fit", with_="new", after="")
    assert listed == [Listed(one.digest, "does_not_fit", 6, one.received_at)]
    assert await kept.load(listed, with_="new") == {one.digest: None}

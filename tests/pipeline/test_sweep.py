"""The sweep: parts that do not disturb each other, one run at a time, each part in its own rhythm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.seed import NEWCOMER
from shared.errors import Permanent, RowConflict, Transient
from shared.pipeline import sweep as sweeping
from shared.pipeline.sweep import Counts, Failing, Part, Sweep, Swept, failing_parts
from shared.storage import overflow
from shared.storage.account import Table
from shared.storage.checkpoints import Checkpoints, Lease
from shared.storage.envelope import Envelope
from shared.timestamps import sortable
from tests.clock import Clock
from tests.product.bench import Installation

Tables = Callable[[str], Table]
RECEIVED = "2026-03-01T12:00:00.000000Z"


class Doing:
    """A part that counts its runs and may fail."""

    def __init__(self, *trouble: Exception) -> None:
        self.runs = 0
        self.trouble = list(trouble)

    async def __call__(self) -> Counts:
        self.runs += 1
        if self.trouble:
            raise self.trouble.pop(0)
        return {"sent": self.runs}


def made(table: Table, clock: Clock, *parts: Part) -> Sweep:
    lease = Lease(table, name="sweep", now=clock.now)
    return Sweep(parts, lease=lease, checkpoints=Checkpoints(table), now=clock.now)


@pytest.mark.parametrize(
    ("trouble", "code", "reason"),
    [
        (Transient("Outreach is busy.", service="outreach", status=429), "429", "Outreach is busy."),
        (Permanent("No scope.", service="outreach", status=403, code="scope"), "scope", "No scope."),
        (RowConflict("changed"), "row_conflict", "Table row changed meanwhile."),
        (ZeroDivisionError("secret"), "unforeseen", "An error in the app itself (ZeroDivisionError)"),
    ],
)
async def test_a_part_that_fails(
    tables: Tables, clock: Clock, caplog: pytest.LogCaptureFixture, trouble: Exception, code: str, reason: str
) -> None:
    """Its failure is reported in words and the others run."""
    before, failing, after = Doing(), Doing(trouble), Doing()
    sweep = made(tables("sweep"), clock, Part("one", before), Part("two", failing), Part("three", after))
    swept = await sweep.run()
    assert set(swept.counts) == {"one", "three"}
    assert reason in swept.failed["two"]
    (line,) = (json.loads(text) for text in caplog.messages if text.startswith('{"what": "sweep_failed"'))
    assert (line["part"], line["code"]) == ("two", code)
    assert "secret" not in json.dumps(line)
    assert bool(line["where"]) is (code == "unforeseen")
    assert (await sweep.run()).counts["two"] == {"sent": 2}


async def test_since_when_a_part_fails(tables: Tables, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Each failure is reported with the time of the first one, in whichever process, until the part succeeds."""
    busy = Transient("Busy.", service="outreach", status=500)
    failing, seldom = Doing(busy, busy), Doing(RowConflict("changed"))
    parts = (Part("failing", failing), Part("seldom", seldom, rest=timedelta(minutes=5)))
    first, known = sortable(clock.now()), []
    for _ in range(4):
        await made(tables("sweep"), clock, *parts).run()
        known.append(await failing_parts(Checkpoints(tables("sweep"))))
        clock.pass_by(minutes=2)
    both = {"failing": Failing(first, "Busy."), "seldom": Failing(first, "Table row changed meanwhile.")}
    assert known == [both, both, {"seldom": both["seldom"]}, {}]
    lines = [json.loads(text) for text in caplog.messages if "sweep_failed" in text]
    assert [(line["part"], line["since"]) for line in lines] == [
        ("failing", first),
        ("seldom", first),
        ("failing", first),
    ]
    failing.trouble.append(busy)
    again = sortable(clock.now())
    await made(tables("sweep"), clock, *parts).run()
    assert await failing_parts(Checkpoints(tables("sweep"))) == {"failing": Failing(again, "Busy.")}


async def test_a_part_that_failed_does_not_rest_for_long(tables: Tables, clock: Clock) -> None:
    """The part for the token rests for an hour; after a failure ten minutes, also for those whom the log alerts."""
    part = Doing(Transient("Busy.", service="outreach"))
    for _ in range(30):
        await made(tables("sweep"), clock, Part("token", part, rest=timedelta(hours=1))).run()
        clock.pass_by(minutes=1)
    assert part.runs == 2


async def test_a_part_that_hangs(tables: Tables, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that does not end is stopped, so that the others have their turn."""
    monkeypatch.setattr(sweeping, "PART_SECONDS", 0.05)

    async def hang() -> Counts:
        await asyncio.Event().wait()
        return {}

    after = Doing()
    swept = await made(tables("sweep"), clock, Part("hanging", hang), Part("after", after)).run()
    assert "No answer in time" in swept.failed["hanging"]
    assert after.runs == 1


async def test_every_part_has_its_turn(product: Installation) -> None:
    """Even parts that hang one and all leave each its time, before the lease ends and the function is stopped."""
    parts = len(product.runtime.sweep._parts)
    assert parts * sweeping.PART_SECONDS < sweeping.RUN_SECONDS < sweeping.LEASE_SECONDS


async def test_a_row_of_the_overflow_that_cannot_be_read(product: Installation) -> None:
    """One such row keeps no other in the table."""
    for number in (1, 2):
        body = MeetingScript(number).booked().document
        await product.runtime.overflow.keep(Envelope(correlation_id=f"{number:032x}", received_at=RECEIVED, body=body))
    table = product.runtime._table(overflow.TABLE)
    (broken, _) = await table.query("PartitionKey ne @none", {"none": ""}, limit=2)
    await table.put({"PartitionKey": broken["PartitionKey"], "RowKey": broken["RowKey"], "pointed": "", "data00": b""})
    swept = await product.runtime.sweep.run()
    assert (swept.failed, swept.sent("overflow")) == ({}, 2)


async def test_rhythm(tables: Tables, clock: Clock) -> None:
    """A part that rests runs again when its time has come, also after a failure and in another process."""
    always, seldom = Doing(), Doing(Transient("Busy.", service="outreach"))
    parts = (Part("always", always), Part("seldom", seldom, rest=timedelta(minutes=5)))
    for _ in range(11):
        await made(tables("sweep"), clock, *parts).run()
        clock.pass_by(minutes=1)
    assert (always.runs, seldom.runs) == (11, 3)


async def test_one_run_at_a_time(tables: Tables, clock: Clock) -> None:
    """While one instance runs, another one does nothing; a run whose instance died gives way after five minutes."""
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow() -> Counts:
        begun.set()
        await finish.wait()
        return {}

    part = Doing()
    other = made(tables("sweep"), clock, Part("quick", part))
    running = asyncio.create_task(made(tables("sweep"), clock, Part("slow", slow)).run())
    await begun.wait()
    assert await other.run() == Swept(busy=True)
    clock.pass_by(seconds=sweeping.LEASE_SECONDS + 1)
    assert not (await other.run()).busy
    finish.set()
    await running
    assert not (await other.run()).busy
    assert part.runs == 2


async def test_who_was_nobody_becomes_an_attendee(product: Installation) -> None:
    """Somebody without a CRM record is invited by address; when the record is there, the sweep finds it by itself."""
    await product.sync(MeetingScript(1).booked(prospects=[NEWCOMER], opportunity=301))
    assert (5, "newcomer@example.com") in product.parties()
    new = add_contact(product, "newcomer@example.com")
    await sweep_later(product, minutes=14)
    assert (5, "newcomer@example.com") in product.parties()
    await sweep_later(product, minutes=16)
    assert {party for party in product.parties() if party[0] == 5} == {(5, new)}
    assert (await product.runtime.sweep.run()).sent("unresolved") == 0


async def test_nobody_stays_nobody(product: Installation) -> None:
    """Looking again in vain writes nothing to Dynamics and ends after a day."""
    await product.sync(MeetingScript(1).booked(prospects=[NEWCOMER], opportunity=301))
    writes = len(product.writes())
    sent = [await sweep_later(product, hours=hours) for hours in (0.3, 1.1, 25, 26, 50)]
    assert sent == [1, 1, 1, 0, 0]
    assert len(product.writes()) == writes


async def test_everybody_known_is_not_looked_at_again(product: Installation) -> None:
    """A meeting whose people all have records costs the sweep nothing."""
    await product.sync(MeetingScript(1).booked(prospects=[101], opportunity=301))
    assert await sweep_later(product, hours=25) == 0


async def sweep_later(product: Installation, **span: float) -> int:
    """Run the sweep of a process that lives so much later; how many meetings it looked at again."""
    await product.restart()
    product.runtime.later = timedelta(**span)
    swept = await product.runtime.sweep.run()
    assert not swept.failed
    await product.work()
    return swept.sent("unresolved")


def add_contact(product: Installation, email: str) -> str:
    from sandbox.dataverse import people
    from sandbox.dataverse.schema import CONTACT

    return people.add(product.crm, CONTACT, {"emailaddress1": email}).id

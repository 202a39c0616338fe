"""How many calls an event costs, counted by those who are called: the stand-ins, and proxies in front of Azurite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.builds import Build, Naive, Product
from bench.laboratory import Counts, Laboratory, Wires
from bench.report import Measure
from bench.workload import in_turn, invitations, meetings, step_by_step, warming
from sandbox.dataverse.seed import CONTACT_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript

_WARM, _FIRST, _STRANGE = 1, 1_000, 900_000
_STRANGERS = 10
# Few, so that storage is never too slow for an event's direct way, however busy the machine is.
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class PerEvent:
    """Calls per event of one kind."""

    dataverse: float
    outreach: float
    tables: float
    queue_puts: float

    @classmethod
    def of(cls, counts: Counts, events: int) -> PerEvent:
        """`counts` shared among `events`."""
        return cls(
            counts.dataverse / events,
            counts.outreach / events,
            counts.event_tables / events,
            counts.queue_puts / events,
        )


@dataclass(frozen=True, slots=True)
class CallCount:
    """What events of one kind cost.

    applied     books a meeting, or changes columns of it; nobody in it is new
    repeated    the same once more
    inviting    changes who attends
    strange     books a meeting with somebody whom nobody has asked for yet
    """

    applied: PerEvent
    repeated: PerEvent
    inviting: PerEvent
    strange: PerEvent


async def count_calls(
    laboratory: Laboratory, *, many: int, report: Callable[[str], None]
) -> tuple[CallCount, CallCount]:
    """The product's calls and the naive build's, for `many` meetings."""
    report("ours")
    ours = await _count(laboratory, Product, many)
    report("naive")
    return ours, await _count(laboratory, Naive, many)


def measures(ours: CallCount, naive: CallCount) -> list[Measure]:
    """The table's lines, with the budgets of the design."""
    applied, repeated = "an event that is applied, people known", "the same event once more"
    inviting, strange = "an event that changes who attends", "an event that names somebody new"
    one, other = ours.applied, naive.applied
    two, twice = ours.repeated, naive.repeated
    more, others = ours.inviting, naive.inviting
    new, newly = ours.strange, naive.strange
    return [
        Measure(applied, "Dataverse calls", one.dataverse, naive=other.dataverse, budget=1.05, counted=True),
        Measure(applied, "table operations", one.tables, naive=other.tables, budget=4, counted=True),
        Measure(applied, "messages put into the queue", one.queue_puts, naive=other.queue_puts, budget=1, counted=True),
        Measure(applied, "Outreach calls", one.outreach, naive=other.outreach, budget=0.05, counted=True),
        Measure(repeated, "Dataverse calls", two.dataverse, naive=twice.dataverse, budget=0, counted=True),
        Measure(repeated, "table operations", two.tables, naive=twice.tables, budget=2, counted=True),
        Measure(repeated, "Outreach calls", two.outreach, naive=twice.outreach, budget=0, counted=True),
        Measure(inviting, "Dataverse calls", more.dataverse, naive=others.dataverse),
        Measure(inviting, "table operations", more.tables, naive=others.tables),
        Measure(inviting, "Outreach calls", more.outreach, naive=others.outreach),
        Measure(strange, "Dataverse calls", new.dataverse, naive=newly.dataverse),
        Measure(strange, "table operations", new.tables, naive=newly.tables),
        Measure(strange, "Outreach calls", new.outreach, naive=newly.outreach),
    ]


async def _count(laboratory: Laboratory, make: Callable[[Mapping[str, str]], Build], many: int) -> CallCount:
    await laboratory.clean()
    await laboratory.add_prospects(_STRANGE, _STRANGERS, contact=CONTACT_IDS[0])
    async with laboratory.wired() as wires:
        build = make(laboratory.installation("bench-calls", storage=wires.storage))
        try:
            await build.run(in_turn(warming(_WARM)), workers=_WORKERS)
            steps = step_by_step(meetings(range(_FIRST, _FIRST + many), inviting=0))
            invited = invitations(_WARM)
            # A repeat comes soon after what it repeats.
            turns = [(await cost_of(wires, build, step), await cost_of(wires, build, step)) for step in steps]
            inviting = await cost_of(wires, build, invited)
            strange = await cost_of(wires, build, _with_strangers())
        finally:
            await build.aclose()
    events = sum(map(len, steps))
    applied, repeated = (sum(found, Counts()) for found in zip(*turns, strict=True))
    return CallCount(
        PerEvent.of(applied, events),
        PerEvent.of(repeated, events),
        PerEvent.of(inviting, len(invited)),
        PerEvent.of(strange, _STRANGERS),
    )


async def cost_of(wires: Wires, build: Build, deliveries: Sequence[Delivery]) -> Counts:
    """What it takes to carry `deliveries` out. Raises `RuntimeError` where one of them fails."""
    before = await wires.counts()
    run = await build.run(deliveries, workers=_WORKERS)
    cost = (await wires.counts()) - before
    if failed := run.failed + await build.dead_letters():
        raise RuntimeError(f"{failed} of {run.events} events failed; what they cost is not what an event costs.")
    return cost


def _with_strangers() -> list[Delivery]:
    return [
        MeetingScript(number).booked(title=f"Meeting {number}", prospects=[number])
        for number in range(_STRANGE, _STRANGE + _STRANGERS)
    ]

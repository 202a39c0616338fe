"""What can happen next. A world is everything at one moment; a move is one thing that happens, named by a short text.

    2      the worker of event 2 makes its next step (the first one takes the event from the queue)
    2-     it dies before that step
    2+     it makes the step and dies before it hears of it
    2~     it sends the request and dies (or stops waiting) while that is on its way
    2=     the request is sent twice, because the first answer got lost; the worker hears the second answer
    ~2     the late request of event 2 arrives
    p      a person does the next thing in Dynamics
    s      the admin changes the settings
    r      the sweep sends on what is parked under other settings

Whoever dies has its event delivered again. Two things are left out because they add nothing: asking the directory has no
place in the schedule (it changes nothing), and of two equal events that wait the first is taken first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from shared.core.apply import Rules, apply
from shared.core.merge import Fields
from simulation.interned import Names, Shaped, Shapes, Version, pattern
from simulation.operations import Acknowledge, Answer, Create, Load, Operation, Save
from simulation.people import do_edit
from simulation.scenario import MEETING, Event, Scenario, Variant, ports
from simulation.scenario import rules as everything_on
from simulation.stores import Crm, Table, on_crm, on_table
from simulation.workers import Places, Run

# Where an event stands that no worker carries.
WAITING, DONE, ABSENT = Shaped(-1), Shaped(-2), Shaped(-3)


T = TypeVar("T")


class World(NamedTuple):
    """Everything at one moment.

    table, crm   the stores
    events       per event: WAITING, DONE, ABSENT (not there yet), or the worker that carries it
    late         requests on their way: (number of the event, operation)
    edits        how many edits people have made
    faults       how many faults there may still be
    rules        the settings that a worker starts with
    """

    table: Shaped
    crm: Shaped
    events: tuple[Shaped, ...]
    late: tuple[tuple[int, Shaped], ...] = ()
    edits: int = 0
    faults: int = 0
    rules: int = 0


class Violation(AssertionError):
    """A promise that was broken."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores."""

    table: Table
    crm: Crm


class Simulation:
    """One scenario, run by the product or by a variant of it with a bug put in."""

    def __init__(self, scenario: Scenario, variant: Variant) -> None:
        self.scenario = scenario
        self.rules: tuple[Rules, ...] = scenario.rules or (everything_on(),)
        self._variant = variant
        self._tables: Shapes[Table] = Shapes()
        self._crms: Shapes[Crm] = Shapes()
        self._operations: Shapes[Operation] = Shapes()
        self._answers: Shapes[Answer] = Shapes()
        self.places = Places(self._operations, self._answers)
        self._performed: dict[tuple[int, int, Names], tuple[Shaped, Shaped]] = {}
        self._edited: dict[tuple[int, int, int, tuple[bool, ...]], Shaped] = {}
        # After the events of the scenario comes one that only the sweep sends.
        self.events = (*scenario.events, Event(0, {})) if len(self.rules) > 1 else scenario.events
        self._equal_before = tuple(
            next((i for i in range(n) if self.events[i] == self.events[n]), None) for n in range(len(self.events))
        )

    def start(self) -> World:
        """The world in which the case begins: `before` is done, everything else waits."""
        world = World(self._shaped(self._tables, {}), self._shaped(self._crms, Crm()), (DONE,))
        for told in self.scenario.before:
            world = world._replace(events=(self._begin(told, 0),))
            while world.events[0] != DONE:
                world = _tidy(self._step(world, 0))
        events = [WAITING] * len(self.scenario.events) + [ABSENT] * (len(self.events) - len(self.scenario.events))
        return _tidy(world._replace(events=tuple(events), faults=self.scenario.faults))

    def stores(self, world: World) -> Stores:
        """The stores, with versions of any names."""
        return Stores(self._tables.example(world.table.shape), self._crms.example(world.crm.shape))

    def is_quiet(self, world: World) -> bool:
        """Whether everything that was accepted is done and nothing is on its way."""
        return not world.late and all(at in {DONE, ABSENT} for at in world.events)

    def moves(self, world: World) -> Iterator[str]:
        """Everything that can happen now."""
        under_way = sum(at.shape >= 0 for at in world.events)
        for number, at in enumerate(world.events):
            if at.shape < 0 and (at != WAITING or under_way >= self.scenario.workers or self._is_second(world, number)):
                continue
            name = str(number + 1)
            yield name
            if not world.faults:
                continue
            if at != WAITING:
                yield f"{name}-"
            yield f"{name}+"
            if self._operations.example(self._asks(world, number).shape).writes:
                yield f"{name}~"
                yield f"{name}="
        yield from dict.fromkeys(f"~{number + 1}" for number, _ in world.late)
        if world.edits < len(self.scenario.edits) and self._can_edit(world):
            yield "p"
        if world.rules + 1 < len(self.rules):
            yield "s"
        if self._can_sweep(world):
            yield "r"

    def after(self, world: World, move: str) -> World:
        """The world after `move`. Raises `Violation` where a worker ends in a way that it must not."""
        world = self._after(world, move)
        if world.late:
            world = world._replace(late=tuple(one for one in world.late if self._may_succeed(one[1], world)))
        return _tidy(world)

    def operation(self, world: World, move: str) -> Operation:
        """The operation that `move` is about."""
        number = int(move.strip("-+~=")) - 1
        asks = next(asks for who, asks in world.late if who == number) if move[0] == "~" else self._asks(world, number)
        return _spelled(self._operations, asks)

    def answer(self, world: World, move: str) -> Answer:
        """What the stores answer to the operation of `move`."""
        asks = self._shaped(self._operations, self.operation(world, move))
        _, answer = self._perform(asks, world)
        return _spelled(self._answers, answer)

    def _after(self, world: World, move: str) -> World:
        if move == "p":
            return world._replace(crm=self._edit(world), edits=world.edits + 1)
        if move == "s":
            return world._replace(rules=world.rules + 1)
        if move == "r":
            return _with_event(world, len(world.events) - 1, WAITING)
        if move[0] == "~":
            return self._arrive(world, int(move[1:]) - 1)
        if move[-1] in "-+~=":
            return self._fault(world, int(move[:-1]) - 1, move[-1])
        return self._step(world, int(move) - 1)

    def _step(self, world: World, number: int) -> World:
        worker = self._worker(world, number)
        world, answer = self._perform(self.places.asks(worker), world)
        worker = self.places.after(worker, answer)
        place = self.places[worker]
        if place.error is not None:
            raise Violation(f"the worker gave up: {type(place.error).__name__}: {place.error}")
        return _with_event(world, number, DONE if place.asks is None else worker)

    def _fault(self, world: World, number: int, kind: str) -> World:
        world = world._replace(faults=world.faults - 1)
        worker = self._worker(world, number)
        asks = self.places.asks(worker)
        if kind == "=":
            return self._step(self._perform(asks, world)[0], number)
        if kind == "+":
            world = self._perform(asks, world)[0]
        elif kind == "~":
            late = sorted((*world.late, (number, asks)), key=lambda one: one[0])
            world = world._replace(late=tuple(late))
        return _with_event(world, number, DONE if self.places[worker].acknowledged else WAITING)

    def _arrive(self, world: World, number: int) -> World:
        index = next(index for index, (who, _) in enumerate(world.late) if who == number)
        world, _ = self._perform(world.late[index][1], world)
        return world._replace(late=world.late[:index] + world.late[index + 1 :])

    def _may_succeed(self, asks: Shaped, world: World) -> bool:
        """Whether a late request can still change anything: what is refused now is refused for ever.

        Its fence does not fit, and versions never come back; or what it creates is there, and what is deleted is deleted
        only when no create is on its way (see `_can_edit`).
        """
        after, _ = self._perform(asks, world)
        return after.table != world.table or after.crm != world.crm

    def _perform(self, asks: Shaped, world: World) -> tuple[World, Shaped]:
        """The world after the operation, and the answer."""
        in_table = isinstance(self._operations.example(asks.shape), Load | Save | Acknowledge)
        store = world.table if in_table else world.crm
        both, counts = pattern(asks.versions + store.versions)
        name = asks.shape, store.shape if in_table else -1 - store.shape, both
        if name not in self._performed:
            self._performed[name] = self._first_time(asks, store, both, len(counts), in_table=in_table)
        changed, answer = self._performed[name]
        actual = (*counts, _fresh(world))
        changed = Shaped(changed.shape, tuple(actual[count] for count in changed.versions))
        answer = Shaped(answer.shape, tuple(actual[count] for count in answer.versions))
        return (world._replace(table=changed) if in_table else world._replace(crm=changed)), answer

    def _first_time(
        self, asks: Shaped, store: Shaped, both: Names, fresh: int, *, in_table: bool
    ) -> tuple[Shaped, Shaped]:
        split = len(asks.versions)
        operation = self._operations.value(asks.shape, [_name(count) for count in both[:split]])
        names = [_name(count) for count in both[split:]]
        if in_table:
            assert isinstance(operation, Load | Save | Acknowledge)
            table, answer = on_table(operation, self._tables.value(store.shape, names), fresh=_name(fresh))
            return self._shaped(self._tables, table), self._shaped(self._answers, answer)
        crm, answer = on_crm(
            operation, self._crms.value(store.shape, names), self.scenario.organisation, fresh=_name(fresh)
        )
        return self._shaped(self._crms, crm), self._shaped(self._answers, answer)

    def _shaped(self, shapes: Shapes[Any], value: Any) -> Shaped:
        shape, versions = shapes.number(value)
        return Shaped(shape, tuple(_count(version) for version in versions))

    def _worker(self, world: World, number: int) -> Shaped:
        at = world.events[number]
        return self._begin(self.events[number], world.rules) if at == WAITING else at

    def _asks(self, world: World, number: int) -> Shaped:
        return self.places.asks(self._worker(world, number))

    def _begin(self, told: Event, settings: int) -> Shaped:
        def start() -> Run:
            given = ports(self.scenario, settings=settings, variant=self._variant)
            fields: Fields = told.fields
            return apply(  # type: ignore[return-value] # its awaits yield operations and nothing else
                told.key,
                fields,
                rules=self.rules[settings],
                meetings=given.meetings,
                appointments=given.appointments,
                directory=given.directory,
                copy_of=told.copy_of,
            )

        return self.places.begin((repr(told), settings), start)

    def _is_second(self, world: World, number: int) -> bool:
        first = self._equal_before[number]
        return first is not None and world.events[first] == WAITING

    def _can_edit(self, world: World) -> bool:
        if not self._crms.example(world.crm.shape).appointments:
            return False
        if not self.scenario.edits[world.edits].deletes:
            return True
        # A create that is still on its way brings back what a person deletes meanwhile: nothing in the row could tell.
        asked = [asks for _, asks in world.late] + [self.places.asks(at) for at in world.events if at.shape >= 0]
        return not any(isinstance(self._operations.example(asks.shape), Create) for asks in asked)

    def _edit(self, world: World) -> Shaped:
        pending = tuple(at != DONE for at in world.events)
        both, counts = pattern(world.crm.versions)
        name = world.table.shape, world.crm.shape, world.edits, pending
        if name not in self._edited:
            crm = do_edit(
                self.scenario.edits[world.edits],
                self._crms.value(world.crm.shape, [_name(count) for count in both]),
                self._tables.example(world.table.shape),
                fresh=_name(len(counts)),
                pending=[told for told, waits in zip(self.events, pending, strict=True) if waits],
                rules=self.rules[-1],
                missing=self.scenario.organisation.missing,
            )
            self._edited[name] = self._shaped(self._crms, crm)
        edited = self._edited[name]
        actual = (*counts, _fresh(world))
        return Shaped(edited.shape, tuple(actual[count] for count in edited.versions))

    def _can_sweep(self, world: World) -> bool:
        if len(self.rules) == 1 or world.events[-1].shape >= 0 or world.events[-1] == WAITING:
            return False
        row = self._tables.example(world.table.shape).get(str(MEETING))
        return row is not None and row.rules is not None and row.rules != world.rules


def _name(count: int) -> Version:
    return Version(f"#{count}")


def _count(version: Version) -> int:
    return int(version[1:])


def _spelled(shapes: Shapes[T], shaped: Shaped) -> T:
    return shapes.value(shaped.shape, [_name(count) for count in shaped.versions])


def _fresh(world: World) -> int:
    """A version that nobody remembers: in a tidy world they are counted without gaps."""
    return max(_versions(world), default=-1) + 1


def _versions(world: World) -> Iterator[int]:
    yield from world.table.versions
    yield from world.crm.versions
    for at in world.events:
        yield from at.versions
    for _, asks in world.late:
        yield from asks.versions


def _tidy(world: World) -> World:
    """The same world with its versions counted in the order in which they appear."""
    counts: dict[int, int] = {}
    for version in _versions(world):
        counts.setdefault(version, len(counts))

    def tidy(shaped: Shaped) -> Shaped:
        return Shaped(shaped.shape, tuple(counts[version] for version in shaped.versions)) if shaped.versions else shaped

    return world._replace(
        table=tidy(world.table),
        crm=tidy(world.crm),
        events=tuple(tidy(at) for at in world.events),
        late=tuple((number, tidy(asks)) for number, asks in world.late),
    )


def _with_event(world: World, number: int, at: Shaped) -> World:
    return world._replace(events=world.events[:number] + (at,) + world.events[number + 1 :])

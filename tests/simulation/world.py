"""What can happen next. A world is everything at one moment; a move is one thing that happens, named by a short text.

    2      the worker of event 2 makes its next step (the first one takes the event from the queue)
    2-     it dies before that step
    2+     it makes the step and dies before it hears of it
    2~     it sends the request and dies (or stops waiting) while that is on its way
    2=     the request is sent twice, because the first answer got lost; the worker hears the second answer
    ~2     the late request of event 2 arrives
    p      a person does the next thing in Dynamics
    s      the admin changes the settings
    2!     it is told, for the last time, that the service does not answer
    r      the sweep sends on what is parked under other settings
    d      the admin sends the dead letters again, once what they tell of was mended
    ~102   the dead letter of event 2, which was sent again, is removed

Whoever dies has its event delivered again. Two things are left out because they add nothing: asking the directory has no
place in the schedule (it changes nothing), and of two equal events that wait the first is taken first. One is left out
because nothing fences it: the filing of a dead letter that arrives when it was filed again and cleared. The real queue
brings an event back after minutes; and such a dead letter is in the list, and does no harm when it is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, TypeVar

from shared.meeting.apply import Outcome
from shared.meeting.decide import Rules
from tests.simulation.carrying import carry_out
from tests.simulation.interned import Names, Shaped, Shapes, Version, pattern
from tests.simulation.operations import Answer, Create, DeadLetters, File, GaveUp, Load, Operation, Remove
from tests.simulation.people import do_edit
from tests.simulation.scenario import MEETING, Event, Scenario, Variant, ports
from tests.simulation.scenario import rules as everything_on
from tests.simulation.stores import ON_TABLE, Crm, Table, on_crm, on_table
from tests.simulation.workers import Places, Run, TellApart, by_frames

# Where an event stands that no worker carries.
WAITING, DONE, ABSENT, DEAD = Shaped(-1), Shaped(-2), Shaped(-3), Shaped(-4)

# In a tidy world versions are counted from 0, so this one and those after it are new in every one.
_FRESH = 1000

# The request that removes the dead letter of event n, once it was sent again, is that of nobody: it stands under n + this.
_REMOVAL = 100


T = TypeVar("T")


class World(NamedTuple):
    """Everything at one moment.

    table, crm   the stores
    events       per event: WAITING, DONE, ABSENT (not there yet), DEAD (a dead letter), or the worker that carries it
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

    def __init__(self, scenario: Scenario, variant: Variant, *, tell_apart: TellApart = by_frames) -> None:
        self.scenario = scenario
        self.rules: tuple[Rules, ...] = scenario.rules or (everything_on(),)
        self._variant = variant
        self._tables: Shapes[Table] = Shapes()
        self._crms: Shapes[Crm] = Shapes()
        self._operations: Shapes[Operation] = Shapes()
        self._answers: Shapes[Answer] = Shapes()
        self.places = Places(self._operations, self._answers, tell_apart=tell_apart)
        self._performed: dict[tuple[int, int, bool, Names], tuple[Shaped, Shaped]] = {}
        self._performed_exactly: dict[tuple[Shaped, Shaped, bool, int], tuple[Shaped, Shaped]] = {}
        self._edited: dict[tuple[int, int, int, tuple[bool, ...]], Shaped] = {}
        # After the events of the scenario comes one that only the sweep sends.
        self.events = (*scenario.events, Event(0, {})) if len(self.rules) > 1 else scenario.events
        self._equal_before = tuple(
            next((i for i in range(n) if self.events[i] == self.events[n]), None) for n in range(len(self.events))
        )

    def start(self) -> World:
        """The world in which the case begins: `before` is done, everything else waits."""
        world = World(self._shaped(self._tables, Table()), self._shaped(self._crms, Crm(self.scenario.there)), (DONE,))
        for event in self.scenario.before:
            world = world._replace(events=(self._begin(event, 0),))
            while world.events[0] != DONE:
                world = _tidy(self._step(world, 0, _FRESH))
        events = [WAITING] * len(self.scenario.events) + [ABSENT] * (len(self.events) - len(self.scenario.events))
        return _tidy(world._replace(events=tuple(events), faults=self.scenario.faults))

    def stores(self, world: World) -> Stores:
        """The stores, with versions of any names."""
        return Stores(self._tables.example(world.table.shape), self._crms.example(world.crm.shape))

    def is_quiet(self, world: World) -> bool:
        """Whether everything that was accepted is done, nothing is on its way, and the settings are those of the end."""
        return (
            not world.late
            and all(at in {DONE, ABSENT, DEAD} for at in world.events)
            and not self._can_replay(world)
            and world.rules + 1 == len(self.rules)
            and not self._can_sweep(world)
        )

    def dead(self, world: World) -> frozenset[str]:
        """The dead letters of the events that ended as dead letters."""
        return frozenset(event.dead_letter for event, at in zip(self.events, world.events, strict=True) if at == DEAD)

    @property
    def refusals(self) -> frozenset[str]:
        """The errors with which any operation was answered so far."""
        answers = (self._answers.example(answer.shape) for _, answer in self._performed.values())
        return frozenset(answer.error.__name__ for answer in answers if answer.error is not None)

    def carried(self, world: World) -> list[int]:
        """The events that a worker carries, by their numbers."""
        return [number for number, at in enumerate(world.events) if at.shape >= 0]

    def is_load(self, world: World, number: int) -> bool:
        """Whether the next step of the worker of this event reads a row: at least once in every round."""
        return isinstance(self._operations.example(self._asks(world, number).shape), Load)

    def moves(self, world: World) -> Iterator[str]:
        """Everything that can happen now."""
        under_way = sum(at.shape >= 0 for at in world.events)
        for number, at in enumerate(world.events):
            if at.shape < 0 and (at != WAITING or under_way >= self.scenario.workers or self._is_second(world, number)):
                continue
            yield str(number + 1)
            if world.faults:
                yield from self._faults(world, number)
        yield from dict.fromkeys(f"~{number + 1}" for number, _ in world.late)
        if world.edits < len(self.scenario.edits) and self._can_edit(world):
            yield "p"
        if world.rules + 1 < len(self.rules):
            yield "s"
        if self._can_sweep(world):
            yield "r"
        if self._can_replay(world):
            yield "d"

    def _faults(self, world: World, number: int) -> Iterator[str]:
        """What can go wrong with the next step of the worker of this event."""
        asks, name = self._operations.example(self._asks(world, number).shape), str(number + 1)
        yield f"{name}+"
        if asks.writes and not isinstance(asks, File):
            yield f"{name}~"
        if asks.writes:
            yield f"{name}="
        if self.scenario.dead_letters and not isinstance(asks, File | DeadLetters | Remove):
            yield f"{name}!"

    def after(self, world: World, move: str) -> World:
        """The world after `move`. Raises `Violation` where a worker ends in a way that it must not."""
        return _tidy(self.after_untidily(world, move))

    def after_untidily(self, world: World, move: str, *, fresh: int = _FRESH) -> World:
        """As `after`, but versions keep their numbers, which is easier to read; `fresh` and the next one are new."""
        world = self._after(world, move, fresh)
        if world.late:
            world = world._replace(late=tuple(one for one in world.late if self._may_succeed(one[1], world)))
        return world

    def operation(self, world: World, move: str) -> Operation:
        """The operation that `move` is about."""
        number = int(move.strip("-+~=!")) - 1
        asks = next(asks for who, asks in world.late if who == number) if move[0] == "~" else self._asks(world, number)
        return _spelled(self._operations, asks)

    def answer(self, world: World, move: str, *, fresh: int) -> Answer:
        """What the stores answer to the operation of `move`."""
        asks = self._shaped(self._operations, self.operation(world, move))
        _, answer = self._perform(asks, world, fresh)
        return _spelled(self._answers, answer)

    def _after(self, world: World, move: str, fresh: int) -> World:
        if move == "p":
            return world._replace(crm=self._edit(world, fresh), edits=world.edits + 1)
        if move == "s":
            return world._replace(rules=world.rules + 1)
        if move == "r":
            return self._sweep(world)
        if move == "d":
            return self._replay(world)
        if move[0] == "~":
            return self._arrive(world, int(move[1:]) - 1, fresh)
        if move[-1] in "-+~=!":
            return self._fault(world, int(move[:-1]) - 1, move[-1], fresh)
        return self._step(world, int(move) - 1, fresh)

    def _step(self, world: World, number: int, fresh: int) -> World:
        worker = self._worker(world, number)
        world, answer = self._perform(self.places.asks(worker), world, fresh)
        return self._told(world, number, self.places.after(worker, answer))

    def _told(self, world: World, number: int, worker: Shaped) -> World:
        """The world after the worker was told something."""
        place = self.places[worker]
        if place.error is not None:
            if isinstance(place.error, GaveUp):
                return _with_event(
                    world, number, WAITING
                )  # there is no dead letter of it yet; the queue brings it back
            raise Violation(f"the worker failed: {type(place.error).__name__}: {place.error}")
        if place.dead is not None:
            if not self.scenario.dead_letters:
                raise Violation(f"the worker gave up: {type(place.dead).__name__}: {place.dead}")
            return _with_event(world, number, DEAD)
        if place.outcome is not None:
            world = self._forgets_parked(world, number, place.outcome)
        return _with_event(world, number, DONE if place.asks is None else worker)

    def _fault(self, world: World, number: int, kind: str, fresh: int) -> World:
        world = world._replace(faults=world.faults - 1)
        worker = self._worker(world, number)
        asks = self.places.asks(worker)
        if kind == "!":
            gave_up = self._shaped(self._answers, Answer(error=GaveUp))
            return self._told(world, number, self.places.after(worker, gave_up))
        if kind == "=":
            return self._step(self._perform(asks, world, fresh)[0], number, fresh + 1)
        if kind == "+":
            world = self._perform(asks, world, fresh)[0]
        elif kind == "~":
            world = _with_late(world, (number, asks))
        return _with_event(world, number, DONE if self.places[worker].acknowledged else WAITING)

    def _arrive(self, world: World, number: int, fresh: int) -> World:
        index = next(index for index, (who, _) in enumerate(world.late) if who == number)
        world, _ = self._perform(world.late[index][1], world, fresh)
        return world._replace(late=world.late[:index] + world.late[index + 1 :])

    def _may_succeed(self, asks: Shaped, world: World) -> bool:
        """Whether a late request can still change anything: what is refused now is refused for ever.

        Its fence does not fit, and versions never come back; or what it creates is there, and what is deleted is deleted
        only when no create is on its way (see `_can_edit`).
        """
        after, _ = self._perform(asks, world, _FRESH + 2)
        return after.table != world.table or after.crm != world.crm

    def _perform(self, asks: Shaped, world: World, fresh: int) -> tuple[World, Shaped]:
        """The world after the operation, and the answer."""
        in_table = self._is_in_table(asks)
        store = world.table if in_table else world.crm
        exactly = asks, store, in_table, fresh
        found = self._performed_exactly.get(exactly)
        if found is None:
            both, counts = pattern(asks.versions + store.versions)
            name = asks.shape, store.shape, in_table, both
            if name not in self._performed:
                self._performed[name] = self._first_time(asks, store, both, len(counts), in_table=in_table)
            actual = (*counts, fresh)
            changed, answer = self._performed[name]
            found = self._performed_exactly[exactly] = _named(changed, actual), _named(answer, actual)
        changed, answer = found
        if changed == store:
            return world, answer
        table, crm = (changed, world.crm) if in_table else (world.table, changed)
        return World(table, crm, *world[2:]), answer

    def _is_in_table(self, asks: Shaped) -> bool:
        return isinstance(self._operations.example(asks.shape), ON_TABLE)

    def _first_time(
        self, asks: Shaped, store: Shaped, both: Names, fresh: int, *, in_table: bool
    ) -> tuple[Shaped, Shaped]:
        split = len(asks.versions)
        operation = self._operations.value(asks.shape, [_name(count) for count in both[:split]])
        names = [_name(count) for count in both[split:]]
        if in_table:
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

    def _begin(self, event: Event, settings: int) -> Shaped:
        rules = self.rules[settings]

        def start() -> Run:
            return carry_out(event, rules, ports(self.scenario, settings=settings, variant=self._variant))

        return self.places.begin((repr(event), settings), start)

    def _is_second(self, world: World, number: int) -> bool:
        first = self._equal_before[number]
        return first is not None and world.events[first] == WAITING

    def _can_edit(self, world: World) -> bool:
        if not self._crms.example(world.crm.shape).appointments:
            return False
        edit = self.scenario.edits[world.edits]
        if edit.in_peace and (world.late or self.carried(world)):
            return False
        if not edit.deletes:
            return True
        # A create that is still on its way brings back what a person deletes meanwhile: nothing in the row could tell.
        asked = [asks for _, asks in world.late] + [self.places.asks(at) for at in world.events if at.shape >= 0]
        return not any(isinstance(self._operations.example(asks.shape), Create) for asks in asked)

    def _edit(self, world: World, fresh: int) -> Shaped:
        pending = tuple(at != DONE for at in world.events)
        both, counts = pattern(world.crm.versions)
        name = world.table.shape, world.crm.shape, world.edits, pending
        if name not in self._edited:
            crm = do_edit(
                self.scenario.edits[world.edits],
                self._crms.value(world.crm.shape, [_name(count) for count in both]),
                self._tables.example(world.table.shape),
                fresh=_name(len(counts)),
                pending=[event for event, waits in zip(self.events, pending, strict=True) if waits],
                events=self.scenario.sent,
                rules=self.rules[-1],
                missing=self.scenario.organisation.missing,
                there=self.scenario.there,
            )
            self._edited[name] = self._shaped(self._crms, crm)
        return _named(self._edited[name], (*counts, fresh))

    def _can_sweep(self, world: World) -> bool:
        if len(self.rules) == 1 or world.events[-1].shape >= 0 or world.events[-1] == WAITING:
            return False
        row = self._tables.example(world.table.shape).rows.get(MEETING)
        return row is not None and row.parked_under not in {None, world.rules}

    def _can_replay(self, world: World) -> bool:
        """Whether there are dead letters to send again, and the admin has mended what they tell of."""
        return self.scenario.people_from <= world.rules and any(self._to_replay(world))

    def _to_replay(self, world: World) -> Iterator[tuple[int, Remove]]:
        """The events that have a dead letter and nothing else, with what removes it."""
        ended = {DONE, DEAD}
        sent = {who for who, _ in world.late}
        for name, dead_letter in _spelled(self._tables, world.table).dead_letters.items():
            numbers = [
                n for n, event in enumerate(self.events) if event.dead_letter == name and world.events[n] in ended
            ]
            if numbers and not {number + _REMOVAL for number in numbers} & sent:
                yield numbers[0], Remove(name, dead_letter.version)

    def _replay(self, world: World) -> World:
        """Each is sent first and its dead letter removed after, sooner or later."""
        for number, removal in list(self._to_replay(world)):
            world = _with_event(world, number, WAITING)
            world = _with_late(world, (number + _REMOVAL, self._shaped(self._operations, removal)))
        return world

    def _sweep(self, world: World) -> World:
        """The sweep sends the event, and notes that it has."""
        return _with_event(self._recorded(world, world.rules), len(world.events) - 1, WAITING)

    def _forgets_parked(self, world: World, number: int, outcome: Outcome) -> World:
        """What the sweep sent on and went out leaves the index of parked meetings, unless it was parked again since."""
        if number < len(self.scenario.events) or outcome.kind == "parked":
            return world
        row = self._tables.example(world.table.shape).rows.get(MEETING)
        return world if row is None or row.meeting.held else self._recorded(world, None)

    def _recorded(self, world: World, settings: int | None) -> World:
        table = _spelled(self._tables, world.table)
        row = replace(table.rows[MEETING], parked_under=settings)
        noted = replace(table, rows={**table.rows, MEETING: row})
        return world._replace(table=self._shaped(self._tables, noted))


def _name(count: int) -> Version:
    return Version(f"#{count}")


def _count(version: Version) -> int:
    return int(version[1:])


def _spelled(shapes: Shapes[T], shaped: Shaped) -> T:
    return shapes.value(shaped.shape, [_name(count) for count in shaped.versions])


def _named(shaped: Shaped, names: Sequence[int] | Mapping[int, int]) -> Shaped:
    """`shaped` with other names for its versions: `names` of those that it has."""
    return Shaped(shaped.shape, tuple([names[count] for count in shaped.versions])) if shaped.versions else shaped


def _tidy(world: World) -> World:
    """The same world with its versions counted in the order in which they appear."""
    table, crm, events, late, *_ = world
    names = table.versions + crm.versions
    for at in events:
        names += at.versions
    for _, asks in late:
        names += asks.versions
    counts = _counts(names)
    if counts is None:
        return world
    return World(
        _named(table, counts),
        _named(crm, counts),
        tuple([_named(at, counts) for at in events]),
        tuple([(number, _named(asks, counts)) for number, asks in late]),
        *world[4:],
    )


@cache
def _counts(names: Names) -> Mapping[int, int] | None:
    """The count of each name in order of appearance; None where each is its own count."""
    _, counts = pattern(names)
    return None if all(name == count for name, count in counts.items()) else counts


def _with_late(world: World, request: tuple[int, Shaped]) -> World:
    return world._replace(late=tuple(sorted((*world.late, request), key=lambda one: one[0])))


def _with_event(world: World, number: int, at: Shaped) -> World:
    events = (*world.events[:number], at, *world.events[number + 1 :])
    return World(world.table, world.crm, events, *world[3:])

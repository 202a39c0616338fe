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

Whoever dies has its event delivered again. Two pieces of the state space are left out because they hold nothing new:
asking the directory has no place in the schedule (it changes nothing), and of two equal events that wait the first is
taken first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, assert_never

from shared.core.apply import Rules, apply
from shared.core.errors import Transient
from shared.core.merge import Fields
from simulation.histories import Histories, Run
from simulation.interned import Interned
from simulation.operations import Acknowledge, Answer, Create, Load, Operation, Save
from simulation.people import do_edit
from simulation.scenario import MEETING, Event, Scenario, Variant, ports
from simulation.scenario import rules as everything_on
from simulation.stores import Crm, Table, on_crm, on_table

WAITING, DONE, ABSENT = -1, -2, -3
STEP_KINDS: tuple[Literal["", "-", "+", "~", "="], ...] = ("", "-", "+", "~", "=")
StepKind = Literal["", "-", "+", "~", "="]


class World(NamedTuple):
    """Everything at one moment, in numbers.

    table, crm   the stores
    events       per event: WAITING, DONE, ABSENT, or the history of the worker that carries it
    late         requests on their way: (event, operation)
    edits        how many edits people have made
    faults       how many faults there may still be
    rules        the settings that a worker starts with
    """

    table: int
    crm: int
    events: tuple[int, ...]
    late: tuple[tuple[int, int], ...] = ()
    edits: int = 0
    faults: int = 0
    rules: int = 0


class Violation(AssertionError):
    """A promise that was broken."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores, spelled out."""

    table: Table
    crm: Crm


class Simulation:
    """One scenario, run by the product or by a variant of it with a bug put in."""

    def __init__(self, scenario: Scenario, variant: Variant) -> None:
        self.scenario = scenario
        self.rules: tuple[Rules, ...] = scenario.rules or (everything_on(),)
        self._variant = variant
        self._tables: Interned[Table] = Interned()
        self._crms: Interned[Crm] = Interned()
        self._operations: Interned[Operation] = Interned()
        self._answers: Interned[Answer] = Interned()
        self.histories = Histories(self._operations.number, self._answers.__getitem__)
        self._performed: dict[tuple[int, int], tuple[int, int]] = {}
        self._edited: dict[tuple[int, int, int, tuple[bool, ...]], int] = {}
        # After the events of the scenario comes one that only the sweep sends.
        sweeps = len(self.rules) > 1
        self.events = (*scenario.events, Event(0, {})) if sweeps else scenario.events
        self._waits_for_an_equal = tuple(
            next((i for i in range(n) if self.events[i] == self.events[n]), None) for n in range(len(self.events))
        )

    def start(self) -> World:
        """The world in which the case begins: `before` is done, everything else waits."""
        table, crm = self._tables.number({}), self._crms.number(Crm())
        for told in self.scenario.before:
            at = self._begin(told, 0)
            while not self.histories[at].ended:
                asks = self.histories[at].asks
                table, crm, answer = self._perform(asks, table, crm)
                at = self.histories.after(at, answer)
        events = [WAITING] * len(self.scenario.events) + [ABSENT] * (len(self.events) - len(self.scenario.events))
        return World(table, crm, tuple(events), faults=self.scenario.faults)

    def stores(self, world: World) -> Stores:
        """The stores, spelled out."""
        return Stores(self._tables[world.table], self._crms[world.crm])

    def is_quiet(self, world: World) -> bool:
        """Whether everything that was accepted is done and nothing is on its way."""
        return not world.late and all(at in {DONE, ABSENT} for at in world.events)

    def operation(self, world: World, move: str) -> Operation | None:
        """The operation that `move` is about, for people to read."""
        if move in {"p", "s", "r"}:
            return None
        number = int(move.strip("-+~=")) - 1
        if move.startswith("~"):
            return self._operations[next(asks for who, asks in world.late if who == number)]
        at = world.events[number]
        at = self._begin(self.events[number], world.rules) if at == WAITING else at
        return self._operations[self.histories[at].asks]

    def answer(self, world: World, move: str) -> Answer:
        """What the stores answer to the operation of `move`."""
        operation = self.operation(world, move)
        assert operation is not None
        _, _, answer = self._perform(self._operations.number(operation), world.table, world.crm)
        return self._answers[answer]

    def moves(self, world: World) -> Iterator[str]:
        """Everything that can happen now."""
        under_way = sum(at >= 0 for at in world.events)
        for number, at in enumerate(world.events):
            if at < 0 and (at != WAITING or under_way >= self.scenario.workers or self._is_second(world, number)):
                continue
            yield str(number + 1)
            if world.faults:
                asks = self.histories[self._begin(self.events[number], world.rules) if at == WAITING else at].asks
                kinds = STEP_KINDS[1:] if self._operations[asks].writes else STEP_KINDS[1:3]
                yield from (f"{number + 1}{kind}" for kind in kinds if at != WAITING or kind != "-")
        yield from dict.fromkeys(f"~{number + 1}" for number, _ in world.late)
        if world.edits < len(self.scenario.edits) and self._can_edit(world):
            yield "p"
        if world.rules + 1 < len(self.rules):
            yield "s"
        if self._can_sweep(world):
            yield "r"

    def after(self, world: World, move: str) -> World:
        """The world after `move`. Raises `Violation` where a worker ends in a way that it must not."""
        match move:
            case "p":
                return world._replace(crm=self._edit(world), edits=world.edits + 1)
            case "s":
                return world._replace(rules=world.rules + 1)
            case "r":
                return _with_event(world, len(world.events) - 1, WAITING)
        if move.startswith("~"):
            return self._arrive(world, int(move[1:]) - 1)
        if move[-1] in "-+~=":
            return self._step(world, int(move[:-1]) - 1, move[-1])  # type: ignore[arg-type] # one of the four
        return self._step(world, int(move) - 1, "")

    def _step(self, world: World, number: int, kind: StepKind) -> World:
        at = world.events[number]
        if at == WAITING:
            at = self._begin(self.events[number], world.rules)
        node = self.histories[at]
        left = DONE if node.acknowledged else WAITING
        if kind:
            world = world._replace(faults=world.faults - 1)
        match kind:
            case "-":
                return _with_event(world, number, left)
            case "~":
                late = tuple(sorted((*world.late, (number, node.asks)), key=lambda one: one[0]))
                return _with_event(world._replace(late=late), number, left)
            case "+":
                world, _ = self._performed_in(world, node.asks)
                return _with_event(world, number, left)
            case "=":
                world, _ = self._performed_in(world, node.asks)
            case "":
                pass
            case _:
                assert_never(kind)
        world, answer = self._performed_in(world, node.asks)
        return _with_event(world, number, self._settled(self.histories.after(at, answer)))

    def _settled(self, at: int) -> int:
        """Where an event stands whose worker is at `at`: ended well is done."""
        node = self.histories[at]
        if not node.ended:
            return at
        if isinstance(node.error, Transient) and self.scenario.workers > 2:
            return WAITING  # many at once may wear a worker out; its event comes again
        if node.error is not None:
            raise Violation(f"the worker gave up: {type(node.error).__name__}: {node.error}") from node.error
        return DONE

    def _arrive(self, world: World, number: int) -> World:
        index = next(index for index, (who, _) in enumerate(world.late) if who == number)
        _, asks = world.late[index]
        world, _ = self._performed_in(world, asks)
        return world._replace(late=world.late[:index] + world.late[index + 1 :])

    def _performed_in(self, world: World, asks: int) -> tuple[World, int]:
        table, crm, answer = self._perform(asks, world.table, world.crm)
        return world._replace(table=table, crm=crm), answer

    def _perform(self, asks: int, table: int, crm: int) -> tuple[int, int, int]:
        """The stores after the operation, and the number of its answer."""
        operation = self._operations[asks]
        if isinstance(operation, Load | Save | Acknowledge):
            found = self._performed.get((asks, table))
            if found is None:
                new_table, said = on_table(operation, self._tables[table])
                found = self._performed[asks, table] = self._tables.number(new_table), self._answers.number(said)
            return found[0], crm, found[1]
        found = self._performed.get((asks, -crm - 1))
        if found is None:
            new_crm, said = on_crm(operation, self._crms[crm], self.scenario.organisation)
            found = self._performed[asks, -crm - 1] = self._crms.number(new_crm), self._answers.number(said)
        return table, found[0], found[1]

    def _begin(self, told: Event, settings: int) -> int:
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

        return self.histories.begin((id(self.events), told.at, repr(told), settings), start)

    def _is_second(self, world: World, number: int) -> bool:
        first = self._waits_for_an_equal[number]
        return first is not None and world.events[first] == WAITING

    def _can_edit(self, world: World) -> bool:
        if not self._crms[world.crm].appointments:
            return False
        # A create that is still on its way brings back what a person deletes meanwhile: nothing in the row could tell.
        creating = [asks for _, asks in world.late] + [self.histories[at].asks for at in world.events if at >= 0]
        deletes = self.scenario.edits[world.edits].deletes
        return not deletes or not any(isinstance(self._operations[asks], Create) for asks in creating)

    def _edit(self, world: World) -> int:
        pending = tuple(at != DONE for at in world.events)
        name = world.table, world.crm, world.edits, pending
        if name not in self._edited:
            told = [one for one, is_pending in zip(self.events, pending, strict=True) if is_pending]
            crm = do_edit(
                self.scenario.edits[world.edits],
                self.stores(world).crm,
                self._tables[world.table],
                pending=told,
                rules=self.rules[-1],
                missing=self.scenario.organisation.missing,
            )
            self._edited[name] = self._crms.number(crm)
        return self._edited[name]

    def _can_sweep(self, world: World) -> bool:
        if len(self.rules) == 1 or world.events[-1] >= 0 or world.events[-1] == WAITING:
            return False
        row = self._tables[world.table].get(str(MEETING))
        return row is not None and row.rules is not None and row.rules != world.rules


def _with_event(world: World, number: int, at: int) -> World:
    return world._replace(events=world.events[:number] + (at,) + world.events[number + 1 :])

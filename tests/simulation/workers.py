"""Where a worker stands: its coroutine, suspended at an operation, told apart by what is in its frames.

A coroutine cannot be copied. So for each place where a worker can stand, the answers are kept that led there first; to go
on from there in a second way, a fresh coroutine is fed those answers again.

Two workers are at the same place where all their frames are: the same code, the same instruction, and equal values in
the variables that will still be read (but for the names of versions, see `interned`). The one thing left out is how many
rounds a worker has made: with endless patience it may go round for ever, which says more than stopping it after twelve.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CoroutineType, FrameType, GeneratorType
from typing import Any
from unittest.mock import patch

from shared.errors import SyncError
from shared.meeting.apply import Outcome
from tests.simulation.interned import Names, Shaped, Shapes, Version, hashable, pattern, split, version_names
from tests.simulation.live_variables import live_at
from tests.simulation.operations import Acknowledge, Answer, Operation

Run = Coroutine[Operation, Answer, Outcome | SyncError]
_FOR_EVER = 10**9
_ROUND_COUNTERS = frozenset({"round_", "_"})


@contextmanager
def endless_patience() -> Iterator[None]:
    """No worker gives up after so many rounds."""
    with ExitStack() as stack:
        for module in ("apply", "dead_letters"):
            stack.enter_context(patch(f"shared.meeting.{module}.MAX_ROUNDS", _FOR_EVER))
        yield


@dataclass(slots=True)
class Place:
    """One place.

    asks          the operation that comes next, its versions by their position in `versions`; None at the end
    outcome,
    dead, error   how it ended: well, as a dead letter for this reason, or not even that
    acknowledged  the queue has been told that the event is done
    versions      those that the worker who came here first remembers
    """

    start: Callable[[], Run]
    parent: Place | None = None
    answer: Answer | None = None
    acknowledged: bool = False
    asks: Shaped | None = None
    outcome: Outcome | None = None
    dead: SyncError | None = None
    error: SyncError | None = None
    versions: tuple[Version, ...] = ()
    live: Run | None = None

    @property
    def history(self) -> list[Answer]:
        """The answers that led here."""
        answers: list[Answer] = []
        at: Place | None = self
        while at is not None and at.answer is not None:
            answers.append(at.answer)
            at = at.parent
        return answers[::-1]


class Places:
    """All places seen; a worker is a place and the versions that it remembers."""

    def __init__(self, operations: Shapes[Operation], answers: Shapes[Answer], *, tell_apart: TellApart) -> None:
        self._tell_apart = tell_apart
        self._operations = operations
        self._answers = answers
        self._places: list[Place] = []
        self._numbers: dict[Hashable, int] = {}
        self._first: dict[Hashable, Shaped] = {}
        self._following: dict[tuple[int, int, Names], Shaped] = {}
        self._exactly: dict[tuple[Shaped, Shaped], Shaped] = {}
        self._asks: dict[Shaped, Shaped] = {}
        self._names = version_names()

    def __getitem__(self, worker: Shaped) -> Place:
        return self._places[worker.shape]

    def __len__(self) -> int:
        return len(self._places)

    def begin(self, name: Hashable, start: Callable[[], Run]) -> Shaped:
        """A worker that has just taken an event. `name`: equal for workers that do the same."""
        if name not in self._first:
            number, _ = self._go_on(Place(start), start())
            self._first[name] = Shaped(number)
        return self._first[name]

    def asks(self, worker: Shaped) -> Shaped:
        """The operation that comes next."""
        found = self._asks.get(worker)
        if found is None:
            asks = self._places[worker.shape].asks
            assert asks is not None
            found = Shaped(asks.shape, tuple(worker.versions[position] for position in asks.versions))
            self._asks[worker] = found
        return found

    def after(self, worker: Shaped, answer: Shaped) -> Shaped:
        """The worker after it was given `answer`."""
        exactly = self._exactly.get((worker, answer))
        if exactly is not None:
            return exactly
        both, counts = pattern(worker.versions + answer.versions)
        name = worker.shape, answer.shape, both
        found = self._following.get(name)
        if found is None:
            found = self._following[name] = self._first_time(worker.shape, answer.shape, both)
        actual = tuple(counts)
        following = Shaped(found.shape, tuple(actual[count] for count in found.versions))
        self._exactly[worker, answer] = following
        return following

    def _first_time(self, number: int, answer_shape: int, both: Names) -> Shaped:
        """`after` in a coroutine: the versions of the answer under the names that this coroutine knows them by."""
        place = self._places[number]
        known = dict(zip(both, place.versions, strict=False))
        of_answer = both[len(place.versions) :]
        for count in of_answer:
            if count not in known:
                known[count] = next(self._names)
        answer = self._answers.value(answer_shape, [known[count] for count in of_answer])
        run, place.live = place.live or self._again(place), None
        following, versions = self._go_on(Place(place.start, place, answer, place.acknowledged), run)
        counts = {version: count for count, version in known.items()}
        return Shaped(following, tuple(counts[version] for version in versions))

    def _again(self, place: Place) -> Run:
        """A fresh coroutine that has come as far as `place`."""
        run = place.start()
        run.send(None)  # type: ignore[arg-type] # the first value sent into a coroutine is None
        for answer in place.history:
            run.send(answer)
        return run

    def _go_on(self, place: Place, run: Run) -> tuple[int, tuple[Version, ...]]:
        """Give `run` the answer of `place`; the number of the place where it comes to, and what it remembers there."""
        versions: tuple[Version, ...] = ()
        try:
            operation = run.send(place.answer)  # type: ignore[arg-type] # see above
        except StopIteration as end:
            name: Hashable
            if isinstance(end.value, SyncError):
                place.dead = end.value
                name = ("dead", type(end.value), str(end.value), place.acknowledged)
            else:
                place.outcome = end.value
                name = ("ended", end.value.kind, place.acknowledged)
        except SyncError as error:
            place.error = error
            name = ("gave up", type(error), str(error), place.acknowledged)
        else:
            place.live = run
            place.acknowledged = place.acknowledged or isinstance(operation, Acknowledge)
            shape, versions = split((hashable(operation), self._tell_apart(place, run)))
            number, asked = self._operations.number(operation)
            place.asks = Shaped(number, tuple(versions.index(version) for version in asked))
            name = (shape, place.acknowledged)
        found = self._numbers.get(name)
        if found is None:
            place.versions = versions
            found = self._numbers[name] = len(self._places)
            self._places.append(place)
        return found, versions


TellApart = Callable[[Place, Run], Hashable]


def by_frames(place: Place, run: Run) -> Hashable:
    """All that a suspended coroutine is: its frames and those that it awaits, down to the operation."""
    del place
    found: list[Hashable] = []
    at: Any = run
    while at is not None:
        frame: FrameType
        if isinstance(at, CoroutineType):
            frame, following = at.cr_frame, at.cr_await  # type: ignore[assignment]
        elif isinstance(at, GeneratorType):
            frame, following = at.gi_frame, at.gi_yieldfrom  # type: ignore[assignment]
        else:
            raise TypeError(at)
        live = live_at(frame.f_code, frame.f_lasti) - _ROUND_COUNTERS
        variables = {name: value for name, value in frame.f_locals.items() if name in live}
        found.append((frame.f_code, frame.f_lasti, hashable(variables)))
        at = following
    return tuple(found)


def by_history(place: Place, run: Run) -> Hashable:
    """All that a worker was ever told: surely enough, but without end where two workers hinder each other."""
    del run
    return id(place.start), hashable(place.history)

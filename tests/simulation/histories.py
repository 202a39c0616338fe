"""Where a worker stands, known by what it has seen: `apply` is deterministic, so its answers so far say everything.

A coroutine cannot be copied. So the histories form a tree: a node is one history and knows the operation that the worker
asks for next. To branch, a fresh coroutine is fed the answers again.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from shared.core.apply import Outcome
from shared.core.errors import SyncError
from simulation.operations import Acknowledge, Answer, Operation

Run = Coroutine[Operation, Answer, Outcome]


@dataclass(slots=True)
class History:
    """One worker at one point: what it asks for next (`asks`), or how it ended (`outcome`, `error`).

    `acknowledged`: the queue has been told that the event is done.
    """

    start: Callable[[], Run]
    parent: History | None = None
    answer: Answer | None = None
    acknowledged: bool = False
    asks: int = -1
    outcome: Outcome | None = None
    error: Exception | None = None
    children: dict[int, int] = field(default_factory=dict)
    live: Run | None = None

    @property
    def ended(self) -> bool:
        """Whether the worker is through with its event."""
        return self.asks < 0


class Histories:
    """All histories seen; a history is named by its number."""

    def __init__(self, number_of: Callable[[Operation], int], answer_at: Callable[[int], Answer]) -> None:
        self._number_of = number_of
        self._answer_at = answer_at
        self._nodes: list[History] = []
        self._roots: dict[object, int] = {}

    def __getitem__(self, number: int) -> History:
        return self._nodes[number]

    def begin(self, name: object, start: Callable[[], Run]) -> int:
        """A worker that has just taken an event. `name`: equal for workers that cannot be told apart."""
        if name not in self._roots:
            node = History(start)
            self._roots[name] = self._add(node)
            self._go_on(node, start(), None)
        return self._roots[name]

    def after(self, number: int, answer: int) -> int:
        """The worker `number` after it was given `answer`."""
        node = self._nodes[number]
        found = node.children.get(answer)
        if found is None:
            child = History(node.start, node, self._answer_at(answer), node.acknowledged)
            found = node.children[answer] = self._add(child)
            run, node.live = node.live, None
            self._go_on(child, run or self._again(node), child.answer)
        return found

    def _add(self, node: History) -> int:
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _again(self, node: History) -> Run:
        """A fresh coroutine that has come as far as `node`."""
        answers: list[Answer] = []
        at: History | None = node
        while at is not None and at.answer is not None:
            answers.append(at.answer)
            at = at.parent
        run = node.start()
        run.send(None)  # type: ignore[arg-type] # the first value sent into a coroutine is None
        for answer in reversed(answers):
            run.send(answer)
        return run

    def _go_on(self, node: History, run: Run, answer: Answer | None) -> None:
        try:
            operation = run.send(answer)  # type: ignore[arg-type] # see above
        except StopIteration as end:
            node.outcome = end.value
        except SyncError as error:
            node.error = error
        else:
            node.asks = self._number_of(operation)
            node.acknowledged = node.acknowledged or isinstance(operation, Acknowledge)
            node.live = run

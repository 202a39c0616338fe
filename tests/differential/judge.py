"""Plays a history through the product and through the model, and says what is different; finds the smallest that is."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tests.differential.histories import history
from tests.differential.model import Model, differences
from tests.differential.product import played
from tests.differential.steps import History, Outage, Say, Step


def replay(history: History) -> list[str]:
    """One sentence for everything that is not as it must be at the end of `history`."""
    world = played(history)
    model = Model(history)
    found = list(differences(model, world.seen()))
    known = {number for number, row in world.seen().items() if row is not None}
    if len(world.crm.appointments) != len(known):
        found.append(f"{len(world.crm.appointments)} appointments for {len(known)} meetings")
    unsure = {f"meeting:{number}" for number, meeting in model.meetings.items() if meeting.unsure}
    return [*found, *(f"a dead letter: {why}" for meeting, why in world.dead_letters() if meeting not in unsure)]


def fault(history: History) -> str:
    """The first thing that is not as it must be, without values; an error that escapes is one too."""
    try:
        found = replay(history)
    except Exception as error:  # noqa: BLE001 - whatever it is, the smallest history that raises it is wanted
        return type(error).__name__
    return found[0].partition(" is ")[0] if found else ""


def first_fault(numbers: Iterable[int]) -> str | None:
    """The first history of these that ends otherwise, as small as it gets, with what is different; None: none does."""
    for number in numbers:
        if not fault(history(number)):
            continue
        small = smallest(history(number))
        try:
            sentences = "\n".join(replay(small))
        except Exception:  # noqa: BLE001 - told, whatever it is
            sentences = traceback.format_exc()
        return f"history {number}:\n{small!r}\n{sentences}"
    return None


def smallest(found: History, fault_of: Callable[[History], str] = fault) -> History:
    """A history with the same fault, of which nothing can be left out."""
    known = fault_of(found)
    while (smaller := next((one for one in _smaller(found) if fault_of(one) == known), None)) is not None:
        found = smaller
    return found


def _smaller(found: History) -> Iterator[History]:
    """Everything that is a little less."""
    steps = found.steps
    for size in (len(steps) // 2, len(steps) // 4, 1):
        for start in range(0, len(steps), max(size, 1)):
            if size:
                yield replace(found, steps=steps[:start] + steps[start + size :])
    for place, step in enumerate(steps):
        for less in _less(step):
            yield replace(found, steps=(*steps[:place], *less, *steps[place + 1 :]))


def _less(step: Step) -> Iterator[tuple[Step, ...]]:
    if isinstance(step, Outage):
        yield step.says
        for place, say in enumerate(step.says):
            before, after = step.says[:place], step.says[place + 1 :]
            if before or after:
                yield (replace(step, says=before + after),)
            yield from ((replace(step, says=(*before, less, *after)),) for less in _says_less(say))
    elif isinstance(step, Say):
        yield from ((less,) for less in _says_less(step))


def _says_less(say: Say) -> Iterator[Say]:
    if say.trouble:
        yield replace(say, trouble=say.trouble[1:])
    if say.claims:
        yield replace(say, claims="")
    for name in say.attributes:
        yield replace(say, attributes={key: value for key, value in say.attributes.items() if key != name})
    for name in say.related:
        yield replace(say, related={key: value for key, value in say.related.items() if key != name})

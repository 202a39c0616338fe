from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from shared.meeting import apply, decide, meeting, stamps
from shared.meeting.merge import Facts, Merged
from tests.differential import model, steps, told
from tests.differential.histories import history
from tests.differential.judge import fault, first_fault, replay, smallest
from tests.differential.steps import Delete, Edit, History, Say, Step, Wait
from tests.summary import SUMMARY

# `python -m tests.differential 5000` plays as many as one likes; these few take half a minute of one core.
HISTORIES = 300
# So many in one test.
SOME = 150
BOOKED = Say(
    1,
    1,
    {"title": "Intro", "startTime": "2026-12-02T15:00:00Z", "endTime": "2026-12-02T15:30:00Z"},
    {"prospects": (101, 102), "user": 1},
    "created",
)


@pytest.mark.parametrize("part", range(HISTORIES // SOME))
def test_every_history_ends_as_the_model_says(part: int, pytestconfig: pytest.Config) -> None:
    """Whatever was delivered, edited and refused in whichever order: Dynamics holds what is right, column by column."""
    many = SOME * (10 if pytestconfig.getoption("everything") else 1)
    found = first_fault(range(part * many, (part + 1) * many))
    assert found is None, found
    if part == 0:
        played = many * HISTORIES // SOME
        pytestconfig.stash[SUMMARY].append(f"differential: {played:,} random histories, each against the model")


@pytest.mark.parametrize("module", [model, told, steps], ids=lambda module: module.__name__)
def test_the_model_knows_nothing_of_the_product(module: object) -> None:
    """It imports the standard library and its own modules, so that no mistake of the product is in it too."""
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "shared" not in {name.partition(".")[0] for name in names}
    assert {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} <= {
        steps.__name__,
        told.__name__,
    }


def test_equal_numbers_give_equal_histories_and_their_text_plays_again() -> None:
    """A history that is printed is Python, and means the same."""
    spoken = {name: getattr(steps, name) for name in vars(steps) if not name.startswith("_")}
    for number in range(100):
        assert history(number) == history(number)
        assert eval(repr(history(number)), spoken) == history(number)  # noqa: S307 - its own text


def _later_arrival_wins(facts: Facts, patch_: Facts) -> Merged:
    return Merged({**facts, **patch_}, frozenset(patch_))


# A bug by what it breaks: what is put in its place.
BUGS: dict[str, Callable[[], Any]] = {
    "the later stamp wins": lambda: patch.object(meeting, "merge", _later_arrival_wins),
    "a person's edit stays": lambda: patch.object(decide, "is_applied", lambda *_: False),
    "a stamp is bounded by the delivery": lambda: patch.object(stamps, "MAX_CLOCK_AHEAD", timedelta(days=10**6)),
    "the state is given back": lambda: patch.object(apply, "state_to_end_in", lambda *_: (0, 1)),
}


@pytest.mark.parametrize("broken", BUGS)
def test_a_bug_put_in_on_purpose_is_found(broken: str) -> None:
    """Without any one of the rules some history ends otherwise."""
    with BUGS[broken]():
        assert any(fault(history(number)) for number in range(300))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"subject": "Other"}, "meeting 1: subject is 'Other', must be 'Intro'"),
        ({"state": (1, 3)}, "meeting 1: state is (1, 3), must be (0, 1)"),
        ({"parties": ()}, "meeting 1: parties is ()"),
        ({"organizer": None}, "meeting 1: organizer is None"),
    ],
)
def test_the_judge_says_what_is_different(wrong: dict[str, object], sentence: str) -> None:
    """By meeting and column."""
    right = model.Model(History((BOOKED,)))
    there = right.meetings[1].appointment
    assert there is not None
    actual = {name: next(iter(values)) for name, values in there.columns.items()}
    actual["parties"] = ((told.CONTACTS[1], 5), (told.CONTACTS[2], 5))
    assert list(model.differences(right, {1: actual})) == []
    (found,) = model.differences(right, {1: actual | wrong})
    assert found.startswith(sentence)
    assert list(model.differences(right, {})) == ["meeting 1: there is no appointment"]


def test_what_fails_is_made_smaller_until_nothing_can_be_left_out() -> None:
    """Steps, what they say, and what they meet."""
    long = History((*history(1).steps, BOOKED, Edit(1, {"subject": "Mine"}), Wait(2), Delete(1), *history(2).steps))

    def edited_and_then_deleted(one: History) -> str:
        kinds: list[type[Step]] = [type(step) for step in one.steps]
        return "so" if Edit in kinds and Delete in kinds[kinds.index(Edit) :] else ""

    found = smallest(long, edited_and_then_deleted)
    assert len(found.steps) == 2


def test_one_of_each_plays_alike() -> None:
    """A person's edit stays while Outreach changes something else, and goes when Outreach changes the same."""
    mine = Edit(1, {"subject": "Mine", "location": "My room"})
    other = Say(1, 2, {"title": "Demo"}, trouble=("not_answered", "503"))
    assert replay(History((BOOKED, mine, other, BOOKED, Delete(1), Say(1, 3, {"location": "Room 1"})))) == []

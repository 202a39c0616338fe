"""The tree of errors is the one that its docstring draws, and each error can be put into words."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import shared
from shared import errors
from shared.errors import (
    BadDelivery,
    BadMapping,
    BadSettings,
    NotStored,
    Permanent,
    RowConflict,
    SyncError,
    Transient,
    Unmappable,
    describe,
)
from shared.meeting.ports import TargetMissing

_BRANCH = re.compile(r"^((?:│   |    )*)(?:├── |└── )(\w+).*?(?:\((\w+/\w+\.py)\))?$", re.MULTILINE)


def drawn() -> dict[str, tuple[str, str]]:
    """The docstring's tree: each class with its parent and its module."""
    above = ["SyncError"]
    found = {}
    for indent, name, file in _BRANCH.findall(errors.__doc__ or ""):
        above = [*above[: len(indent) // 4 + 1], name]
        module = "shared." + file.removesuffix(".py").replace("/", ".") if file else "shared.errors"
        found[name] = (above[-2], module)
    return found


def classes(of: type[SyncError] = SyncError) -> Iterator[type[SyncError]]:
    """Every error of the app, from the top down."""
    for one in of.__subclasses__():
        if one.__module__.startswith("shared."):
            yield one
            yield from classes(one)


def test_the_tree_is_drawn_as_it_is() -> None:
    """Every error of the app stands in the docstring, below its parent, with the module where it is not that one."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(module.name)
    assert drawn() == {one.__name__: (one.__bases__[0].__name__, one.__module__) for one in classes()}


def test_there_is_no_other_tree() -> None:
    """No module of the app raises errors of its own beside the tree."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        for name, one in vars(importlib.import_module(module.name)).items():
            if isinstance(one, type) and issubclass(one, Exception) and one.__module__.startswith("shared."):
                assert issubclass(one, SyncError), name


BUSY = Transient("Dynamics is busy.", service="dataverse", status=503, request_id="r", retry_after=5.0)


@pytest.mark.parametrize(
    ("error", "status", "code", "refusal", "words"),
    [
        (BadDelivery("not_json", "No JSON.", status=413), 413, "not_json", "not_json", "No JSON."),
        (BadSettings(["One.", "Two."]), 503, "not_configured", "not_configured", "One. Two."),
        (BadMapping(["One."]), 503, "not_configured", "not_configured", "One."),
        (BUSY, 503, "503", "dataverse_unavailable", "Dynamics is busy. It may pass by itself: try again in a while."),
        (
            Transient("Not let in.", service="dataverse", status=401, code="401"),
            503,
            "401",
            "dataverse_unavailable",
            "Not let in. Check the identity (az login on a laptop), and that its user exists in Dynamics.",
        ),
        (
            Transient("Is OUTREACH_API_URL right?", service="outreach", status=200, code="not_outreach"),
            503,
            "not_outreach",
            "outreach_unavailable",
            "Is OUTREACH_API_URL right?",
        ),
        (Permanent("No.", service="dataverse", status=400, code="0x1"), 503, "0x1", "dataverse_unavailable", "No."),
        (
            Unmappable("wrong_type", "title: text was expected."),
            422,
            "wrong_type",
            "wrong_type",
            "title: text was expected. Correct it in Outreach or in the mapping file, then send it again.",
        ),
        (RowConflict("412"), 503, "row_conflict", "row_conflict", "Table row changed meanwhile. Try again."),
        (TargetMissing("0x80040217"), 500, "TargetMissing", "TargetMissing", "Dynamics has no such record."),
        (
            TimeoutError(),
            503,
            "timeout",
            "timeout",
            "No answer in time. It may pass by itself: try again in a while.",
        ),
        (
            ZeroDivisionError("a secret"),
            500,
            "unforeseen",
            "unforeseen",
            "An error in the app itself (ZeroDivisionError); its log says where.",
        ),
    ],
)
def test_each_error_in_words(error: Exception, status: int, code: str, refusal: str, words: str) -> None:
    """Status, code, what happened and what to do; a stranger's error keeps its own words to itself."""
    described = describe(error)
    assert (described.status, described.code, described.refusal, described.words) == (status, code, refusal, words)


@pytest.mark.parametrize("reason", ["bounds", "waited", "copy"])
def test_a_delivery_that_was_not_stored_is_to_be_sent_again(reason: str) -> None:
    """Whatever kept it from being stored."""
    described = describe(NotStored(reason))  # type: ignore[arg-type]
    assert (described.refusal, described.advice) == ("storage_unavailable", "Send it again.")


def test_what_may_pass() -> None:
    """Only what may pass is tried again; a pause is no attempt; an error in the app has less patience."""
    assert (describe(BUSY).may_pass, describe(BUSY).retry_after, describe(BUSY).request_id) == (True, 5.0, "r")
    assert not describe(Permanent("No.", service="dataverse")).may_pass
    assert not describe(Unmappable("x", "y")).may_pass
    assert not describe(BUSY).paused
    assert describe(Transient("Waiting.", service="dataverse", code="paused")).paused
    assert describe(ValueError()).unforeseen
    assert not describe(TimeoutError()).unforeseen


def test_how_far_an_event_got_is_kept() -> None:
    """An error that met an event says whether the event is remembered, and in which row."""
    error = Permanent("No.", service="dataverse")
    error.merged, error.meeting = True, "meeting:5"
    assert (describe(error).merged, describe(error).meeting) == (True, "meeting:5")

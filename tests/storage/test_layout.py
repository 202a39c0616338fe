from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.errors import Transient
from shared.storage.layout import NewerLayout, read, upgraded, version_of


def _from_1(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**stored, "two": stored["one"]}


def _from_2(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**stored, "three": stored["two"]}


UPGRADES = (_from_1, _from_2)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"one": 1}, {"one": 1, "two": 1, "three": 1}),
        ({"version": 1, "one": 1}, {"version": 1, "one": 1, "two": 1, "three": 1}),
        ({"version": 2, "two": 2}, {"version": 2, "two": 2, "three": 2}),
        ({"version": 3, "three": 3}, {"version": 3, "three": 3}),
    ],
)
def test_upgrades_are_a_chain(stored: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each leads from one version to the next; what has no version is of the first."""
    assert upgraded(stored, UPGRADES) == expected


def test_a_newer_layout_is_trouble_that_passes() -> None:
    """It waits for the version of the app that knows it."""
    with pytest.raises(NewerLayout) as caught:
        upgraded({"version": version_of(UPGRADES) + 1}, UPGRADES)
    assert isinstance(caught.value, Transient)
    assert (caught.value.service, caught.value.code) == ("storage", "newer_version")


@dataclass
class _Shown:
    name: str
    count: int = 1
    tags: tuple[str, ...] = ()


def test_a_row_that_is_shown_is_read_as_far_as_it_is_known() -> None:
    """An older one has the defaults, and what a newer one has beside is left alone."""
    assert read(_Shown, {"name": "old"}) == _Shown("old")
    assert read(_Shown, {"name": "new", "count": 2, "tags": "a b", "advice": "x"}, tags=("a", "b")) == _Shown(
        "new", 2, ("a", "b")
    )

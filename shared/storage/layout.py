"""Versions of what is stored: what an older version of the app wrote is upgraded, what a newer one wrote waits.

A stored document says which version its layout is of; one that does not is of the first. Whoever changes a layout, be
it by a member, adds a function to its upgrades that turns the layout before into the new one, and keeps what the
version before has stored as test data (`tests/storage/layouts`). An app that is rolled back does not touch what a newer
one has stored: it would lose what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from shared.errors import Transient

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

Upgrade = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class NewerLayout(Transient):
    """What is stored was written by a newer version of the app. It waits for that one to be back."""

    def __init__(self) -> None:
        reason = (
            "A newer version of the app has stored this, in a form that this version does not know; it waits until the "
            "newer one is back."
        )
        super().__init__(reason, service="storage", code="newer_version")


def upgraded(stored: Mapping[str, Any], upgrades: Sequence[Upgrade]) -> Mapping[str, Any]:
    """`stored` in the present layout. `upgrades[0]` leads from version 1 to 2, and so on. Raises `NewerLayout`."""
    version = stored.get("version", 1)
    if type(version) is not int or version < 1:
        raise ValueError("this is no version")
    if version > version_of(upgrades):
        raise NewerLayout
    for upgrade in upgrades[version - 1 :]:
        stored = upgrade(stored)
    return stored


def version_of(upgrades: Sequence[Upgrade]) -> int:
    """The version of the present layout."""
    return len(upgrades) + 1


def read(kind: type[T], stored: Mapping[str, Any], /, **changed: Any) -> T:
    """The dataclass in a row that is only shown: what an older version did not store has its default.

    `changed`: members that are stored in another form. What a newer version has stored beside is left alone.
    """
    known = {one.name: stored[one.name] for one in fields(kind) if one.name in stored}
    return kind(**known | changed)

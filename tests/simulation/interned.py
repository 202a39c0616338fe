"""Small numbers for big values, so that thousands of worlds are cheap to keep and to compare."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Interned(Generic[T]):
    """Gives equal values the same number."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._values: list[T] = []

    def number(self, value: T) -> int:
        """The number of `value`."""
        form = hashable(value)
        found = self._numbers.get(form)
        if found is None:
            found = self._numbers[form] = len(self._values)
            self._values.append(value)
        return found

    def __getitem__(self, number: int) -> T:
        return self._values[number]


def hashable(value: Any) -> Hashable:
    """A form of `value` that can be hashed, equal exactly when the values are."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(hashable(getattr(value, item.name)) for item in fields(value))
    if isinstance(value, Mapping):
        return "map", frozenset((name, hashable(item)) for name, item in value.items())
    if isinstance(value, tuple | list):
        return "list", tuple(hashable(item) for item in value)
    if isinstance(value, bool):
        return "bool", value
    return value  # type: ignore[no-any-return] # what is left is text, a number, None, a set of texts or a class

"""Small numbers for big values, and one number for all that differ in nothing but the names of their versions.

A version is only ever compared. So worlds that are alike but for the names of versions are one world: what is kept of a
value is its shape, with a number in place of each version, and the versions that fill it, in order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass, replace
from types import CodeType, FunctionType
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from shared.meeting.decide import Rules

T = TypeVar("T")
Names = tuple[int, ...]
# What `apply` notes for its outcome and asks about nowhere else.
_FOR_THE_REPORT = frozenset({"_news", "_claimed", "notes"})
_AS_THEY_ARE = (str, int, float, type(None), type, FunctionType, CodeType)


class Version(str):
    """The version of a row or of an appointment."""

    __slots__ = ()


class Shaped(NamedTuple):
    """A value: the number of its shape, and the versions in it, by the numbers that they have in some world."""

    shape: int
    versions: Names = ()


class Shapes(Generic[T]):
    """Numbers for the shapes of one kind of value."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._examples: list[tuple[T, tuple[Version, ...]]] = []

    def number(self, value: T) -> tuple[int, tuple[Version, ...]]:
        """The number of the shape of `value`, and the versions in it."""
        shape, versions = split(hashable(value))
        found = self._numbers.get(shape)
        if found is None:
            found = self._numbers[shape] = len(self._examples)
            self._examples.append((value, versions))
        return found, versions

    def value(self, shape: int, versions: Sequence[Version]) -> T:
        """The value of this shape with these versions."""
        example, own = self._examples[shape]
        return renamed(example, dict(zip(own, versions, strict=True))) if own else example

    def example(self, shape: int) -> T:
        """Some value of this shape."""
        return self._examples[shape][0]


def hashable(value: Any) -> Hashable:
    """A form of `value` that can be hashed, equal exactly when the values are."""
    if isinstance(value, bool):
        return "bool", int(value)
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, Rules | BaseModel):
        return "settings", id(value)  # they never change, and each scenario makes them once
    if isinstance(value, Mapping):
        return "map", tuple((name, hashable(value[name])) for name in sorted(value))
    if isinstance(value, tuple | list):
        return "list", tuple(hashable(item) for item in value)
    if isinstance(value, AbstractSet):
        return "set", frozenset(value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(hashable(getattr(value, item.name)) for item in fields(value))
    variables = {name: item for name, item in vars(value).items() if name not in _FOR_THE_REPORT}
    return type(value), hashable(variables)


def split(form: Hashable) -> tuple[Hashable, tuple[Version, ...]]:
    """A form from `hashable` as its shape and its versions, each once, in order of appearance."""
    versions: dict[Version, int] = {}

    def shape(part: Hashable) -> Hashable:
        if isinstance(part, Version):
            return _Slot(versions.setdefault(part, len(versions)))
        return tuple(shape(item) for item in part) if isinstance(part, tuple) else part

    return shape(form), tuple(versions)


class _Slot(NamedTuple):
    """The place of a version in a shape."""

    number: int


def renamed(value: Any, names: Mapping[Version, Version]) -> Any:
    """`value` with other versions."""
    if isinstance(value, Version):
        return names[value]
    if isinstance(value, Mapping):
        return {name: renamed(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(renamed(item, names) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: renamed(getattr(value, item.name), names) for item in fields(value)})
    return value


def pattern(names: Sequence[int]) -> tuple[Names, dict[int, int]]:
    """`names` counted in order of appearance, and the count of each."""
    counts: dict[int, int] = {}
    return tuple(counts.setdefault(name, len(counts)) for name in names), counts


def version_names() -> Iterator[Version]:
    """As many versions as one asks for, each another."""
    number = 0
    while True:
        number += 1
        yield Version(f"v{number}")

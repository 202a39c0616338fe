"""Reading lists: filters, sorting, pages, as https://developers.outreach.io/api/making-requests describes them.

In the plain syntax a comma separates alternatives and `..` makes a range, also inside an e-mail address; only
`newFilterSyntax=true` takes values as they are. What the stand-in does not know it refuses instead of ignoring.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any, Final, Literal

from multidict import MultiMapping

from sandbox.outreach.errors import bad_query
from sandbox.outreach.records import Kind, Record, Resource

DEFAULT_PAGE_SIZE: Final = 50
LARGEST_PAGE_SIZE: Final = 1000
_FILTER: Final = re.compile(r"filter\[(\w+)\](?:\[(\w*)\])?")
_FIELDS: Final = re.compile(r"fields\[(\w+)\]")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda value, bound: bool(value > bound),
    "gte": lambda value, bound: bool(value >= bound),
    "lt": lambda value, bound: bool(value < bound),
    "lte": lambda value, bound: bool(value <= bound),
}

Test = Callable[[Record], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """One request for a list or for one record."""

    tests: tuple[Test, ...]
    sort: tuple[tuple[str, Literal[1, -1]], ...]
    page_size: int
    after: int | None
    count: bool
    only: frozenset[str] | None
    connections: Literal["with", "without"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `cursor`: where the next one begins, `None` on the last. `total`: of all pages."""

    records: tuple[Record, ...]
    cursor: str | None
    total: int


def read_query(parameters: MultiMapping[str], resource: Resource) -> Query:
    """The query in the parameters of a request. Raises a 400 that names what is wrong."""
    literal = parameters.get("newFilterSyntax") == "true"
    tests: list[Test] = []
    only: frozenset[str] | None = None
    alternatives: dict[str, list[str]] = {}
    for name, text in parameters.items():
        if found := _FILTER.fullmatch(name):
            attribute, operator = found[1], found[2]
            if operator == "":
                alternatives.setdefault(attribute, []).append(text)
            else:
                tests.append(_test(resource, attribute, operator, text, literal=literal))
        elif found := _FIELDS.fullmatch(name):
            only = frozenset(text.split(",")) if found[1] == resource.type else only
        elif name not in _KNOWN:
            raise bad_query(f"The parameter {name!r} is not known here.")
    for attribute, texts in alternatives.items():
        if not literal:
            raise bad_query(f"filter[{attribute}][] needs newFilterSyntax=true.")
        tests.append(_one_of(resource, attribute, texts))
    return Query(
        tests=tuple(tests),
        sort=_sort(parameters.get("sort", ""), resource),
        page_size=_page_size(parameters.get("page[size]")),
        after=_read_cursor(parameters.get("page[after]")),
        count=parameters.get("count") == "true",
        only=only,
        connections="with" if parameters.get("provideDataConnections") == "true" else "without",
    )


_KNOWN: Final = frozenset({"sort", "page[size]", "page[after]", "count", "newFilterSyntax", "provideDataConnections"})


def select(records: Iterable[Record], query: Query) -> Page:
    """The page of `records` that `query` asks for."""
    found = [record for record in records if all(test(record) for test in query.tests)]
    found.sort(key=lambda record: record.id)
    for name, direction in reversed(query.sort):
        found.sort(key=cmp_to_key(_comparison(name, direction)))
    start = 0
    if query.after is not None:
        start = 1 + next((place for place, record in enumerate(found) if record.id == query.after), len(found))
    records_here = tuple(found[start : start + query.page_size])
    more = start + query.page_size < len(found)
    return Page(records_here, _write_cursor(records_here[-1].id) if more and records_here else None, len(found))


def _kind(resource: Resource, attribute: str) -> Kind:
    kind = resource.filterable.get(attribute)
    if kind is None:
        raise bad_query(f"{resource.collection} cannot be filtered by {attribute!r}.")
    return kind


def _test(resource: Resource, attribute: str, operator: str | None, text: str, *, literal: bool) -> Test:
    if operator == "id":
        return _related(attribute, text)
    kind = _kind(resource, attribute)
    if operator is not None:
        if not literal or operator not in _COMPARISONS:
            raise bad_query(f"filter[{attribute}][{operator}] is not known, or needs newFilterSyntax=true.")
        compare, bound = _COMPARISONS[operator], _parse(text, kind)
        return lambda record: any(compare(value, bound) for value in _values(record, attribute, kind))
    if text in ("__null__", "__notnull__"):
        return lambda record: (record.value(attribute) is None) == (text == "__null__")
    if literal:
        return _one_of(resource, attribute, [text])
    if ".." in text:
        low, _, high = text.partition("..")
        return _between(attribute, kind, low, high)
    return _one_of(resource, attribute, text.split(","))


def _related(name: str, text: str) -> Test:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise bad_query(f"filter[{name}][id] takes ids.")
    wanted = {int(number) for number in text.split(",")}
    return lambda record: (target := record.relationships.get(name)) is not None and target[1] in wanted


def _one_of(resource: Resource, attribute: str, texts: list[str]) -> Test:
    kind = _kind(resource, attribute)
    wanted = [_parse(text, kind) for text in texts]
    return lambda record: any(value in wanted for value in _values(record, attribute, kind))


def _between(attribute: str, kind: Kind, low: str, high: str) -> Test:
    lowest = None if low == "neginf" else _parse(low, kind)
    highest = None if high == "inf" else _parse(high, kind)
    return lambda record: any(
        (lowest is None or value >= lowest) and (highest is None or value <= highest)
        for value in _values(record, attribute, kind)
    )


def _values(record: Record, attribute: str, kind: Kind) -> list[Any]:
    value = record.value(attribute)
    values = value if isinstance(value, list) else [value]
    return [_parse(str(item), kind) if kind == "instant" else item for item in values if item is not None]


def _parse(text: str, kind: Kind) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "flag":
            return {"true": True, "false": False}[text]
        if kind == "instant":
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (KeyError, ValueError) as error:
        raise bad_query(f"{text!r} is no {kind}.") from error
    return text


def _sort(text: str, resource: Resource) -> tuple[tuple[str, Literal[1, -1]], ...]:
    order: list[tuple[str, Literal[1, -1]]] = []
    for part in filter(None, text.split(",")):
        name = part.removeprefix("-")
        if name not in resource.filterable or name in resource.not_sortable:
            raise bad_query(f"{resource.collection} cannot be sorted by {name!r}.")
        order.append((name, -1 if part.startswith("-") else 1))
    return tuple(order)


def _comparison(name: str, direction: Literal[1, -1]) -> Callable[[Record, Record], int]:
    def compare(one: Record, other: Record) -> int:
        left: Any = one.value(name)
        right: Any = other.value(name)
        if left is None or right is None:
            return int(left is None) - int(right is None)  # what has no value comes last either way
        return direction * (int(left > right) - int(left < right))

    return compare


def _page_size(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE_SIZE
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE_SIZE:
        raise bad_query(f"page[size] takes 1 to {LARGEST_PAGE_SIZE}.")
    return int(text)


def _write_cursor(record_id: int) -> str:
    return base64.urlsafe_b64encode(f"after:{record_id}".encode()).decode()


def _read_cursor(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(base64.urlsafe_b64decode(text.encode()).decode().removeprefix("after:"))
    except (ValueError, binascii.Error) as error:
        raise bad_query("page[after] takes the cursor of a link.") from error

"""The query options of a read: `$select`, `$expand`, `$filter`, `$orderby`, `$top`, `$count`; all checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.dataverse.errors import query_error
from sandbox.dataverse.filters import compile_filter, sort_key
from sandbox.dataverse.schema import ACTIVITY_PARTY, APPOINTMENT, PARTIES, Navigation, Table
from sandbox.dataverse.store import Row

PAGE_LIMIT: Final = 5000
_OPTIONS: Final = frozenset({"$select", "$expand", "$filter", "$orderby", "$top", "$count", "$skiptoken"})
_EXPANSION: Final = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\((?P<options>[^()]*)\))?")


@dataclass(frozen=True, slots=True)
class Expansion:
    """One expanded navigation property; `navigation` is `None` for the parties of an appointment."""

    name: str
    navigation: Navigation | None
    select: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Query:
    """A read as asked for; `select` is `None` where all columns are wanted."""

    select: tuple[str, ...] | None = None
    expand: tuple[Expansion, ...] = ()
    keep: Callable[[Row], bool] | None = None
    order: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    count: bool = False
    skip: int = 0


def read_query(options: Mapping[str, str], *, table: Table, tables: Mapping[str, Table]) -> Query:
    """Read the query options of an address; refuse unknown options, columns and navigation properties."""
    unknown = sorted(name for name in options if name.startswith("$") and name not in _OPTIONS)
    if unknown:
        raise query_error(f"The query option {unknown[0]!r} is not supported.")
    return Query(
        select=_select(options.get("$select"), table=table),
        expand=_expand(options.get("$expand", ""), table=table, tables=tables),
        keep=compile_filter(options["$filter"], table=table) if "$filter" in options else None,
        order=_order(options.get("$orderby", ""), table=table),
        top=_positive("$top", options.get("$top")),
        count=_flag("$count", options.get("$count", "false")),
        skip=_positive("$skiptoken", options.get("$skiptoken")) or 0,
    )


def select_rows(query: Query, rows: Iterable[Row]) -> list[Row]:
    """Return the rows that the filter keeps, in the order asked for, before paging."""
    kept = [row for row in rows if query.keep is None or query.keep(row)]
    for prop, descending in reversed(query.order):
        kept.sort(key=lambda row: sort_key(row.values[prop]), reverse=descending)
    return kept


def _select(text: str | None, *, table: Table) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in table.props and name not in table.navigations:
            raise query_error(
                f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table.logical_name}'."
            )
    return tuple(name for name in names if name in table.props)


def _expand(text: str, *, table: Table, tables: Mapping[str, Table]) -> tuple[Expansion, ...]:
    expansions = []
    position = 0
    while position < len(text):
        found = _EXPANSION.match(text, position)
        if found is None:
            raise query_error(f"Syntax error in '$expand' at position {position}.")
        expansions.append(_expansion(found["name"], found["options"], table=table, tables=tables))
        position = found.end()
        if position < len(text) and text[position] != ",":
            raise query_error(f"Syntax error in '$expand' at position {position}.")
        position += 1
    return tuple(expansions)


def _expansion(name: str, options: str | None, *, table: Table, tables: Mapping[str, Table]) -> Expansion:
    if name == PARTIES and table.logical_name == APPOINTMENT.logical_name:
        navigation, target = None, tables[ACTIVITY_PARTY.entity_set]
    elif name in table.navigations:
        navigation = table.navigations[name]
        target = next((known for known in tables.values() if known.logical_name in navigation.targets), table)
    else:
        raise query_error(
            f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table.logical_name}'."
        )
    select = None
    if options is not None:
        option, _, value = options.partition("=")
        if option != "$select":
            raise query_error(f"Inside '$expand' only '$select' is supported, not '{option}'.")
        select = _select(value, table=target)
    return Expansion(name, navigation, select)


def _order(text: str, *, table: Table) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, direction = part.partition(" ")
        if name not in table.props or direction.strip() not in ("", "asc", "desc"):
            raise query_error(f"'$orderby' does not take '{part}'.")
        order.append((name, direction.strip() == "desc"))
    return tuple(order)


def _positive(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise query_error(f"'{name}' must be a whole number that is not negative.")
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise query_error(f"'{name}' must be true or false.")
    return text == "true"

"""Rows as the Web API shows them: selected columns, etag, and the annotations the client asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.dataverse.query import Expansion, Query
from sandbox.dataverse.schema import APPOINTMENT, STATE_LABELS, STATUS_LABELS, Column
from sandbox.dataverse.store import Row, Store
from sandbox.dataverse.values import JsonValue

FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOGICAL_NAME: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"
_PREFERENCE: Final = re.compile(r'\s*([^=;,\s]+)\s*(?:=\s*("[^"]*"|[^;,\s]*))?\s*(?:[;,]|$)')
_ROLES: Final = {5: "Required attendee", 6: "Optional attendee", 7: "Organizer", 8: "Regarding", 9: "Owner"}


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the `Prefer` header asks for."""

    representation: bool = False
    annotations: tuple[str, ...] = ()
    page_size: int | None = None

    def wants(self, annotation: str) -> bool:
        """Whether this annotation is to be included."""
        return any(
            annotation.startswith(pattern[:-1]) if pattern.endswith("*") else annotation == pattern
            for pattern in self.annotations
        )


def read_preferences(header: str) -> Preferences:
    """Read a `Prefer` header; preferences that are not known are ignored, as RFC 7240 says."""
    found = {name.lower(): value.strip('"') for name, value in _PREFERENCE.findall(header)}
    size = found.get("odata.maxpagesize", "")
    return Preferences(
        representation=found.get("return") == "representation",
        annotations=tuple(filter(None, found.get("odata.include-annotations", "").split(","))),
        page_size=int(size) if size.isdigit() and int(size) > 0 else None,
    )


def render(row: Row, *, query: Query, preferences: Preferences, store: Store) -> dict[str, Any]:
    """Return a row as JSON."""
    shown = _columns(row, query.select, preferences=preferences, store=store)
    for expansion in query.expand:
        shown[expansion.name] = _expanded(row, expansion, preferences=preferences, store=store)
    return shown


def _columns(row: Row, select: tuple[str, ...] | None, *, preferences: Preferences, store: Store) -> dict[str, Any]:
    shown: dict[str, Any] = {"@odata.etag": row.etag}
    if select is None and not preferences.annotations:
        return shown | row.values
    for prop in row.values if select is None else select:
        if preferences.annotations:
            shown |= _annotations(row, prop, preferences=preferences, store=store)
        shown[prop] = row.values.get(prop)
    return shown | {row.table.key: row.id}


def _annotations(row: Row, prop: str, *, preferences: Preferences, store: Store) -> dict[str, str]:
    value = row.values.get(prop)
    if value is None:
        return {}
    column = row.table.props[prop]
    noted = {}
    formatted = _formatted(row, column, value, store=store)
    if formatted is not None and preferences.wants(FORMATTED):
        noted[f"{prop}@{FORMATTED}"] = formatted
    target = row.targets.get(prop)
    if target is not None:
        if preferences.wants(NAVIGATION) and (name := _navigation_name(row, column, target)) is not None:
            noted[f"{prop}@{NAVIGATION}"] = name
        if preferences.wants(LOGICAL_NAME):
            noted[f"{prop}@{LOGICAL_NAME}"] = target
    return noted


def _navigation_name(row: Row, column: Column, target: str) -> str | None:
    names = [
        navigation.name
        for navigation in row.table.navigations.values()
        if navigation.column == column.name and target in navigation.targets
    ]
    return names[0] if names else None


def _formatted(row: Row, column: Column, value: JsonValue, *, store: Store) -> str | None:
    target = row.targets.get(str(column.prop))
    if target is not None:
        found = store.rows.get(target, {}).get(str(value))
        return None if found is None else str(found.values.get(found.table.name_column) or "")
    if row.table.logical_name == APPOINTMENT.logical_name and column.type in ("State", "Status"):
        labels: Mapping[int, str] = STATE_LABELS if column.type == "State" else STATUS_LABELS
        return labels.get(int(value or 0))
    if column.name == "participationtypemask":
        return _ROLES.get(int(value or 0))
    if column.type == "Boolean":
        return "Yes" if value else "No"
    return f"{value:,}" if isinstance(value, int) else None


def _expanded(row: Row, expansion: Expansion, *, preferences: Preferences, store: Store) -> Any:
    if expansion.navigation is None:
        return [_columns(party, expansion.select, preferences=preferences, store=store) for party in row.parties]
    prop = f"_{expansion.navigation.column}_value"
    target = row.targets.get(prop)
    if target is None or target not in expansion.navigation.targets:
        return None
    found = store.rows.get(target, {}).get(str(row.values[prop]))
    return None if found is None else _columns(found, expansion.select, preferences=preferences, store=store)

"""A JSON body against a table: columns checked one by one, lookups as binds, parties as a list.

This is the part of the Web API that runs before any row is looked at. Whether a bind's target exists and whether the
change makes sense for the row are questions for `appointments` and `rules`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.dataverse.errors import UnknownProperty, payload_error, query_error
from sandbox.dataverse.schema import ACTIVITY_PARTY, APPOINTMENT, PARTIES, Table
from sandbox.dataverse.values import JsonValue, check_value, parse_guid

_BIND: Final = "@odata.bind"
_REFERENCE: Final = re.compile(r"(?:https?://[^/()]+)?(?:/?api/data/v9\.[0-2]/|/)?([A-Za-z_]\w*)\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Reference:
    """The row a lookup is bound to."""

    table: str
    id: str


@dataclass(frozen=True, slots=True)
class PartyChange:
    """One activity party as sent."""

    columns: dict[str, JsonValue]
    party: Reference | None


@dataclass(frozen=True, slots=True)
class Change:
    """A body as understood: values by wire name, lookups by column name, parties where the body names them."""

    columns: dict[str, JsonValue]
    lookups: dict[str, Reference | None]
    parties: tuple[PartyChange, ...] | None = None


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Return the body's JSON object; refuse anything else."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise payload_error("The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise payload_error("The body is not a JSON object.")
    return body


def read_change(body: Mapping[str, Any], *, table: Table, tables: Mapping[str, Table]) -> Change:
    """Read a create or update body of `table`; read-only columns are checked and then left out, as Dataverse does."""
    columns: dict[str, JsonValue] = {}
    lookups: dict[str, Reference | None] = {}
    parties: tuple[PartyChange, ...] | None = None
    for key, value in body.items():
        column = table.props.get(key)
        if column is not None:
            if column.type in ("Lookup", "Owner"):
                raise query_error(f"'{key}' cannot be written; bind the navigation property with '{_BIND}'.")
            columns[key] = check_value(column, value)
        elif key == PARTIES and table.logical_name == APPOINTMENT.logical_name:
            parties = read_parties(value, tables=tables)
        elif key.endswith(_BIND):
            _read_bind(key.removesuffix(_BIND), value, table=table, tables=tables, lookups=lookups)
        elif "@" in key:
            _check_annotation(key, value, table=table)
            if key.partition("@")[0] in columns:
                raise payload_error(f"The annotation '{key}' comes after its property; it must come before it.")
        else:
            raise UnknownProperty(key, table.logical_name)
    return Change(columns, lookups, parties)


def read_parties(value: object, *, tables: Mapping[str, Table]) -> tuple[PartyChange, ...]:
    """Read the collection `appointment_activity_parties`."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise payload_error(f"'{PARTIES}' must be a list of objects.")
    return tuple(_read_party(entry, tables=tables) for entry in value)


def _read_party(entry: Mapping[str, Any], *, tables: Mapping[str, Table]) -> PartyChange:
    change = read_change(entry, table=ACTIVITY_PARTY, tables=tables)
    bound = [key for key in entry if key.startswith("partyid_")]
    if len(bound) > 1:
        raise payload_error(f"A party is one person, but {bound} are bound.")
    columns = {prop: value for prop, value in change.columns.items() if ACTIVITY_PARTY.props[prop].create}
    return PartyChange(columns, change.lookups.get("partyid"))


def parse_reference(value: object, *, name: str, tables: Mapping[str, Table]) -> Reference:
    """Return the row that `/contacts(GUID)` or its absolute form names."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise payload_error(f"'{name}' must be bound to an address such as '/contacts(GUID)'.")
    table = tables.get(found[1])
    if table is None:
        raise payload_error(f"'{name}' is bound to the unknown entity set '{found[1]}'.")
    row_id = parse_guid(found[2])
    if row_id is None:
        raise payload_error(f"'{name}' is bound to '{found[2]}', which is not a GUID.")
    return Reference(table.logical_name, row_id)


def _read_bind(
    name: str,
    value: object,
    *,
    table: Table,
    tables: Mapping[str, Table],
    lookups: dict[str, Reference | None],
) -> None:
    navigation = table.navigations.get(name)
    if navigation is None:
        raise payload_error(
            f"An undeclared property '{name}' which only has property annotations was found; navigation properties of "
            f"{table.logical_name} are case sensitive: {sorted(table.navigations)}."
        )
    reference = None if value is None else parse_reference(value, name=name, tables=tables)
    if reference is not None and reference.table not in navigation.targets:
        raise payload_error(f"'{name}' takes {navigation.targets}, not '{reference.table}'.")
    if lookups.get(navigation.column) is not None and reference is not None:
        raise payload_error(f"The lookup '{navigation.column}' is bound twice.")
    if reference is not None or navigation.column not in lookups:
        lookups[navigation.column] = reference


def _check_annotation(key: str, value: object, *, table: Table) -> None:
    name = key.split("@", 1)[1]
    if "." not in name.strip("."):
        raise payload_error(f"'{name}' is an invalid instance annotation name; it must contain a period.")
    expected = f"Microsoft.Dynamics.CRM.{table.logical_name}"
    if key == "@odata.type" and str(value).removeprefix("#") != expected:
        raise payload_error(f"'@odata.type' is {value!r}, but the entity set holds '{expected}'.")

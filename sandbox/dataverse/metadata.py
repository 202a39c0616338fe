"""The answers a set-up check needs: who am I, is optimistic concurrency on, which columns are there.

`MaxLength` belongs to the string and memo types only, so selecting it needs a cast in the address, as it does there:
https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from sandbox.dataverse.callers import Caller
from sandbox.dataverse.errors import DOES_NOT_EXIST, ODataError, query_error
from sandbox.dataverse.schema import Column, Table
from sandbox.dataverse.seed import ORGANIZATION_ID
from sandbox.dataverse.store import Store

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_BASE_TYPE: Final = "AttributeMetadata"
_WITH_LENGTH: Final = ("String", "Memo")


def who_am_i(caller: Caller, *, store: Store) -> dict[str, Any]:
    """Answer the function WhoAmI."""
    return {
        "BusinessUnitId": store.business_unit_id,
        "UserId": caller.user_id,
        "OrganizationId": ORGANIZATION_ID,
    }


def entity_definition(logical_name: str, options: Mapping[str, str], *, store: Store) -> dict[str, Any]:
    """Answer `EntityDefinitions(LogicalName='…')`."""
    table = find_table(logical_name, store=store)
    full = {
        "MetadataId": _metadata_id(table.logical_name),
        "LogicalName": table.logical_name,
        "EntitySetName": table.entity_set,
        "PrimaryIdAttribute": table.key,
        "PrimaryNameAttribute": table.name_column,
        "IsOptimisticConcurrencyEnabled": store.switches.optimistic_concurrency,
    }
    return _selected(full, _names(options), type_name="EntityMetadata")


def attribute_definitions(table: Table, cast: str, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """Answer `…/Attributes`, or with a cast `…/Attributes/Microsoft.Dynamics.CRM.StringAttributeMetadata`."""
    names = _names(options)
    if not cast:
        return [_attribute(table, column, names, type_name=_BASE_TYPE) for column in table.columns.values()]
    type_name = cast.removeprefix(_NAMESPACE)
    columns = [column for column in table.columns.values() if _type_name(column) == type_name]
    if not columns:
        raise query_error(f"The type '{cast}' is not one of the attributes of {table.logical_name}.")
    return [_attribute(table, column, names, type_name=type_name) for column in columns]


def attribute_definition(table: Table, name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Answer `…/Attributes(LogicalName='…')`."""
    column = table.columns.get(name)
    if column is None:
        raise ODataError(
            f"Could not find an attribute with name {name} on {table.logical_name}.", status=404, code=DOES_NOT_EXIST
        )
    return _attribute(table, column, _names(options), type_name=_BASE_TYPE)


def find_table(logical_name: str, *, store: Store) -> Table:
    """Return the table of this logical name or refuse with 404."""
    for table in store.tables.values():
        if table.logical_name == logical_name:
            return table
    raise ODataError(f"Could not find an entity with name {logical_name}.", status=404, code=DOES_NOT_EXIST)


def _names(options: Mapping[str, str]) -> list[str] | None:
    unknown = sorted(set(options) - {"$select"})
    if unknown:
        raise query_error(f"The query option {unknown[0]!r} is not supported on metadata; use $select.")
    return [name.strip() for name in options["$select"].split(",")] if "$select" in options else None


def _attribute(table: Table, column: Column, names: list[str] | None, *, type_name: str) -> dict[str, Any]:
    full: dict[str, Any] = {
        "MetadataId": _metadata_id(f"{table.logical_name}.{column.name}"),
        "LogicalName": column.name,
        "AttributeType": column.type,
        "RequiredLevel": {"Value": column.required, "CanBeChanged": column.required != "SystemRequired"},
        "IsValidForCreate": column.create,
        "IsValidForUpdate": column.update,
        "IsValidForRead": column.prop is not None,
    }
    if column.type in _WITH_LENGTH and (names is None or type_name != _BASE_TYPE):
        full["MaxLength"] = column.max_length
    shown = _selected(full, names, type_name=type_name)
    return {"@odata.type": f"#{_NAMESPACE}{_type_name(column)}"} | shown if type_name == _BASE_TYPE else shown


def _type_name(column: Column) -> str:
    return f"{'Lookup' if column.type == 'Owner' else column.type}AttributeMetadata"


def _selected(full: dict[str, Any], names: list[str] | None, *, type_name: str) -> dict[str, Any]:
    if names is None:
        return full
    unknown = [name for name in names if name not in full]
    if unknown:
        raise query_error(f"Could not find a property named '{unknown[0]}' on type '{_NAMESPACE}{type_name}'.")
    return {name: full[name] for name in names} | {"MetadataId": full["MetadataId"]}


def _metadata_id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))

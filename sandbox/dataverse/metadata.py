"""The answers a set-up check needs: who am I, is optimistic concurrency on, which columns are there.

What belongs to some types only (`MaxLength`, `MinValue` …) is there where nothing is selected, and selecting it needs a
cast in the address, as it does there; options come only where a cast is expanded by them:
https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args
from uuid import NAMESPACE_OID, uuid5

from sandbox.dataverse.callers import Caller
from sandbox.dataverse.errors import DOES_NOT_EXIST, ODataError, query_error
from sandbox.dataverse.schema import Column, ColumnType, Table
from sandbox.dataverse.seed import ORGANIZATION_ID
from sandbox.dataverse.store import Store

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_BASE_TYPE: Final = "AttributeMetadata"
_OPTION_SETS: Final = re.compile(r"(Global)?OptionSet(\(\$select=Options\))?")
# What the attribute's own type is called where the base type's `AttributeType` says less.
_BASE_NAMES: Final = {"MultiSelectPicklist": "Virtual", "DateOnly": "DateTime"}


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
    if not cast:
        names = _names(options)
        return [_attribute(table, column, names, type_name=_BASE_TYPE) for column in table.columns.values()]
    type_name = cast.removeprefix(_NAMESPACE)
    if type_name not in _TYPE_NAMES:
        raise query_error(f"The type '{cast}' is no type of attribute.")
    with_options = _expands_options(options, type_name)
    names = _names({name: value for name, value in options.items() if name != "$expand"})
    columns = [column for column in table.columns.values() if _type_name(column.type) == type_name]
    return [
        _attribute(table, column, names, type_name=type_name) | (_option_set(column) if with_options else {})
        for column in columns
    ]


def _expands_options(options: Mapping[str, str], type_name: str) -> bool:
    if "$expand" not in options:
        return False
    has_options = type_name in {_type_name("Picklist"), _type_name("MultiSelectPicklist")}
    for one in options["$expand"].split(","):
        if not has_options or not _OPTION_SETS.fullmatch(one):
            raise query_error(f"Could not find a property named '{one}' on type '{_NAMESPACE}{type_name}'.")
    return True


def _option_set(column: Column) -> dict[str, Any]:
    labels = column.labels or tuple(f"Option {number}" for number in column.options)
    return {
        "OptionSet": {
            "Options": [
                {"Value": number, "Label": {"UserLocalizedLabel": {"Label": label, "LanguageCode": 1033}}}
                for number, label in zip(column.options, labels, strict=True)
            ]
        },
        "GlobalOptionSet": None,
    }


def attribute_definition(table: Table, name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Answer `…/Attributes(LogicalName='…')`."""
    column = table.columns.get(name)
    if column is None:
        raise ODataError(
            f"Could not find an attribute with name {name} on {table.logical_name}.", status=404, code=DOES_NOT_EXIST
        )
    return _attribute(table, column, _names(options), type_name=_BASE_TYPE)


def relationships(table: Table, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """Answer `…/ManyToOneRelationships`: one for each table that a lookup may point at."""
    found = [
        {
            "MetadataId": _metadata_id(f"{table.logical_name}.{navigation.name}.{target}"),
            "ReferencingEntityNavigationPropertyName": navigation.name,
            "ReferencingAttribute": navigation.column,
            "ReferencedEntity": target,
        }
        for navigation in table.navigations.values()
        for target in navigation.targets
    ]
    return [_selected(one, _names(options), type_name="OneToManyRelationshipMetadata") for one in found]


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
        "AttributeType": _BASE_NAMES.get(column.type, column.type),
        "AttributeTypeName": {"Value": f"{column.type.replace('DateOnly', 'DateTime')}Type"},
        "RequiredLevel": {"Value": column.required, "CanBeChanged": column.required != "SystemRequired"},
        "IsValidForCreate": column.create,
        "IsValidForUpdate": column.update,
        "IsValidForRead": column.prop is not None,
    }
    if names is None or type_name != _BASE_TYPE:
        full |= _of_its_type(column)
    shown = _selected(full, names, type_name=type_name)
    return {"@odata.type": f"#{_NAMESPACE}{_type_name(column.type)}"} | shown if type_name == _BASE_TYPE else shown


def _of_its_type(column: Column) -> dict[str, Any]:
    match column.type:
        case "String" | "Memo":
            return {"MaxLength": column.max_length}
        case "Integer" | "BigInt":
            return {"MinValue": column.least, "MaxValue": column.most}
        case "Decimal" | "Double" | "Money":
            return {"MinValue": column.least, "MaxValue": column.most, "Precision": column.precision}
        case "DateTime":
            return {"Format": "DateAndTime", "DateTimeBehavior": {"Value": "UserLocal"}}
        case "DateOnly":
            return {"Format": "DateOnly", "DateTimeBehavior": {"Value": "DateOnly"}}
    return {}


def _type_name(column_type: ColumnType) -> str:
    names = {"Owner": "Lookup", "DateOnly": "DateTime", "PartyList": "Lookup", "Virtual": ""}
    return f"{names.get(column_type, column_type)}{_BASE_TYPE}"


_TYPE_NAMES: Final = frozenset(map(_type_name, get_args(ColumnType)))


def _selected(full: dict[str, Any], names: list[str] | None, *, type_name: str) -> dict[str, Any]:
    if names is None:
        return full
    unknown = [name for name in names if name not in full]
    if unknown:
        raise query_error(f"Could not find a property named '{unknown[0]}' on type '{_NAMESPACE}{type_name}'.")
    return {name: full[name] for name in names} | {"MetadataId": full["MetadataId"]}


def _metadata_id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))

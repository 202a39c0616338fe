"""The addresses under `/api/data/v9.x/`: each is taken apart and answered here; rows and rules live elsewhere."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from sandbox.dataverse import metadata, writes
from sandbox.dataverse.call import Answer, Call
from sandbox.dataverse.errors import ODataError, UnknownProperty, query_error
from sandbox.dataverse.privileges import READ, require_privilege, user_privileges
from sandbox.dataverse.query import PAGE_LIMIT, Query, read_query, select_rows
from sandbox.dataverse.render import render
from sandbox.dataverse.schema import ACTIVITY_PARTY, APPOINTMENT, PARTIES, SYSTEM_USER, Table
from sandbox.dataverse.store import Row
from sandbox.dataverse.values import parse_guid

_SEGMENT: Final = re.compile(r"([A-Za-z_]\w*)(?:\(([^()]*)\))?(?:/(.*))?")
_BY_NAME: Final = re.compile(r"LogicalName='([a-z_0-9]+)'")
_RELATIONSHIPS: Final = "ManyToOneRelationships"
_ATTRIBUTES: Final = re.compile(r"Attributes(?:\(LogicalName='([a-z_0-9]+)'\)|/([A-Za-z.]+))?")
_PRIVILEGES_FUNCTION: Final = "Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"


def answer_call(call: Call) -> Answer:
    """Answer one request; what is refused comes as the error body it would have."""
    try:
        call.check_versions()
        return _route(call)
    except UnknownProperty as error:
        error.code = call.store.switches.unknown_column
        return refused(error)
    except ODataError as error:
        return refused(error)


def refused(error: ODataError) -> Answer:
    """Return a refusal as an answer."""
    return Answer(error.status, error.body(), tuple(error.headers.items()))


def _route(call: Call) -> Answer:
    found = _SEGMENT.fullmatch(call.path)
    if found is None:
        raise _no_resource(call.path)
    name, key, rest = found[1], found[2], found[3] or ""
    if name == "WhoAmI" and not key and not rest:
        call.allow("GET")
        context = call.context("Microsoft.Dynamics.CRM.WhoAmIResponse")
        return Answer(200, context | metadata.who_am_i(call.caller(), store=call.store))
    if name == "EntityDefinitions":
        return _definitions(call, key or "", rest)
    table = call.store.tables.get(name)
    if table is None:
        raise _no_resource(name)
    if key is None:
        return _collection(call, table, rest)
    row_id = parse_guid(key)
    if row_id is None:
        raise query_error(f"'{key}' is not a GUID; the key of {name} is one, without quotes or braces.")
    return _one(call, table, row_id, rest)


def _no_resource(segment: str) -> ODataError:
    return query_error(f"Resource not found for the segment '{segment}'.", status=404)


def _definitions(call: Call, key: str, rest: str) -> Answer:
    call.allow("GET")
    require_privilege("prvReadEntity", store=call.store)
    named = _BY_NAME.fullmatch(key)
    if named is None:
        raise query_error("Name the table: EntityDefinitions(LogicalName='appointment').")
    if not rest:
        definition = metadata.entity_definition(named[1], call.options, store=call.store)
        return Answer(200, call.context("EntityDefinitions/$entity") | definition)
    if rest == _RELATIONSHIPS:
        table = metadata.find_table(named[1], store=call.store)
        context = call.context(f"EntityDefinitions('{named[1]}')/{rest}")
        return Answer(200, context | {"value": metadata.relationships(table, call.options)})
    found = _ATTRIBUTES.fullmatch(rest)
    if found is None:
        raise _no_resource(rest)
    require_privilege("prvReadAttribute", store=call.store)
    table = metadata.find_table(named[1], store=call.store)
    context = call.context(f"EntityDefinitions('{named[1]}')/Attributes")
    if found[1]:
        return Answer(200, context | metadata.attribute_definition(table, found[1], call.options))
    return Answer(200, context | {"value": metadata.attribute_definitions(table, found[2] or "", call.options)})


def _collection(call: Call, table: Table, rest: str) -> Answer:
    if rest:
        raise _no_resource(rest)
    if table.logical_name != APPOINTMENT.logical_name:
        call.allow("GET")
    call.allow("GET", "POST")
    if call.method == "POST":
        return writes.post(call, table)
    query = _query_to_read(call, table)
    return _list(call, table, query, select_rows(query, call.store.all_rows(table)))


def _query_to_read(call: Call, table: Table) -> Query:
    require_privilege(READ[table.logical_name], store=call.store)
    call.caller()
    return read_query(call.options, table=table, tables=call.store.tables)


def _list(call: Call, table: Table, query: Query, rows: list[Row]) -> Answer:
    size = call.preferences.page_size or PAGE_LIMIT
    wanted = rows[: query.top][query.skip :]
    body = call.context(table.entity_set)
    if query.count:
        body["@odata.count"] = min(len(rows), PAGE_LIMIT)
    body["value"] = [render(row, query=query, preferences=call.preferences, store=call.store) for row in wanted[:size]]
    if len(wanted) > size:
        options = {**call.options, "$skiptoken": str(query.skip + size)}
        body["@odata.nextLink"] = f"{call.base}/{call.path}?{urlencode(options)}"
    return Answer(200, body)


def _one(call: Call, table: Table, row_id: str, rest: str) -> Answer:
    if table.logical_name == SYSTEM_USER.logical_name and rest == _PRIVILEGES_FUNCTION:
        call.allow("GET")
        call.store.find(table.logical_name, row_id)
        context = call.context("Microsoft.Dynamics.CRM.RetrieveUserPrivilegesResponse")
        return Answer(200, context | user_privileges(store=call.store))
    if table.logical_name == APPOINTMENT.logical_name:
        return _appointment(call, table, row_id, rest)
    if rest:
        raise _no_resource(rest)
    call.allow("GET")
    return _get(call, table, row_id)


def _appointment(call: Call, table: Table, row_id: str, rest: str) -> Answer:
    if rest == PARTIES:
        call.allow("GET", "PUT")
        return writes.put_parties(call, row_id) if call.method == "PUT" else _get_parties(call, row_id)
    if rest:
        call.allow("PUT", "DELETE")
        return writes.put_part(call, table, row_id, rest)
    call.allow("GET", "PATCH", "DELETE")
    if call.method == "GET":
        return _get(call, table, row_id)
    return writes.patch(call, table, row_id) if call.method == "PATCH" else writes.delete(call, row_id)


def _get(call: Call, table: Table, row_id: str) -> Answer:
    query = _query_to_read(call, table)
    row = call.store.find(table.logical_name, row_id)
    # what is expanded or annotated may have changed without this row, so there is no 304 for it
    plain = not query.expand and not call.preferences.annotations
    if plain and call.condition().unchanged(row):
        return Answer(304)
    shown = render(row, query=query, preferences=call.preferences, store=call.store)
    return Answer(200, call.context(f"{table.entity_set}/$entity") | shown, (("ETag", row.etag),))


def _get_parties(call: Call, row_id: str) -> Answer:
    table = call.store.tables[ACTIVITY_PARTY.entity_set]
    query = _query_to_read(call, table)
    row = call.store.find(APPOINTMENT.logical_name, row_id)
    return _list(call, table, query, select_rows(query, row.parties))

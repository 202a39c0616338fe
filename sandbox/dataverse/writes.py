"""The writing methods on appointments: POST, PATCH with its conditions, PUT and DELETE of a part, DELETE.

The body is read first and refused first; then come conditions and existence, then privileges and business rules.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from sandbox.dataverse import appointments
from sandbox.dataverse.call import Answer, Call
from sandbox.dataverse.errors import DUPLICATE_RECORD, ODataError, payload_error, query_error
from sandbox.dataverse.payload import Change, parse_reference, read_change, read_parties
from sandbox.dataverse.query import Query, read_query
from sandbox.dataverse.render import render
from sandbox.dataverse.schema import APPOINTMENT, Table
from sandbox.dataverse.store import Row


def post(call: Call, table: Table) -> Answer:
    """Create an appointment; the body may bring its id."""
    change = read_change(call.json_object(), table=table, tables=call.store.tables)
    query = _representation(call, table)
    return _written(call, _create(call, change, None), query, created=True)


def patch(call: Call, table: Table, row_id: str) -> Answer:
    """Create or update an appointment, as the conditional headers allow."""
    condition = call.condition()
    change = read_change(call.json_object(), table=table, tables=call.store.tables)
    query = _representation(call, table)
    if change.columns.get(table.key, row_id) != row_id:
        raise payload_error(f"'{table.key}' differs from the id in the address.")
    absent = row_id not in call.store.appointments
    if condition.needs_no_row or (absent and not condition.needs_row):
        return _written(call, _create(call, change, row_id), query, created=True)
    row = call.store.find(table.logical_name, row_id)
    condition.check(row)
    call.store.plugins.check(change, row_id=row_id)
    return _written(call, appointments.update(call.store, row, change, caller=call.caller()), query, created=False)


def delete(call: Call, row_id: str) -> Answer:
    """Delete an appointment, if the version still fits where one is given."""
    row = _current(call, row_id)
    call.caller()
    appointments.delete(call.store, row)
    return Answer(204)


def put_parties(call: Call, row_id: str) -> Answer:
    """Replace the parties of an appointment by `{"value": […]}`."""
    parties = read_parties(call.json_object().get("value"), tables=call.store.tables)
    return _changed(call, row_id, Change({}, {}, parties))


def put_part(call: Call, table: Table, row_id: str, part: str) -> Answer:
    """Set or clear one lookup through its `$ref`, or one column."""
    if part.endswith("/$ref"):
        return _changed(call, row_id, _reference_change(call, table, part.removesuffix("/$ref")))
    if part not in table.props:
        raise query_error(f"Resource not found for the segment '{part}'.", status=404)
    body = call.json_object() if call.method == "PUT" else {"value": None}
    if "value" not in body:
        raise payload_error('Send the new value as {"value": …}.')
    return _changed(call, row_id, read_change({part: body["value"]}, table=table, tables=call.store.tables))


def _reference_change(call: Call, table: Table, name: str) -> Change:
    value = None
    if call.method == "PUT":
        value = call.json_object().get("@odata.id")
        parse_reference(value, name=name, tables=call.store.tables)
    return read_change({f"{name}@odata.bind": value}, table=table, tables=call.store.tables)


def _current(call: Call, row_id: str) -> Row:
    condition = call.condition()
    row = call.store.find(APPOINTMENT.logical_name, row_id)
    condition.check(row)
    return row


def _changed(call: Call, row_id: str, change: Change) -> Answer:
    row = _current(call, row_id)
    call.store.plugins.check(change, row_id=row_id)
    appointments.update(call.store, row, change, caller=call.caller())
    return Answer(204)


def _create(call: Call, change: Change, row_id: str | None) -> Row:
    caller = call.caller()
    new_id = str(change.columns.get(APPOINTMENT.key) or row_id or uuid4())
    if new_id not in call.store.appointments:
        call.store.plugins.check(change, row_id=new_id)
    try:
        return appointments.create(call.store, change, caller=caller, row_id=new_id)
    except ODataError as error:
        if error.code == DUPLICATE_RECORD:
            call.store.log.counters["duplicates_attempted"] += 1
        raise


def _representation(call: Call, table: Table) -> Query:
    # `$expand` is ignored on a write:
    # https://learn.microsoft.com/power-apps/developer/data-platform/webapi/update-delete-entities-using-web-api
    return replace(read_query(call.options, table=table, tables=call.store.tables), expand=())


def _written(call: Call, row: Row, query: Query, *, created: bool) -> Answer:
    address = ("OData-EntityId", f"{call.base}/{row.table.entity_set}({row.id})")
    if not call.preferences.representation:
        return Answer(204, None, (address,))
    shown = render(row, query=query, preferences=call.preferences, store=call.store)
    body = call.context(f"{row.table.entity_set}/$entity") | shown
    return Answer(201 if created else 200, body, (address, ("Preference-Applied", "return=representation")))

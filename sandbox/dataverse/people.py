"""What people do in the CRM while the sync runs: edit an appointment, delete rows, merge contacts, qualify leads."""

from __future__ import annotations

from typing import Any, Final

from sandbox.dataverse import appointments
from sandbox.dataverse.callers import Caller
from sandbox.dataverse.payload import read_change
from sandbox.dataverse.schema import APPOINTMENT, CONTACT, LEAD, OPPORTUNITY, Table
from sandbox.dataverse.seed import USER_IDS
from sandbox.dataverse.store import Row, Store
from sandbox.dataverse.values import JsonValue, check_value, parse_guid

_REGARDING: Final = "_regardingobjectid_value"
_PARTY: Final = "_partyid_value"
# a lookup that may point into several tables needs to be told which; these defaults are the common ones
_DEFAULT_TARGETS: Final = {"ownerid": "systemuser", "parentcustomerid": "account", "customerid": "account"}


def add(store: Store, table: Table, given: dict[str, Any]) -> Row:
    """Add a row of a table the Web API part only reads; read-only columns may be given, unknown ones may not."""
    values: dict[str, JsonValue] = {}
    targets: dict[str, str] = {}
    for prop, value in given.items():
        if prop not in table.props:
            raise ValueError(f"{table.logical_name} has no column {prop!r}; it has {sorted(table.props)}")
        column = table.props[prop]
        values[prop] = check_value(column, value)
        if column.type in ("Lookup", "Owner") and value is not None:
            targets[prop] = _target(table, column.name)
    if "fullname" in table.props and "fullname" not in values:
        values["fullname"] = " ".join(str(values[part]) for part in ("firstname", "lastname") if values.get(part))
    for prop, default in (("statecode", 0), ("statuscode", 1), ("merged", False), ("isdisabled", False)):
        if prop in table.props:
            values.setdefault(prop, default)
    return store.put(table, values, targets=targets)


def edit(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Change an appointment as a person would: `{"id", "changes": {… as in PATCH …}, "user"?}`."""
    row = store.find(APPOINTMENT.logical_name, _id(given["id"]))
    change = read_change(given["changes"], table=row.table, tables=store.tables)
    user = _id(given.get("user", USER_IDS[0]))
    return {"etag": appointments.update(store, row, change, caller=Caller(user)).etag}


def delete(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Delete a row: `{"entity_set", "id"}`; appointments regarding it go with it, parties lose their person."""
    table = store.tables[given.get("entity_set", APPOINTMENT.entity_set)]
    row = store.find(table.logical_name, _id(given["id"]))
    del store.rows[table.logical_name][row.id]
    if table.logical_name == APPOINTMENT.logical_name:
        return {"deleted_appointments": 1}
    doomed = [found for found in store.appointments.values() if _points(found, _REGARDING, table.logical_name, row.id)]
    for appointment in doomed:
        del store.appointments[appointment.id]
    for appointment in store.appointments.values():
        for party in appointment.parties:
            if _points(party, _PARTY, table.logical_name, row.id):
                party.values |= {_PARTY: None, "ispartydeleted": True}
                party.targets.pop(_PARTY)
    return {"deleted_appointments": len(doomed)}


def merge(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Merge contact `{"from"}` into `{"into"}`: the first stays as an inactive row, what pointed at it moves."""
    gone = store.find(CONTACT.logical_name, _id(given["from"]))
    kept = store.find(CONTACT.logical_name, _id(given["into"]))
    store.touch(gone, statecode=1, statuscode=2, merged=True, _masterid_value=kept.id)
    gone.targets["_masterid_value"] = CONTACT.logical_name
    return {"moved": _move(store, gone, kept)}


def qualify(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Turn lead `{"lead"}` into a contact and delete it, or keep it as qualified with `{"keep_lead": true}`."""
    lead = store.find(LEAD.logical_name, _id(given["lead"]))
    copied = ("firstname", "lastname", "fullname", "emailaddress1", "emailaddress2", "emailaddress3", "jobtitle")
    values = {prop: lead.values[prop] for prop in copied} | {"_originatingleadid_value": lead.id}
    values |= {"_ownerid_value": lead.values["_ownerid_value"]}
    if "contact" in given:
        values[CONTACT.key] = _id(given["contact"])
    contact = add(store, store.tables[CONTACT.entity_set], values)
    moved = _move(store, lead, contact)
    if given.get("keep_lead", False):
        store.touch(lead, statecode=1, statuscode=3)
    else:
        delete(store, {"entity_set": LEAD.entity_set, "id": lead.id})
        contact.values["_originatingleadid_value"] = None
    return {"contact": contact.id, "moved": moved}


def _move(store: Store, old: Row, new: Row) -> int:
    moved = 0
    for appointment in store.appointments.values():
        parties = [p for p in appointment.parties if _points(p, _PARTY, old.table.logical_name, old.id)]
        regarding = _points(appointment, _REGARDING, old.table.logical_name, old.id)
        for pointing, prop in ((party, _PARTY) for party in parties):
            pointing.values[prop] = new.id
            pointing.targets[prop] = new.table.logical_name
        if regarding:
            appointment.values[_REGARDING] = new.id
            appointment.targets[_REGARDING] = new.table.logical_name
        if parties or regarding:
            store.touch(appointment)
            moved += 1
    return moved


def _points(row: Row, prop: str, table: str, row_id: str) -> bool:
    return row.values.get(prop) == row_id and row.targets.get(prop) == table


def _target(table: Table, column: str) -> str:
    targets = [name for nav in table.navigations.values() if nav.column == column for name in nav.targets]
    return _DEFAULT_TARGETS.get(column) or (targets[0] if targets else OPPORTUNITY.logical_name)


def _id(text: object) -> str:
    found = parse_guid(str(text))
    if found is None:
        raise ValueError(f"{text!r} is not a GUID")
    return found

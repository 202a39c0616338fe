"""Creating, changing and deleting appointments: binds resolved, audit columns kept, parties written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from sandbox.dataverse import rules
from sandbox.dataverse.callers import Caller
from sandbox.dataverse.errors import (
    DUPLICATE_RECORD,
    INVALID_ARGUMENT,
    ODataError,
    missing_privilege,
    payload_error,
)
from sandbox.dataverse.payload import Change, PartyChange, Reference
from sandbox.dataverse.privileges import (
    APPEND_TO,
    OVERRIDE_CREATED_ON_PRIVILEGE,
    READ,
    require_access,
    require_of,
    require_privilege,
)
from sandbox.dataverse.schema import (
    ACTIVITY_PARTY,
    APPOINTMENT,
    ATTENDEE_MASKS,
    OWNER,
    PARTIES,
    REGARDING,
    SYSTEM_USER,
)
from sandbox.dataverse.store import Row, Store
from sandbox.dataverse.values import JsonValue

_DEFAULTS: Final[dict[str, JsonValue]] = {
    "activitytypecode": APPOINTMENT.logical_name,
    "attachmentcount": 0,
    "instancetypecode": 0,
    "isalldayevent": False,
    "isbilled": False,
    "isdraft": False,
    "ismapiprivate": False,
    "isonlinemeeting": False,
    "isregularactivity": True,
    "isworkflowcreated": False,
    "prioritycode": 1,
    "statecode": 0,
    "statuscode": 1,
}
_REGARDING_PROP: Final = "_regardingobjectid_value"
_OWNER_PROP: Final = "_ownerid_value"
_MASK: Final = "participationtypemask"


def create(store: Store, change: Change, *, caller: Caller, row_id: str | None = None) -> Row:
    """Create an appointment, under the caller's id where one is given."""
    for privilege in ("prvCreateActivity", "prvAppendToActivity", "prvShareActivity"):
        require_privilege(privilege, store=store, caller=caller)
    table = store.tables[APPOINTMENT.entity_set]
    new_id = str(change.columns.get(table.key) or row_id or uuid4())
    if new_id in store.appointments:
        raise ODataError("A record with matching key values already exists.", status=412, code=DUPLICATE_RECORD)
    sent = {prop: value for prop, value in change.columns.items() if table.props[prop].create}
    created = {"createdon": store.now()} | _created_on(store, sent, caller=caller)
    states = rules.state(_DEFAULTS, sent, row_id=new_id)
    values = dict.fromkeys(table.props) | _DEFAULTS | sent | created | states | {table.key: new_id}
    row = Row(table, new_id, store.next_version(), values)
    _set_user(row, "createdby", caller.user_id)
    _set_user(row, "createdonbehalfby", caller.on_behalf_id)
    lookups = {"ownerid": Reference("systemuser", caller.user_id)} | change.lookups
    _apply(store, row, sent, lookups=lookups, caller=caller)
    parties = change.parties or ()
    _check_access(store, change, caller=caller)
    row.parties = (*_attendee_rows(store, row, parties), *_own_party_rows(store, row, known=()))
    store.appointments[new_id] = row
    store.log.counters["created"] += 1
    return row


def update(store: Store, row: Row, change: Change, *, caller: Caller) -> Row:
    """Return the row as changed; the stored one is replaced only if every rule holds."""
    require_privilege("prvWriteActivity", store=store, caller=caller)
    if change.columns.get(row.table.key, row.id) != row.id:
        raise payload_error(f"'{row.table.key}' differs from the id in the address and cannot be changed.")
    sent = {prop: value for prop, value in change.columns.items() if row.table.props[prop].update}
    touched = [*sent, *change.lookups, *([] if change.parties is None else [PARTIES])]
    rules.closed_row(row.values, touched, switches=store.switches)
    states = rules.state(row.values, sent, row_id=row.id)
    new = Row(row.table, row.id, store.next_version(), row.values | sent | states, dict(row.targets))
    _apply(store, new, sent, lookups=change.lookups, caller=caller)
    _check_access(store, change, caller=caller)
    attendees = _attendees_after(store, row, new, change.parties)
    new.parties = (*attendees, *_own_party_rows(store, new, known=row.parties))
    store.appointments[row.id] = new
    store.log.counters["updated"] += 1
    store.log.counters["unchanged_columns_written"] += sum(row.values[prop] == value for prop, value in sent.items())
    return new


def delete(store: Store, row: Row) -> None:
    """Delete an appointment with its parties."""
    require_privilege("prvDeleteActivity", store=store)
    del store.appointments[row.id]
    store.log.counters["deleted"] += 1


def _apply(
    store: Store,
    row: Row,
    sent: Mapping[str, JsonValue],
    *,
    lookups: Mapping[str, Reference | None],
    caller: Caller,
) -> None:
    row.values |= {"modifiedon": store.now(), "versionnumber": row.version}
    _set_user(row, "modifiedby", caller.user_id)
    _set_user(row, "modifiedonbehalfby", caller.on_behalf_id)
    for name, reference in lookups.items():
        column = row.table.columns[name]
        if not column.update:
            continue
        if reference is not None:
            _check_target(store, name, reference, caller=caller)
        elif column.required == "SystemRequired":
            raise payload_error(f"'{name}' cannot be cleared.")
        _set_lookup(row, str(column.prop), reference)
    _set_owner(store, row)
    row.values |= rules.schedule(row.values, sent)


def _check_target(store: Store, column: str, reference: Reference, *, caller: Caller) -> None:
    target = store.find(reference.table, reference.id)
    if column == "ownerid" and reference.id != caller.user_id:
        require_privilege("prvAssignActivity", store=store, caller=caller)
        if target.values.get("isdisabled"):
            code = store.switches.disabled_owner
            raise ODataError(f"Rows cannot be assigned to the disabled user {reference.id}.", code=code)
        if reference.table == SYSTEM_USER.logical_name:
            # who owns a row must be able to read it
            require_of(reference.id, READ[APPOINTMENT.logical_name], store=store)
    elif reference.table in APPEND_TO:
        require_privilege(APPEND_TO[reference.table], store=store, caller=caller)


def _check_access(store: Store, change: Change, *, caller: Caller) -> None:
    people = [party.party for party in change.parties or () if party.party is not None]
    for reference in (*filter(None, change.lookups.values()), *people):
        require_access(reference.id, store=store, caller=caller)


def _created_on(store: Store, sent: dict[str, JsonValue], *, caller: Caller) -> dict[str, JsonValue]:
    # the value sent becomes createdon; the column itself then tells when the row was really made
    wanted = sent.pop("overriddencreatedon", None)
    if wanted is None or store.switches.override_created_on == "ignore":
        return {}
    if store.switches.override_created_on == "refuse":
        raise missing_privilege(OVERRIDE_CREATED_ON_PRIVILEGE, user=caller.on_behalf_id or caller.user_id)
    require_privilege(OVERRIDE_CREATED_ON_PRIVILEGE, store=store, caller=caller)
    if str(wanted) > store.now():
        raise ODataError("'overriddencreatedon' cannot be set to a date in the future.", code=INVALID_ARGUMENT)
    return {"createdon": wanted, "overriddencreatedon": store.now()}


def _set_lookup(row: Row, prop: str, reference: Reference | None) -> None:
    if reference is None:
        row.values[prop] = None
        row.targets.pop(prop, None)
    else:
        row.values[prop] = reference.id
        row.targets[prop] = reference.table


def _set_user(row: Row, column: str, user_id: str | None) -> None:
    _set_lookup(row, f"_{column}_value", Reference("systemuser", user_id) if user_id else None)


def _set_owner(store: Store, row: Row) -> None:
    owner = Reference(row.targets[_OWNER_PROP], str(row.values[_OWNER_PROP]))
    is_user = owner.table == "systemuser"
    _set_lookup(row, "_owninguser_value", owner if is_user else None)
    _set_lookup(row, "_owningteam_value", None if is_user else owner)
    _set_lookup(row, "_owningbusinessunit_value", Reference("businessunit", store.business_unit_id))


def _attendees_after(store: Store, old: Row, new: Row, sent: tuple[PartyChange, ...] | None) -> tuple[Row, ...]:
    present = [party for party in old.parties if party.values[_MASK] in ATTENDEE_MASKS]
    if sent is None:
        return tuple(_rescheduled(party, new) for party in present)
    if store.switches.party_update == "replace_all":
        return _attendee_rows(store, new, sent)
    masks = {party.columns.get(_MASK) for party in sent}
    added = _attendee_rows(store, new, sent)
    return (*(_rescheduled(party, new) for party in present if party.values[_MASK] not in masks), *added)


def _attendee_rows(store: Store, row: Row, sent: tuple[PartyChange, ...]) -> tuple[Row, ...]:
    rules.attendees(sent, switches=store.switches)
    return tuple(_party_row(store, row, party) for party in sent)


def _own_party_rows(store: Store, row: Row, *, known: tuple[Row, ...]) -> tuple[Row, ...]:
    # Dataverse adds two parties of its own: the regarding row and the owner
    present = {(party.values[_MASK], party.values["_partyid_value"]): party for party in known}
    own = []
    for mask, prop in ((REGARDING, _REGARDING_PROP), (OWNER, _OWNER_PROP)):
        if prop in row.targets:
            party = present.get((mask, row.values[prop]))
            reference = Reference(row.targets[prop], str(row.values[prop]))
            own.append(
                _rescheduled(party, row) if party else _party_row(store, row, PartyChange({_MASK: mask}, reference))
            )
    return tuple(own)


def _party_row(store: Store, row: Row, party: PartyChange) -> Row:
    table = store.tables[ACTIVITY_PARTY.entity_set]
    party_id = str(uuid4())
    version = store.next_version()
    values: dict[str, JsonValue] = dict.fromkeys(table.props) | party.columns
    values |= {table.key: party_id, "versionnumber": version, "instancetypecode": 0, "ispartydeleted": False}
    new = Row(table, party_id, version, values)
    _set_lookup(new, "_activityid_value", Reference(APPOINTMENT.logical_name, row.id))
    _set_lookup(new, "_partyid_value", party.party)
    if party.party is not None:
        person = store.find(party.party.table, party.party.id)
        values["addressused"] = values["addressused"] or _address(person)
    return _rescheduled(new, row)


def _rescheduled(party: Row, row: Row) -> Row:
    party.values |= {prop: row.values[prop] for prop in ("scheduledstart", "scheduledend")}
    return party


def _address(person: Row) -> JsonValue:
    return person.values.get("emailaddress1") or person.values.get("internalemailaddress")

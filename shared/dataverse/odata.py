"""The appointment as the Dataverse Web API writes and reads it.

Binds are case sensitive and named as in Microsoft's appointment reference
(https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/appointment); `requiredattendees` and
`organizer` do not exist over the Web API, only the activity parties do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from shared.meeting.appointment import OWNER, PARTIES, REGARDING
from shared.meeting.people import CrmRecord, Party, Role
from shared.timestamps import parse_time, whole_seconds

ENTITY_SETS: Mapping[str, str] = {
    "account": "accounts",
    "contact": "contacts",
    "entitlement": "entitlements",
    "equipment": "equipments",
    "knowledgearticle": "knowledgearticles",
    "lead": "leads",
    "opportunity": "opportunities",
    "queue": "queues",
    "systemuser": "systemusers",
}
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
_INSTANTS = frozenset({"scheduledstart", "scheduledend", "overriddencreatedon"})


def to_body(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON body that writes `columns` (values as in `appointment.py`)."""
    body: dict[str, Any] = {}
    for name, value in columns.items():
        if name == PARTIES:
            body[name] = [_party_body(party) for party in value or ()]
        elif name == REGARDING:
            # A lookup is cleared by a null bind, under whichever of its targets' names.
            table, _, record = (value or "opportunity:").partition(":")
            body[f"regardingobjectid_{table}_appointment@odata.bind"] = _path(table, record) if value else None
        elif name == OWNER:
            table, _, record = value.partition(":")
            body["ownerid@odata.bind"] = _path(table, record)
        else:
            body[name] = value
    return body


def selection(columns: Collection[str]) -> dict[str, str]:
    """The query that reads `columns` and the state."""
    select = {"activityid", "statecode", "statuscode"}
    for name in columns:
        if name in {REGARDING, OWNER}:
            select.add(f"_{name}_value")
        elif name != PARTIES:
            select.add(name)
    query = {"$select": ",".join(sorted(select))}
    if PARTIES in columns:
        query["$expand"] = f"{PARTIES}($select=participationtypemask,_partyid_value,addressused,ispartydeleted)"
    return query


def from_row(row: Mapping[str, Any], columns: Collection[str]) -> dict[str, Any]:
    """The values of `columns` in a row that Dataverse sent, in our own form."""
    values: dict[str, Any] = {}
    for name in columns:
        if name == PARTIES:
            values[name] = sorted(filter(None, map(_party, row.get(PARTIES, ()))), key=str)
        elif name in {REGARDING, OWNER}:
            values[name] = _lookup(row, name)
        elif name in _INSTANTS and row.get(name):
            values[name] = whole_seconds(parse_time(row[name]))
        else:
            values[name] = row.get(name)
    return values


def _path(table: str, record: str) -> str:
    return f"/{ENTITY_SETS[table]}({record})"


def _party_body(party: Party) -> dict[str, Any]:
    who = party.who
    if isinstance(who, str):
        return {"participationtypemask": int(party.role), "addressused": who}
    return {"participationtypemask": int(party.role), f"partyid_{who.table}@odata.bind": _path(who.table, who.id)}


def _party(row: Mapping[str, Any]) -> Party | None:
    """One party in our form. Owner and regarding parties, which Dataverse adds by itself, are none of ours."""
    mask = row.get("participationtypemask")
    # The party of a deleted person keeps its address; sent back as one it would be a new attendee.
    if mask not in set(Role) or row.get("ispartydeleted"):
        return None
    record, table = row.get("_partyid_value"), row.get(f"_partyid_value@{LOOKUP_TABLE}")
    if record and table in ENTITY_SETS:
        return Party(Role(mask), CrmRecord(str(table), record.lower()))
    address = row.get("addressused")
    return Party(Role(mask), address.lower()) if address and not record else None


def _lookup(row: Mapping[str, Any], name: str) -> str | None:
    record = row.get(f"_{name}_value")
    return f"{row.get(f'_{name}_value@{LOOKUP_TABLE}', '')}:{record.lower()}" if record else None


def quoted(text: str) -> str:
    """`text` as an OData string: a quote inside is doubled, so no value can end the literal."""
    return "'" + text.replace("'", "''") + "'"

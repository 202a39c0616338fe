"""Which Dynamics records an Outreach record is connected to, read from whatever form Outreach gives.

With `provideDataConnections=true` the API answers `meta.dataConnections`: a list of objects, one object, or text; ids
in braces or upper case have been seen. Without a connection a custom id may be the GUID of a CRM record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.meeting.identity import GUID, guid
from shared.meeting.people import CrmRecord

_TABLES = {
    "contact": "contact",
    "lead": "lead",
    "opportunity": "opportunity",
    "account": "account",
    "systemuser": "systemuser",
    "user": "systemuser",
}
_TABLE = re.compile(r"(contact|lead|opportunity|account|systemuser|user)s?", re.IGNORECASE)

# Where Outreach keeps an id of another system, by resource (its OpenAPI: prospect.externalId, user.scimExternalId).
CUSTOM_ID_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "prospect": ("externalId", "customId"),
    "user": ("scimExternalId", "externalId", "customId"),
    "opportunity": ("customId", "externalId"),
}


def data_connections(meta: object) -> tuple[CrmRecord, ...]:
    """The Dynamics records in `meta.dataConnections`, each once, in order. What is no GUID belongs to another CRM."""
    connections: object = meta.get("dataConnections") if isinstance(meta, Mapping) else None
    return tuple(dict.fromkeys(_read(connections)))


def custom_id(resource: str, attributes: Mapping[str, Any]) -> str | None:
    """A custom id of the record that is a GUID."""
    for name in CUSTOM_ID_ATTRIBUTES.get(resource, ()):
        if found := guid(attributes.get(name)):
            return found
    return None


def addresses(resource: str, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """E-mail addresses of the record, the main one first."""
    if resource == "user":
        emails: Any = [attributes.get("email")]
    else:
        emails = attributes.get("emails") or [attributes.get("email")]
    found = emails if isinstance(emails, list) else [emails]
    texts = [item.get("email") if isinstance(item, Mapping) else item for item in found]
    return tuple(dict.fromkeys(text.strip().lower() for text in texts if isinstance(text, str) and text.strip()))


def _read(value: object) -> Iterator[CrmRecord]:
    match value:
        case list():
            for item in value:
                yield from _read(item)
        case {"id": str(given), **rest}:
            named = _table(rest.get("type")) or _table_in_url(rest.get("url"))
            if named and (record := guid(given)):
                yield CrmRecord(named, record)
        case Mapping():
            # An object keyed by what each is, its values the ids or objects that hold them.
            for name, item in value.items():
                table = _table(name)
                if table and (record := guid(item.get("id") if isinstance(item, Mapping) else item)):
                    yield CrmRecord(table, record)
        case str():
            yield from _read_text(value)


def _read_text(text: str) -> Iterator[CrmRecord]:
    if text.lstrip().startswith(("[", "{")) and not guid(text):
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(decoded, str):
            yield from _read(decoded)
        return
    # "Contact:GUID", "contacts(GUID)" or a link with etn=contact&id=…: a GUID and, somewhere before it, what it is.
    kind, read_up_to = "", 0
    for found in GUID.finditer(text):
        kind = next(reversed(_TABLE.findall(text, read_up_to, found.start())), kind)
        read_up_to = found.end()
        if kind:
            yield CrmRecord(_TABLES[kind.lower()], found[0].lower())


def _table(kind: object) -> str | None:
    return _TABLES.get(kind.strip().lower().removesuffix("s")) if isinstance(kind, str) else None


def _table_in_url(url: object) -> str | None:
    kinds = _TABLE.findall(url) if isinstance(url, str) else []
    return _TABLES[kinds[-1].lower()] if kinds else None

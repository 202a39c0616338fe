"""An entry of Outreach's events API, read as if it had come by a webhook of a resource called `event`.

An entry says that something happened (`calendar_event_updated`, `meeting_held`) and has a payload that is documented
nowhere, so it is read as leniently as can be: names in camel or snake case, the calendar event or meeting as an object
of its own or its members beside the rest, ids of people as one number or a list. What cannot be a value is left out.

One thing is not guessed: a bare `id` in the payload. Taken for the wrong kind of record it would write into a meeting
that the entry has nothing to do with. What the entry itself points at (one prospect, one user, of perhaps several)
comes under names of its own, `eventProspect` and so on, for whoever wants to put them into the mapping file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import BadDelivery
from shared.meeting.delivery import parse_json
from shared.timestamps import parse_time

RESOURCE = "event"

# Objects inside a payload that are the record which the entry is about, and the name of their id.
_RECORDS = {"calendarEvent": "calendarEventId", "meeting": "meetingId"}
# Ids of people and of the opportunity, and the relationship that each of them is.
_PEOPLE = {
    "prospectId": ("prospect", "prospect"),
    "prospectIds": ("prospects", "prospect"),
    "userId": ("user", "user"),
    "ownerId": ("owner", "user"),
    "bookerId": ("booker", "user"),
    "opportunityId": ("opportunity", "opportunity"),
}
# Begins at the first of several underscores only: tried at each of them, a long row of them would take for ever.
_WORD = re.compile(r"(?<!_)_+([A-Za-z0-9])")


def delivery_body(record: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a delivery that tells what `record` (a resource object of `GET /events`) tells."""
    attributes = _mapping(record.get("attributes"))
    read, related = _read(_payload(attributes.get("payload")))
    # An entry is made after what it tells of, and keeps that time: one that lies ahead must not win at every look.
    times = [attributes[name] for name in ("eventAt", "createdAt") if _is_time(attributes.get(name))]
    own = {
        f"{RESOURCE}{name[:1].upper()}{name[1:]}": value
        for name, value in _mapping(record.get("relationships")).items()
    }
    return {
        "data": {"type": RESOURCE, "id": record.get("id"), "attributes": read, "relationships": own | related},
        "meta": {
            "eventName": f"{RESOURCE}.{attributes.get('name') or 'unknown'}",
            "deliveredAt": min(times, key=parse_time, default=None),
        },
    }


def _payload(payload: object) -> Mapping[str, Any]:
    if isinstance(payload, str):
        try:
            payload = parse_json(payload.encode())
        except BadDelivery:
            return {}
    return _mapping(payload)


def _read(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes and relationships in a payload; what the record's own object says beats what stands beside it."""
    values = {_camel(name): value for name, value in payload.items()}
    for name, id_name in _RECORDS.items():
        inner = {_camel(key): value for key, value in _mapping(values.get(name)).items()}
        inner = {**inner, **{_camel(key): value for key, value in _mapping(inner.get("attributes")).items()}}
        if "id" in inner:
            inner.setdefault(id_name, inner["id"])
        values |= inner
    values.pop("id", None)
    related = {
        relationship: found
        for name, (relationship, kind) in _PEOPLE.items()
        if name in values and (found := _references(values.pop(name), kind)) is not None
    }
    scalars = {name: value for name, value in values.items() if value is None or isinstance(value, str | int | float)}
    return scalars, related


def _references(value: object, kind: str) -> Any:
    """As a delivery writes it; None where `value` can be no id."""
    if isinstance(value, list):
        return [found for item in value if (found := _references(item, kind)) is not None]
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).isalnum():
        return None
    return {"type": kind, "id": value}


def _is_time(value: object) -> bool:
    try:
        parse_time(value)
    except ValueError:
        return False
    return True


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _camel(name: str) -> str:
    return _WORD.sub(lambda found: found[1].upper(), name)

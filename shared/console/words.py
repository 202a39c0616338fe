"""Outcomes, values and times in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import Party
from shared.meeting.status import Status

NONE: Final = "\N{EM DASH}"
_STATUSES: Final = frozenset(Status)
_PARTS: Final[Mapping[str, str]] = {
    "settings": "Settings",
    "queue": "Queue",
    "tables": "Tables",
    "dataverse": "Dynamics",
    "outreach": "Outreach",
    "unverified": "deliveries that no secret fits yet",
    "overflow": "events in the overflow table",
    "parked": "parked meetings",
    "unresolved": "people to look up again",
    "missed": "events that webhooks missed",
    "subscription": "the Outreach webhook",
    "token": "the Outreach token",
    "retention": "rows kept long enough",
}

# A number and its unit stay on one line.
_GAP: Final = "\N{NO-BREAK SPACE}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def outcome(name: str) -> str:
    """What became of an event, or how a meeting stands, in a few words."""
    return Status(name).words if name in _STATUSES else OutcomeKind(name).words


def tone(name: str) -> str:
    """`good`, `calm`, `wait` or `bad`: how to colour it."""
    kind = OutcomeKind(name)
    if kind.applied or name == Status.IN_DYNAMICS:
        return "good"
    if kind.needs_person or name == Status.DEAD_LETTER:
        return "bad"
    return "wait" if kind.comes_again or name in {Status.PARKED, Status.BEING_WRITTEN} else "calm"


def value(found: Any) -> str:
    """A field's value for people: text as it is, records as `prospect 3`, nothing as a dash."""
    match found:
        case None | "" | []:
            return NONE
        case bool():
            return "yes" if found else "no"
        case str() | int() | float():
            return str(found)
        case {"type": kind, "id": record, **rest} if not rest:
            return f"{kind} {record}"
        case list() | tuple():
            return ", ".join(value(item) for item in found)
        case _:
            return json.dumps(found, ensure_ascii=False, sort_keys=True, default=str)


def written(fingerprint: str) -> str:
    """What Dynamics was last confirmed to have, from what is remembered of it; empty where nothing was written."""
    if not fingerprint:
        return ""
    if fingerprint.startswith("sha256:"):
        return "a long text, as Outreach said it then"
    found = json.loads(fingerprint)
    return "\n".join(map(_party, found)) if found and isinstance(found, list) else value(found)


def _party(text: str) -> str:
    """`5:contact:…` as `required attendee contact …`; anything else as it is."""
    try:
        party = Party.parse(text)
    except ValueError:
        return text
    who = f"address {party.who}" if isinstance(party.who, str) else f"{party.who.table} {party.who.id}"
    return f"{party.role.words} {who}"


def part(name: str) -> str:
    """What health and the timer call a part of the app, as people call it."""
    return _PARTS.get(name, name)


def pretty(document: object) -> str:
    """JSON with line breaks."""
    return json.dumps(document, ensure_ascii=False, indent=2, default=str)


def lasting(seconds: float | None) -> str:
    """A span of time: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 days`."""
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f}{_GAP}s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f}{_GAP}s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f}{_GAP}min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f}{_GAP}h"
    return f"{seconds / _DAY:.0f}{_GAP}days"

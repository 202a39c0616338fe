"""How ids and names from outside stand in logs, metrics and traces: in a fixed form as they are, else by their digest.

A sender may call a record, an action or a resource what it likes: a person's name, an address, a line that looks like
one of ours. Numbers, GUIDs and the names that Outreach or the mapping file is known to have say nothing about anybody.
Everything else is written as `~` and the first 16 hex digits of its SHA-256, so that whoever has the id can still look
for it: `printf %s ID | sha256sum`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256

from shared.meeting.delivery import KNOWN_RESOURCES
from shared.meeting.identity import GUID

_NUMBER = re.compile(r"[0-9]{1,20}")
_WORD = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
# What our own messages are called beside deliveries, and what is not known.
_OURS = frozenset({"", "unknown", "delivery", "reconcile", "spilled", "write"})
_ACTIONS = frozenset(
    {
        "*",
        "accepted",
        "backfill",
        "booked",
        "canceled",
        "cancelled",
        "completed",
        "created",
        "declined",
        "deleted",
        "destroyed",
        "finished",
        "rescheduled",
        "updated",
    }
)


def digest(text: str) -> str:
    """What stands for `text`."""
    return f"~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def record(text: str) -> str:
    """An id: of a record, an appointment, a person. As it is where it is a number or a GUID."""
    return text if not text or _NUMBER.fullmatch(text) or GUID.fullmatch(text) else digest(text)


def word(text: str) -> str:
    """A code or a request id of a service, which is one short word."""
    return text if _WORD.fullmatch(text) else digest(text)


class Label(str):
    """A text that `Names` has written: a log line takes it as it is."""

    __slots__ = ()


class Names:
    """Names of events and keys of meetings. `mapped`: the resources of the mapping file, each with its own actions."""

    def __init__(self, mapped: Callable[[], Mapping[str, Collection[str]]]) -> None:
        self._mapped = mapped

    def resource(self, name: str) -> Label:
        """The name of a resource."""
        return Label(self._resource(name))

    def action(self, name: str) -> Label:
        """What happened to it."""
        return Label(self._action(name))

    def event(self, name: str) -> Label:
        """`meeting.created`."""
        resource, dot, action = name.partition(".")
        return Label(f"{self._resource(resource)}{dot}{self._action(action)}" if dot else self._resource(resource))

    def meeting(self, key: str) -> Label:
        """`meeting:5`."""
        resource, colon, record_id = key.partition(":")
        return Label(f"{self._resource(resource)}{colon}{record(record_id)}")

    def _resource(self, name: str) -> str:
        return (
            name if name in _OURS or name == "*" or name in KNOWN_RESOURCES or name in self._mapped() else digest(name)
        )

    def _action(self, name: str) -> str:
        return name if name in _ACTIONS or any(name in actions for actions in self._mapped().values()) else digest(name)

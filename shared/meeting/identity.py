"""Names that must be the same for ever: the meeting's key, its appointment's id, and keys that a table accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid5

# Made once for this product. Changing it would give every meeting a second appointment.
APPOINTMENT_NAMESPACE = UUID("6f3a2f0e-8f57-5d0b-9c1e-3b5d7a4c2e91")

_VERSION_OF_OURS = 5
_KEY_SAFE = re.compile(r"[A-Za-z0-9_.:\-]+")
_MAX_KEY = 200
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class MeetingKey:
    """The Outreach record that a meeting is known by: `meeting` 5, or `calendarEvent` 17 where no meeting is named."""

    resource: str
    record_id: str

    def __str__(self) -> str:
        return f"{self.resource}:{self.record_id}"

    @classmethod
    def parse(cls, text: str) -> MeetingKey:
        """The key in `meeting:5`. A bare `5` is a meeting: that is what an admin types."""
        resource, colon, record_id = text.partition(":")
        return cls(resource, record_id) if colon else cls("meeting", text)


def appointment_id(key: MeetingKey, *, org: str) -> str:
    """The id that the appointment of `key` gets in Dataverse, chosen by us so that a create can never happen twice.

    `org` tells two Outreach organisations apart that write into one Dynamics; empty for a single one.
    """
    return str(uuid5(APPOINTMENT_NAMESPACE, f"{org}\n{key}"))


def may_be_ours(appointment_id: str) -> bool:
    """Whether we may have chosen this id: ours are of version 5, and those that Dataverse makes are never."""
    return UUID(appointment_id).version == _VERSION_OF_OURS


def table_key(text: str) -> str:
    """`text` as a PartitionKey or RowKey: itself where it is plain, else a readable start and a digest.

    Tables refuse slashes, `#`, `?` and control characters, and keys above 1 KiB
    (https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model). The digest keeps
    two texts that only differ in such characters apart.
    """
    if len(text) <= _MAX_KEY and _KEY_SAFE.fullmatch(text):
        return text
    start = "".join(_KEY_SAFE.findall(text))[:40]
    return f"{start}~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def guid(text: object) -> str | None:
    """`text` as a lower-case GUID without braces, or None."""
    found = GUID.fullmatch(text.strip().strip("{}")) if isinstance(text, str) else None
    return found[0].lower() if found else None

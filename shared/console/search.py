"""What somebody looks for: a meeting, an event, or an appointment, told apart by its form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

_GUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_IN_ADDRESS = re.compile(rf"[?&]id=(?:%7[bB]|\{{)?({_GUID.pattern})")


@dataclass(frozen=True, slots=True)
class Sought:
    """`text` as it was typed; whatever it can be is filled in."""

    text: str
    meeting: str = ""
    correlation_id: str = ""
    appointment_id: str = ""


def sought(text: str) -> Sought:
    """A meeting id (`5`, `meeting:5`), a correlation id, an appointment id, or an appointment's address in Dynamics."""
    text = text.strip()
    if found := _IN_ADDRESS.search(text):
        return Sought(text, appointment_id=str(UUID(found[1])))
    bare = text.strip("{}")
    if _GUID.fullmatch(bare):
        both = UUID(bare)
        return Sought(text, correlation_id=both.hex, appointment_id=str(both))
    return Sought(text, meeting=text)

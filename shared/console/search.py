"""What somebody looks for, told apart by its form, and the search through meetings for what has no index."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.errors import BadDelivery
from shared.meeting.appointment import collapse, value_of
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Meeting
from shared.meeting.status import Status
from shared.meeting.transforms import PARTIES
from shared.storage.account import Continuation
from shared.storage.meetings import MeetingTable

MAX_FOUND = 50
# Longer than any id and any address of a record; the words go on in an address, which may not be much longer.
MAX_TEXT = 500

_GUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_IN_ADDRESS = re.compile(rf"[?&]id=(?:%7[bB]|\{{)?({_GUID.pattern})")
# `prospect 101`, or the address of a prospect's page in Outreach.
_PROSPECT = re.compile(r"(?:prospect[ :]|(?:.*/)?prospects?/)(\d{1,20})(?:[/?#].*)?", re.IGNORECASE)
_KEY = re.compile(r"\d+|[A-Za-z]+:\d+")


@dataclass(frozen=True, slots=True)
class Sought:
    """`text` as it was typed; whatever it can be is filled in."""

    text: str
    meeting: str = ""
    correlation_id: str = ""
    appointment_id: str = ""
    prospect: str = ""
    title: str = ""

    @property
    def needs_a_search(self) -> bool:
        """Whether every meeting must be looked at."""
        return bool(self.prospect or self.title)


@dataclass(frozen=True, slots=True)
class Summary:
    """One meeting in a list. `starts_at` as Outreach said it; empty where no event did."""

    meeting_id: str
    title: str
    starts_at: str
    status: Status
    parked: str


def sought(text: str) -> Sought:
    """Ids of meeting (`5`, `meeting:5`), event, appointment or prospect, an appointment's address, or else a title.

    Raises `BadDelivery` for more than `MAX_TEXT` characters.
    """
    text = text.strip()
    if len(text) > MAX_TEXT:
        message = f"That is over {MAX_TEXT} characters. Look for an id, or for a few words of the title."
        raise BadDelivery("too_long", message)
    if found := _IN_ADDRESS.search(text):
        return Sought(text, appointment_id=str(UUID(found[1])))
    bare = text.strip("{}")
    if _GUID.fullmatch(bare):
        both = UUID(bare)
        return Sought(text, correlation_id=both.hex, appointment_id=str(both))
    if found := _PROSPECT.fullmatch(text):
        return Sought(text, prospect=found[1])
    if not text or _KEY.fullmatch(text):
        return Sought(text, meeting=text)
    # A single word may be either.
    return Sought(text, meeting="" if " " in text else text, title=text)


def fitting(wanted: Sought, mapping: MappingFile) -> Callable[[Meeting], bool]:
    """Whether a meeting has the prospect, or has the words in its title."""
    words = wanted.title.casefold()

    def fits(meeting: Meeting) -> bool:
        values = collapse(meeting.facts, mapping)
        if wanted.prospect:
            people = value_of(PARTIES, values, mapping) or []
            return {"type": "prospect", "id": wanted.prospect} in people
        return words in str(value_of("subject", values, mapping) or "").casefold()

    return fits


async def look_through(
    meetings: MeetingTable, fits: Callable[[Meeting], bool], *, since: datetime, seconds: float
) -> tuple[list[tuple[MeetingKey, Meeting]], bool]:
    """Meetings that fit, among those that changed since `since`; and whether all were looked at in that time."""
    found: list[tuple[MeetingKey, Meeting]] = []
    after: Continuation | None = None
    try:
        async with asyncio.timeout(seconds):
            while len(found) < MAX_FOUND:
                some, after = await meetings.changed_since(since, after=after)
                found += [(key, one) for key, one in some if one.aliases.meeting is None and fits(one)]
                if after is None:
                    return found, True
    except TimeoutError:
        pass
    return found, False


def summary(key: MeetingKey, meeting: Meeting, mapping: MappingFile) -> Summary:
    """What a list shows of a meeting."""
    values = collapse(meeting.facts, mapping)
    return Summary(
        str(key),
        str(value_of("subject", values, mapping) or ""),
        str(value_of("scheduledstart", values, mapping) or ""),
        meeting.status,
        meeting.held.reason if meeting.held is not None else "",
    )

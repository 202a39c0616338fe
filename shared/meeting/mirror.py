"""What Dynamics has of a meeting: as far as we know, as a look shows it, and as a write confirms it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.meeting.delivery import Reference
from shared.meeting.people import CrmRecord, Party

# An appointment's (statecode, statuscode).
State = tuple[int, int]
OPEN, COMPLETED, CANCELED = (0, 1), (1, 3), (2, 4)
STATES: Mapping[str, State] = {"open": OPEN, "completed": COMPLETED, "canceled": CANCELED}
_CLOSED = {1: "completed", 2: "canceled"}


def is_open(state: State) -> bool:
    """Whether an appointment in this state is neither completed nor canceled."""
    return state[0] not in _CLOSED


# The version of an appointment that exists, nobody remembers how: no row has it, so whoever writes has to look.
UNKNOWN_VERSION = 'W/"0"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """A column that Dynamics did not take: with which value (its fingerprint), why, and under which mapping (digest).

    `code`: that of Dynamics; `reason`: for people.
    """

    value: str
    code: str
    reason: str
    mapping: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    """That the appointment was there before: who made it (the id of a user in Dynamics) and when.

    `tracked`: Outlook tracks it, and carries times, subject, place and people itself.
    """

    made_by: str = ""
    made_on: str = ""
    tracked: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    """What Dynamics is known to have of a meeting.

    appointment_id  the appointment's id in Dataverse, chosen by us; empty: none was chosen yet
    version         the appointment's etag that the next write is fenced by; None: not confirmed to exist
    applied         column -> fingerprint of the value that Dynamics was last confirmed to have from us
    doubt           the write-ahead note: columns that may hold anything between `applied` and what was last tried
    refused         columns that Dynamics did not take; what each holds there is none of ours, or unknown
    give_back       the state to give back to a closed appointment that was opened for a change
    open_as         the state (free, busy, tentative, one of their own) that it had when it was last known to be open
    parties         the attendees of ours that may stand there, so that those a person added can be told apart
    made_of         by column of people and records, what it is made of (`appointment.made_of`) since they were last
                    looked up
    invited         the attendee that each record of Outreach is
    deleted         a person deleted the appointment and the mapping says to leave it so
    surplus         appointments that were made for calendar events before these named the meeting, which has one of its
                    own: still to be canceled
    taken_over      the appointment was there before, and is none that we made; None: it is ours
    filling         columns that were empty when it was taken over, and what we are about to write into them, as
                    fingerprints: whatever else stands there was written by a person meanwhile
    """

    appointment_id: str = ""
    version: str | None = None
    applied: Mapping[str, str] = field(default_factory=dict)
    doubt: frozenset[str] = frozenset()
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    give_back: State | None = None
    open_as: State | None = None
    parties: frozenset[Party] = frozenset()
    made_of: Mapping[str, str] = field(default_factory=dict)
    invited: Mapping[Reference, CrmRecord | str] = field(default_factory=dict)
    deleted: bool = False
    surplus: frozenset[str] = frozenset()
    taken_over: TakenOver | None = None
    filling: Mapping[str, str] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the appointment is confirmed to exist."""
        return self.version is not None

    @property
    def being_made(self) -> bool:
        """Whether a create was begun, and nobody knows how it ended."""
        return not self.exists and bool(self.doubt)

    @property
    def attempted(self) -> bool:
        """Whether the appointment exists or may exist: a create was at least begun."""
        return self.exists or bool(self.doubt)


@dataclass(frozen=True, slots=True)
class Actual:
    """What Dataverse says an appointment is now: its etag, the mapped columns it was asked for, its state."""

    version: str
    columns: Mapping[str, Any]
    state: State

    @property
    def is_closed(self) -> bool:
        """Whether it is completed or canceled."""
        return not is_open(self.state)

    @property
    def state_name(self) -> str:
        """The state as columns have it."""
        return _CLOSED.get(self.state[0], "open")


@dataclass(frozen=True, slots=True)
class Written:
    """A confirmed write: the new etag and state (None: not known), and what the journal should say about it.

    `without`: what Dynamics did not take of what a create asked for, of Created On and Created By.
    """

    version: str
    notes: tuple[str, ...] = ()
    request_id: str = ""
    state: State | None = None
    without: frozenset[str] = frozenset()

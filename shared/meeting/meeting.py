"""What is remembered of one meeting: the merge so far, and how far Dynamics has been told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.meeting.merge import Fields
from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import Party

RECENT_EVENTS = 25


@dataclass(frozen=True, slots=True)
class Recent:
    """One event in a meeting's time line."""

    correlation_id: str
    event: str
    received_at: str
    outcome: OutcomeKind

    def is_same_event(self, other: Recent | None) -> bool:
        """Whether both tell of one event; several may share a trace."""
        return other is not None and (self.correlation_id, self.event, self.received_at) == (
            other.correlation_id,
            other.event,
            other.received_at,
        )


@dataclass(frozen=True, slots=True)
class MeetingState:
    """One row of the table `meetings`.

    fields          the merge of all events so far
    appointment_id  the appointment's id in Dataverse, chosen by us
    applied         column -> fingerprint of the value that Dynamics was last confirmed to have from us
    doubt           the write-ahead note: columns that may hold anything between `applied` and what was last tried
    crm_version     the appointment's etag that the next write is fenced by; None: not confirmed to exist
    closed_as       (statecode, statuscode) to give back to a closed appointment that was opened for a change
    parties         every activity party ever sent, so that those a person added in Dynamics can be told apart
    parked          why nothing is sent although something waits; empty when nothing waits
    gone            a person deleted the appointment and the mapping says to leave it so
    moved_to        the meeting that this calendar event turned out to belong to; then nothing else counts
    copies          calendar events whose rows point here
    spare           appointments that were made for calendar events before these named the meeting, which has one of its
                    own: still to be canceled
    unsettled       the next event must look, though nothing in it be new: what was merged may not be in Dynamics, or
                    there may be dead letters
    recent          the last events, oldest first
    """

    fields: Fields
    appointment_id: str
    applied: Mapping[str, str] = field(default_factory=dict)
    doubt: frozenset[str] = frozenset()
    crm_version: str | None = None
    closed_as: tuple[int, int] | None = None
    parties: frozenset[Party] = frozenset()
    parked: str = ""
    gone: bool = False
    moved_to: str = ""
    copies: frozenset[str] = frozenset()
    spare: frozenset[str] = frozenset()
    unsettled: bool = False
    recent: tuple[Recent, ...] = ()

    @property
    def attempted(self) -> bool:
        """Whether the appointment exists or may exist: a create was at least begun."""
        return self.crm_version is not None or bool(self.doubt)

    @property
    def being_made(self) -> bool:
        """Whether a create was begun, and nobody knows how it ended."""
        return self.crm_version is None and bool(self.doubt)

    def noting(self, event: Recent) -> MeetingState:
        """The state with `event` last in its time line, once."""
        others = [recent for recent in self.recent if not recent.is_same_event(event)]
        return replace(self, recent=(*others, event)[-RECENT_EVENTS:])


@dataclass(frozen=True, slots=True)
class Actual:
    """What Dataverse says an appointment is now: its etag, the mapped columns it was asked for, its state."""

    version: str
    columns: Mapping[str, Any]
    state: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Written:
    """A confirmed write: the new etag, and what the journal should say about it."""

    version: str
    notes: tuple[str, ...] = ()
    request_id: str = ""

"""What an error means for the event that met it: whether it may pass, and how the journal tells it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import BadDelivery, RemoteError, RowConflict, SyncError, Transient, Unmappable


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in the words of the journal.

    may_pass     put the event back
    unforeseen   an error in the app: not an outage, so patience has another end
    paused       nothing was sent, so this was no attempt
    merged       what the event said is remembered
    meeting      the row that it belongs to, where that is known
    retry_after  seconds that a service asked to be left alone
    """

    reason: str
    code: str
    request_id: str = ""
    retry_after: float | None = None
    may_pass: bool = False
    unforeseen: bool = False
    paused: bool = False
    merged: bool = False
    meeting: str = ""


def failure_of(error: Exception) -> Failure:
    """`error` as a failure."""
    match error:
        case RemoteError():
            return Failure(
                error.reason,
                error.code or str(error.status or ""),
                error.request_id,
                error.retry_after if isinstance(error, Transient) else None,
                may_pass=isinstance(error, Transient),
                paused=isinstance(error, Transient) and error.code == "paused",
                merged=error.merged,
                meeting=error.meeting,
            )
        case Unmappable():
            return Failure(error.reason, error.code, merged=error.merged, meeting=error.meeting)
        case BadDelivery():
            return Failure(error.message, error.code)
        case RowConflict():
            return Failure("Table row changed meanwhile.", "row_conflict", may_pass=True)
        case SyncError():
            name = type(error).__name__
            return Failure(str(error) or name, name, merged=error.merged, meeting=error.meeting)
        case _:
            reason = f"An error in the app itself ({type(error).__name__}); its log says where."
            return Failure(reason, "unforeseen", may_pass=True, unforeseen=True)

"""What became of an event: one word for the journal, and all that follows from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self


class OutcomeKind(StrEnum):
    """How an event ended, or an attempt at it. Its text is stored in the journal and in meetings' time lines.

    words         what people read
    applied       Dynamics has it now; the age of the change is the lag that people notice
    comes_again   another attempt is due
    needs_person  nothing will carry it out by itself
    """

    words: str
    applied: bool
    comes_again: bool
    needs_person: bool

    def __new__(
        cls, text: str, words: str = "", then: Literal["", "applied", "comes again", "needs a person"] = ""
    ) -> Self:
        """The outcome with this text, its words, and what follows from it."""
        return cls._made(text, words, then)

    @classmethod
    def _made(cls, text: str, words: str, then: str) -> Self:
        member = str.__new__(cls, text)
        member._name_ = member._value_ = text
        member.words = words
        member.applied = then == "applied"
        member.comes_again = then == "comes again"
        member.needs_person = then == "needs a person"
        return member

    CREATED = "created", "New appointment made", "applied"
    UPDATED = "updated", "Appointment changed", "applied"
    MERGED = "merged", "Remembered; no column changed"
    DUPLICATE = "duplicate", "Known already"
    SUPERSEDED = "superseded", "Older than what is known"
    PARKED = "parked", "Remembered, waiting"
    LEFT = "left", "Remembered; the appointment was deleted in Dynamics and stays so"
    IGNORED = "ignored", "Not one of ours"
    REFUSED = "refused", "Its signature fits no secret", "needs a person"
    RETRYING = "retrying", "Failed for now, will be tried again", "comes again"
    DEAD_LETTERED = "dead-lettered", "Dead letter", "needs a person"
    DISMISSED = "dismissed", "Dismissed by a person"
    EXPIRED = "expired", "A dead letter that was kept long enough, and forgotten"
    # In a meeting's time line only: between the claim and the confirmed write, and failed for good.
    WRITING = "writing", "Being written", "comes again"
    FAILED = "failed", "Could not be carried out", "needs a person"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """An outcome that a newer version of the app stored: nothing is known of it but its text."""
        return cls._made(value, value, "") if isinstance(value, str) else None

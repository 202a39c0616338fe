"""How a meeting stands, in one word. `Meeting.status` is the one place that says which."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """One word for the API; `state` is the older one that answers have too, `words` is what people read."""

    state: str
    words: str

    def __new__(cls, text: str, state: str = "", words: str = "") -> Self:
        """The status with this text and its words."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.state = state
        member.words = words
        return member

    REMEMBERED = "remembered", "remembered", "Remembered; no appointment yet"
    BEING_WRITTEN = "being_written", "being written", "Being written, or in doubt"
    IN_DYNAMICS = "in_dynamics", "in Dynamics", "In Dynamics"
    PARKED = "parked", "parked", "Remembered, waiting"
    DEAD_LETTER = "dead_letter", "needs attention", "Dead letter"
    DELETED_IN_DYNAMICS = "deleted_in_dynamics", "deleted in Dynamics", "Deleted in Dynamics"

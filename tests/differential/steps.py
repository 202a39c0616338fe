"""What happens in a history: deliveries that arrive, people who edit in Dynamics, services that refuse or are away.

A history is a list of steps in the order in which the app meets them. Its text is Python: a failing one is printed as
it would be typed, and `replay` in `judge.py` plays it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

Related = int | tuple[int, ...] | None


class Step:
    """Its text leaves out what is as usual."""

    def __repr__(self) -> str:
        told = [
            f"{one.name}={getattr(self, one.name)!r}"
            for one in fields(self)  # type: ignore[arg-type] # every step is a dataclass
            if getattr(self, one.name) != (one.default if one.default_factory is MISSING else one.default_factory())
        ]
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass(frozen=True, repr=False)
class Say(Step):
    """A delivery arrives. It tells of a change in Outreach in minute `minute`, sent a second later.

    calendar  the calendar event that it is about; 0: the meeting itself
    claims    what it says as `updatedAt`, where that is not the time of the change
    trouble   what the next calls to Dynamics meet: a status, `not_sent`, or `not_answered` (carried out all the same)
    """

    meeting: int
    minute: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    related: Mapping[str, Related] = field(default_factory=dict)
    action: str = "updated"
    calendar: int = 0
    claims: str = ""
    trouble: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Outage(Step):
    """A service is away while these deliveries arrive, and back when all have been tried."""

    service: Literal["dataverse", "outreach"]
    says: tuple[Say, ...]


@dataclass(frozen=True, repr=False)
class Edit(Step):
    """A person changes the appointment of a meeting, as far as it is there and may be changed.

    columns   subject, description, location, start, end; start and end as ISO times
    owner     the number of the user who becomes owner and organizer
    state     (statecode, statuscode)
    roles     contacts by number, each with the role given to it if it takes part; None: it is taken off the list
    guest     the number of a contact who is added as a required attendee
    """

    meeting: int
    columns: Mapping[str, str] = field(default_factory=dict)
    owner: int = 0
    state: tuple[int, int] | None = None
    roles: Mapping[int, int | None] = field(default_factory=dict)
    guest: int = 0


@dataclass(frozen=True, repr=False)
class Delete(Step):
    """A person deletes the appointment of a meeting."""

    meeting: int


@dataclass(frozen=True, repr=False)
class Refuse(Step):
    """Dynamics begins to refuse: the column of this name, or `owner` number `user`."""

    what: str
    user: int = 0


@dataclass(frozen=True, repr=False)
class Allow(Step):
    """Dynamics refuses nothing any more."""


@dataclass(frozen=True, repr=False)
class Wait(Step):
    """Time passes, and the timer runs at its end."""

    minutes: int


@dataclass(frozen=True, repr=False)
class Restart(Step):
    """The app starts anew: what it had in memory is gone. `pushing`: whether it sends anything from then on."""

    pushing: bool = True


@dataclass(frozen=True, repr=False)
class History(Step):
    """All of it, and how Outreach and Dynamics are set up: SYNC_ON_CANCEL, and whether closed rows refuse changes."""

    steps: tuple[Step, ...]
    on_cancel: Literal["ignore", "cancel"] = "ignore"
    strict: bool = True

    def __repr__(self) -> str:
        told = "".join(f"    {step!r},\n" for step in self.steps)
        usual = f", on_cancel={self.on_cancel!r}, strict={self.strict!r}"
        return f"History(({chr(10)}{told}){usual})"

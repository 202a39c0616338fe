"""Where a value stands in a delivery, and where a delivery names its meeting, as the mapping file writes it.

A *source* says where a value stands:

    attributes.title            the value itself
    attributes.state=a|b        true when the value is `a` or `b` (letter case aside); another value takes that back
    attributes.canceledAt?      true when the value is there and not null
    relationships.prospect      the records of a relationship, in whichever form
    action=completed            true when the event is `<resource>.completed`; says nothing otherwise

A *key* says where the meeting is named:

    relationships.meeting                        the record is a meeting
    relationships.subject=meeting|calendarEvent  only a record of one of these types counts, and that is what it is
    attributes.sourceId as calendarEvent         the value is the id of a calendar event
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BeforeValidator, Field

_SOURCE = re.compile(r"(attributes|relationships)\.(\w+)(\?|=([^=]+))?|action=(\w+)")
_KEY_SOURCE = re.compile(r"(?:(attributes)\.(\w+)|(relationships)\.(\w+)(?:=(\w+(?:\|\w+)*))?)(?: as (\w+))?")


@dataclass(frozen=True, slots=True)
class Source:
    """One place in a delivery. `place`: `attributes`, `relationships` or `action`; `equals`: lower-case texts."""

    place: str
    name: str
    equals: tuple[str, ...] = ()
    presence: bool = False

    def __str__(self) -> str:
        if self.place == "action":
            return f"action={self.name}"
        suffix = "?" if self.presence else ("=" + "|".join(self.equals) if self.equals else "")
        return f"{self.place}.{self.name}{suffix}"

    @property
    def says_whether(self) -> bool:
        """Whether it gives true or false, whatever the value is."""
        return self.place == "action" or bool(self.equals) or self.presence

    @classmethod
    def parse(cls, text: object) -> Self:
        """The source in `text`; raises `ValueError` that shows the forms there are."""
        found = _SOURCE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(
                f"{text!r} is not a source; write attributes.NAME, attributes.NAME?, attributes.NAME=VALUE, "
                "relationships.NAME or action=NAME"
            )
        place, name, suffix, values, action = found.groups()
        if action:
            return cls("action", action.lower())
        if suffix and place == "relationships":
            raise ValueError(f"{text!r}: a relationship takes neither ? nor =")
        equals = tuple(value.strip().lower() for value in values.split("|")) if values else ()
        if not all(equals):
            raise ValueError(f"{text!r}: one of its values is empty")
        return cls(place, name, equals, presence=suffix == "?")


@dataclass(frozen=True, slots=True)
class KeySource:
    """One place where an event may name its meeting.

    `types`: the record's type must be one of these (none: any will do); `names`: what the record is (empty: its type).
    """

    place: str
    name: str
    types: tuple[str, ...] = ()
    names: str = "meeting"

    @classmethod
    def parse(cls, text: object) -> Self:
        """The key source in `text`; raises `ValueError` that shows the forms there are."""
        found = _KEY_SOURCE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(
                f"{text!r} does not say where the meeting is named; write relationships.NAME, "
                "relationships.NAME=TYPE|TYPE or attributes.NAME, each with or without ' as RESOURCE'"
            )
        attributes, attribute, relationships, relationship, types, names = found.groups()
        allowed = tuple(types.split("|")) if types else ()
        default = "" if allowed else "meeting"
        return cls(attributes or relationships, attribute or relationship, allowed, names or default)


Sources = Annotated[
    tuple[Annotated[Source, BeforeValidator(Source.parse)], ...],
    Field(min_length=1),
]

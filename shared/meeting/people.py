"""People as Dynamics knows them: records, who somebody is, and parties of an activity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from shared.meeting.delivery import Reference

_ADDRESS = "address"
_MAX_ADDRESS = 320
_ADDRESS_FORM = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+")


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A row in Dynamics: `table` is its logical name (contact, lead, systemuser, …), `id` a lower-case GUID."""

    table: str
    id: str

    def __str__(self) -> str:
        return f"{self.table}:{self.id}"


@dataclass(frozen=True, slots=True)
class Person:
    """Who an Outreach record is in Dynamics.

    `records`: best known first; `email`: the main address, to invite by for want of a record; `gone`: Outreach has
    deleted the record, or never had it.
    """

    records: tuple[CrmRecord, ...] = ()
    email: str | None = None
    note: str = ""
    gone: bool = False

    def record(self, table: str) -> CrmRecord | None:
        """The record in `table`, if there is one."""
        return next((record for record in self.records if record.table == table), None)


People = Mapping[Reference, Person]


@dataclass(frozen=True, slots=True)
class RowKey:
    """A row in Dynamics by the text in one of its columns, as the mapping asks for it. `table`: its entity set.

    What it is asked for as stands beside Outreach's records, none of whose types has a slash.
    """

    table: str
    by: str
    text: str

    @property
    def reference(self) -> Reference:
        """What it is asked for as."""
        return Reference(f"{self.table}/{self.by}", self.text)

    @classmethod
    def of(cls, reference: Reference) -> RowKey | None:
        """The key behind `reference`; None for a record of Outreach."""
        table, slash, by = reference.type.partition("/")
        return cls(table, by, reference.id) if slash else None


def as_invited(people: People, invited: Mapping[Reference, CrmRecord | str]) -> dict[Reference, Person]:
    """`people`, but whom Outreach has deleted is who it was when it was invited, unless somebody knows better."""
    return {reference: _as_invited(person, invited.get(reference)) for reference, person in people.items()}


def _as_invited(person: Person, who: CrmRecord | str | None) -> Person:
    if who is None or not person.gone or person.records:
        return person
    return replace(person, email=who) if isinstance(who, str) else replace(person, records=(who,))


class Role(IntEnum):
    """How somebody takes part, as Dynamics numbers it.

    https://learn.microsoft.com/power-apps/developer/data-platform/activityparty-entity
    """

    REQUIRED = 5
    OPTIONAL = 6
    ORGANIZER = 7

    @property
    def words(self) -> str:
        """The role as people call it."""
        return "organizer" if self is Role.ORGANIZER else f"{self.name.lower()} attendee"


@dataclass(frozen=True, slots=True)
class Party:
    """An activity party: somebody with a record, or else an e-mail address, and in which role.

    Its text, by which it is stored and sorted, is `5:contact:GUID` or `5:address:E-MAIL`. `known_as`: other records and
    addresses (in lower case) of the same person; no part of the text, nor of what makes two parties equal.
    """

    role: Role
    who: CrmRecord | str
    known_as: frozenset[CrmRecord | str] = field(default=frozenset(), compare=False)

    @property
    def names(self) -> frozenset[CrmRecord | str]:
        """All that the person is known by."""
        return self.known_as | {self.who}

    def __str__(self) -> str:
        return f"{self.role:d}:{who_text(self.who)}"

    @classmethod
    def parse(cls, text: str) -> Party:
        """The party in `text`."""
        role, table, who = text.split(":", 2)
        return cls(Role(int(role)), parse_who(f"{table}:{who}"))


def who_text(who: CrmRecord | str) -> str:
    """`contact:GUID` or `address:E-MAIL`."""
    return f"{_ADDRESS}:{who}" if isinstance(who, str) else str(who)


def parse_who(text: str) -> CrmRecord | str:
    """Who it is by `text`."""
    table, who = text.split(":", 1)
    return who if table == _ADDRESS else CrmRecord(table, who)


def is_address(text: str) -> bool:
    """Whether `text` can be an e-mail address: enough to keep nonsense and header tricks out of Dynamics."""
    return len(text) <= _MAX_ADDRESS and _ADDRESS_FORM.fullmatch(text) is not None

"""People as Dynamics knows them: records, who somebody is, and parties of an activity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
    """Who an Outreach record is in Dynamics: its records, best known first, and an e-mail address for want of one."""

    records: tuple[CrmRecord, ...] = ()
    email: str | None = None
    note: str = ""

    def record(self, table: str) -> CrmRecord | None:
        """The record in `table`, if there is one."""
        return next((record for record in self.records if record.table == table), None)


People = Mapping[Reference, Person]


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

    Its text, by which it is stored and sorted, is `5:contact:GUID` or `5:address:E-MAIL`.
    """

    role: Role
    who: CrmRecord | str

    def __str__(self) -> str:
        return f"{self.role:d}:{f'{_ADDRESS}:{self.who}' if isinstance(self.who, str) else self.who}"

    @classmethod
    def parse(cls, text: str) -> Party:
        """The party in `text`."""
        role, table, who = text.split(":", 2)
        return cls(Role(int(role)), who if table == _ADDRESS else CrmRecord(table, who))


def is_address(text: str) -> bool:
    """Whether `text` can be an e-mail address: enough to keep nonsense and header tricks out of Dynamics."""
    return len(text) <= _MAX_ADDRESS and _ADDRESS_FORM.fullmatch(text) is not None

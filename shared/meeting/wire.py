"""How the value of a column goes over the Dataverse Web API: what is sent, what is asked for, what comes back.

Binds are case sensitive and named as in Microsoft's appointment reference
(https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/appointment); `requiredattendees` and
`organizer` do not exist over the Web API, only the activity parties do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.meeting.people import CrmRecord, Party, Role
from shared.timestamps import parse_time, whole_seconds

ENTITY_SETS: Mapping[str, str] = {
    "account": "accounts",
    "contact": "contacts",
    "entitlement": "entitlements",
    "equipment": "equipments",
    "knowledgearticle": "knowledgearticles",
    "lead": "leads",
    "opportunity": "opportunities",
    "queue": "queues",
    "systemuser": "systemusers",
}
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
_OF_A_PARTY = "$select=participationtypemask,_partyid_value,addressused,ispartydeleted"


class Wire(Protocol):
    """One form. `column` is the logical name; values are those of `Desired.columns`."""

    def body(self, column: str, value: Any) -> dict[str, Any]:
        """The members of a request's body that write `value`."""
        ...

    def query(self, column: str) -> tuple[str, str]:
        """What to ask for: an option of the query, `$select` or `$expand`, and what it lists."""
        ...

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """The value in a row that Dataverse sent."""
        ...


class Plain:
    """The value itself, under the column's name."""

    def body(self, column: str, value: Any) -> dict[str, Any]:
        """One member."""
        return {column: value}

    def query(self, column: str) -> tuple[str, str]:
        """The column by its name."""
        return "$select", column

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """As it comes."""
        return row.get(column)


class Moment(Plain):
    """A time in UTC, to the second."""

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """However Dataverse writes it, as we do."""
        return whole_seconds(parse_time(row[column])) if row.get(column) else None


class Day(Moment):
    """A day without time."""

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """The day alone."""
        return str(row[column])[:10] if row.get(column) else None


class Choices(Plain):
    """Several options: their numbers with commas between, in order, since Dataverse promises none."""

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """However Dataverse orders them, as we do."""
        return self.text(map(int, row[column].split(","))) if row.get(column) else None

    @staticmethod
    def text(options: Iterable[int]) -> str | None:
        """The numbers of `options` as a value, each once; None for none."""
        return ",".join(map(str, sorted(set(options)))) or None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A record, in our form `table:GUID`.

    `bind`: the navigation property to bind, where `{table}` stands for the record's table. `clears`: the table under
    whose name a null is bound: any of its targets will do.
    """

    bind: str
    clears: str = ""

    def body(self, column: str, value: Any) -> dict[str, Any]:  # noqa: ARG002 - the property has a name of its own
        """One bind."""
        table, _, record = (value or f"{self.clears}:").partition(":")
        return {f"{self.bind.format(table=table)}@odata.bind": _path(table, record) if value else None}

    def query(self, column: str) -> tuple[str, str]:
        """The lookup by its value; the table comes as an annotation."""
        return "$select", f"_{column}_value"

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """The record; None where there is none."""
        record = row.get(f"_{column}_value")
        return f"{row.get(f'_{column}_value@{LOOKUP_TABLE}', '')}:{record.lower()}" if record else None


@dataclass(frozen=True, slots=True)
class RowLookup:
    """A row of one table by its GUID alone. `bind`: the navigation property; `table`: the entity set."""

    bind: str
    table: str

    def body(self, column: str, value: Any) -> dict[str, Any]:  # noqa: ARG002 - the property has a name of its own
        """One bind."""
        return {f"{self.bind}@odata.bind": f"/{self.table}({value})" if value else None}

    def query(self, column: str) -> tuple[str, str]:
        """The lookup by its value."""
        return "$select", f"_{column}_value"

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """The GUID; None where there is none."""
        record = row.get(f"_{column}_value")
        return record.lower() if record else None


class Parties:
    """The activity parties, each a row of its own."""

    def body(self, column: str, value: Any) -> dict[str, Any]:
        """The whole list: what is not in it is taken away."""
        return {column: [_party_body(party) for party in value or ()]}

    def query(self, column: str) -> tuple[str, str]:
        """The rows, with what says who each is."""
        return "$expand", f"{column}({_OF_A_PARTY})"

    def read(self, column: str, row: Mapping[str, Any]) -> Any:
        """Those that are attendees or organizer, sorted by their text."""
        return sorted(filter(None, map(_party, row.get(column, ()))), key=str)


def _path(table: str, record: str) -> str:
    return f"/{ENTITY_SETS[table]}({record})"


def _party_body(party: Party) -> dict[str, Any]:
    who = party.who
    if isinstance(who, str):
        return {"participationtypemask": int(party.role), "addressused": who}
    return {"participationtypemask": int(party.role), f"partyid_{who.table}@odata.bind": _path(who.table, who.id)}


def _party(row: Mapping[str, Any]) -> Party | None:
    """One party in our form. Owner and regarding parties, which Dataverse adds by itself, are none of ours."""
    mask = row.get("participationtypemask")
    # The party of a deleted person keeps its address; sent back as one it would be a new attendee.
    if mask not in set(Role) or row.get("ispartydeleted"):
        return None
    record, table = row.get("_partyid_value"), row.get(f"_partyid_value@{LOOKUP_TABLE}")
    address = str(row.get("addressused") or "").strip().lower()
    if record and table in ENTITY_SETS:
        return Party(Role(mask), CrmRecord(str(table), record.lower()), frozenset({address} if address else ()))
    return Party(Role(mask), address) if address and not record else None

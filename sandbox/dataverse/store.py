"""The rows of the stand-in, in memory, and the switches that make it behave like this or that organisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Final, Literal
from uuid import uuid4

from sandbox.dataverse.errors import PAYLOAD, USER_DISABLED, missing_row
from sandbox.dataverse.faults import FaultPlan
from sandbox.dataverse.plugins import Plugins
from sandbox.dataverse.requestlog import RequestLog
from sandbox.dataverse.schema import ACTIVITY_PARTY, APPOINTMENT, TABLES, Table
from sandbox.dataverse.values import JsonValue

FIRST_VERSION: Final = 1_000_001


@dataclass(slots=True)
class Row:
    """One row: wire name to value, and for each lookup the table it points into; an appointment has its parties."""

    table: Table
    id: str
    version: int
    values: dict[str, JsonValue]
    targets: dict[str, str] = field(default_factory=dict)
    parties: tuple[Row, ...] = ()

    @property
    def etag(self) -> str:
        """The weak entity tag of this version."""
        return f'W/"{self.version}"'


@dataclass(slots=True)
class Switches:
    """How this organisation is set up; every field may be changed while the stand-in runs."""

    override_created_on: Literal["grant", "ignore", "refuse"] = "grant"
    act_on_behalf: Literal["grant", "refuse"] = "grant"
    missing_privileges: frozenset[str] = frozenset()
    privilege_depth: Literal["Basic", "Local", "Deep", "Global"] = "Global"
    optimistic_concurrency: bool = True
    closed_rows: Literal["strict", "strict_state", "lenient"] = "strict"
    unresolved_parties: Literal["allow", "refuse"] = "allow"
    party_update: Literal["replace_all", "replace_sent_masks"] = "replace_all"
    disabled_owner: Literal["0x80040225", "0x8004022b"] = USER_DISABLED
    unknown_column: Literal["0x80048d19", "0x8006088a"] = PAYLOAD


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do. `no_access`: records that this user may not use, whatever the privileges."""

    roles: bool = True
    missing_privileges: frozenset[str] = frozenset()
    no_access: frozenset[str] = frozenset()


def utc_now() -> datetime:
    """Return the time of day; the only clock of a store that was given none."""
    return datetime.now(UTC)


class Store:
    """All rows of one organisation, its switches, its planned faults and its log of requests."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now, log_size: int = 2000) -> None:
        self.clock = clock
        self.log = RequestLog(size=log_size)
        self.tables: dict[str, Table] = {}
        self.rows: dict[str, dict[str, Row]] = {}
        self.switches = Switches()
        self.faults = FaultPlan()
        self.plugins = Plugins()
        self.rights: dict[str, Rights] = {}
        self.app_user_id = ""
        self.business_unit_id = ""
        self._versions = count(FIRST_VERSION)
        self.clear()

    def clear(self) -> None:
        """Forget every row, custom column, switch, right, plug-in, fault and logged request; versions go on growing."""
        self.tables = {table.entity_set: table for table in TABLES}
        self.rows = {table.logical_name: {} for table in TABLES}
        self.switches = Switches()
        self.faults = FaultPlan()
        self.plugins = Plugins()
        self.rights = {}
        self.log.clear()

    @property
    def appointments(self) -> dict[str, Row]:
        """The appointments by id."""
        return self.rows[APPOINTMENT.logical_name]

    def rights_of(self, user_id: str) -> Rights:
        """What a user may do: everything, unless told otherwise."""
        return self.rights.get(user_id, Rights())

    def next_version(self) -> int:
        """Return the next row version; versions grow across all tables, as Dataverse's do."""
        return next(self._versions)

    def now(self) -> str:
        """Return the current instant as rows hold it."""
        return self.clock().astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"

    def find(self, table: str, row_id: str) -> Row:
        """Return a row or refuse with 0x80040217."""
        row = self.rows.get(table, {}).get(row_id)
        if row is None:
            raise missing_row(table, row_id)
        return row

    def all_rows(self, table: Table) -> Iterator[Row]:
        """Yield every row of a table; activity parties live with their appointment."""
        if table.logical_name == ACTIVITY_PARTY.logical_name:
            for appointment in self.appointments.values():
                yield from appointment.parties
        else:
            yield from self.rows[table.logical_name].values()

    def put(self, table: Table, values: dict[str, JsonValue], *, targets: dict[str, str] | None = None) -> Row:
        """Add a row of a table that the Web API part only reads, with nulls where no value is given."""
        row_id = str(values.get(table.key) or uuid4())
        version = self.next_version()
        now = self.now()
        defaults: dict[str, JsonValue] = dict.fromkeys(table.props)
        defaults |= {"createdon": now, "modifiedon": now}
        row = Row(
            table, row_id, version, defaults | values | {table.key: row_id, "versionnumber": version}, targets or {}
        )
        self.rows[table.logical_name][row_id] = row
        return row

    def touch(self, row: Row, **changes: JsonValue) -> None:
        """Change a row in place and give it a new version, as a person's edit would."""
        row.version = self.next_version()
        row.values |= changes | {"versionnumber": row.version, "modifiedon": self.now()}

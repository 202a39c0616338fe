"""Plug-ins that say no: on a column, a value or a record of one's choice, for a while or for good, or by chance.

https://learn.microsoft.com/power-apps/developer/data-platform/handle-exceptions#exceptions-in-plug-ins
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.dataverse.errors import NO_ROLES, PLUGIN_REFUSED, ODataError
from sandbox.dataverse.payload import Change, Reference
from sandbox.dataverse.schema import PARTIES
from sandbox.dataverse.values import parse_guid

OWNER_COLUMN: Final = "ownerid"
# An appointment has both, so nothing can be created without them: a refusal of these alone would cost the whole row.
_ALWAYS: Final = frozenset({"scheduledstart", "scheduledend", "activityid", "statuscode", "timezoneruleversionnumber"})
_STATE: Final = "statecode"
_AFEW: Final = 2


@dataclass(slots=True)
class Plugin:
    """What refuses writes.

    column   logical name of the column whose write is refused; empty: every write
    value    only this value of it (a lookup: the id of the record); None: any
    record   only this appointment; empty: any
    times    how often it still refuses; None: for good
    message  what it says; empty: a sentence with the column's name in it
    """

    column: str = ""
    value: Any = None
    record: str = ""
    times: int | None = None
    status: int = 400
    code: str = PLUGIN_REFUSED
    message: str = ""

    def __post_init__(self) -> None:
        self.record = parse_guid(self.record) or self.record

    def refuses(self, written: Mapping[str, Any], *, row_id: str) -> bool:
        """Whether it says no to these columns of this row."""
        if self.times == 0 or (self.record and self.record != row_id):
            return False
        if not self.column:
            return True
        return self.column in written and self.value in (None, written[self.column])

    def error(self) -> ODataError:
        """Its refusal, once."""
        if self.times is not None:
            self.times -= 1
        about = f" ({self.column})" if self.column else ""
        message = self.message or f"ISV code aborted the operation: a rule of this organisation refuses it{about}."
        return ODataError(message, status=self.status, code=self.code)


@dataclass(slots=True)
class Chance:
    """Refusals by chance, as shares of all writes: for one column that is written, for the owner where one is.

    `for_good`: the share of those after which the same row refuses the same column from then on; the others refuse it
    twice.
    """

    column: float = 0.0
    owner: float = 0.0
    for_good: float = 0.0
    seed: int | None = None
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def draw(self, written: Mapping[str, Any], *, row_id: str) -> Plugin | None:
        """A plug-in that comes up with this write, if one does."""
        fate = self.dice.random()
        times = None if self.dice.random() < self.for_good else _AFEW
        if fate < self.owner and isinstance(owner := written.get(OWNER_COLUMN), str):
            said = f"The user with id {owner} has not been assigned any roles. They need a role with a privilege."
            return Plugin(OWNER_COLUMN, owner, row_id, times, 403, NO_ROLES, said)
        candidates = sorted(written.keys() - _ALWAYS - {OWNER_COLUMN})
        if self.owner <= fate < self.owner + self.column and candidates:
            column = self.dice.choice(candidates)
            # a state that may not be left would keep everything else out of a closed row
            value = written[column] if column == _STATE else None
            return None if column == _STATE and not value else Plugin(column, value, row_id, times)
        return None


@dataclass(slots=True)
class Plugins:
    """All of one organisation."""

    registered: list[Plugin] = field(default_factory=list)
    chance: Chance = field(default_factory=Chance)

    def check(self, change: Change, *, row_id: str) -> None:
        """Refuse the write where one of them does."""
        written = _written(change)
        if (drawn := self.chance.draw(written, row_id=row_id)) is not None:
            self.registered.append(drawn)
        for plugin in self.registered:
            if plugin.refuses(written, row_id=row_id):
                raise plugin.error()


def _written(change: Change) -> dict[str, Any]:
    """What a body writes, by logical names; of the parties only that they are written."""
    lookups = {name: _id(reference) for name, reference in change.lookups.items()}
    parties = {} if change.parties is None else {PARTIES: True}
    return {**change.columns, **lookups, **parties}


def _id(reference: Reference | None) -> str | None:
    return reference.id if reference else None

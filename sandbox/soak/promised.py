"""What an appointment must be in the end, where not every delivery was accepted.

Each delivery is written down with the columns that it sets. A column must hold what the last *accepted* delivery that
sets it says, or what a later one says of which nobody knows whether it was stored: one that was answered, but not with
202, or that arrived and never got an answer. What never arrived is asked for nowhere. None of this is the product's
code: the deliveries of a meeting are in the order of their stamps, and that is all that is known of merging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum

from sandbox.appointments import Appointment, shown
from sandbox.outreach.sender import Sent

# Both are set with the create only, which an event that overtakes the booking may bring about.
WITH_THE_CREATE = frozenset({"created_on", "created_by"})
COLUMNS = tuple(field.name for field in fields(Appointment) if field.name not in WITH_THE_CREATE)


class Fate(IntEnum):
    """What became of a delivery, as far as its sender can know; the greater one counts where it was sent twice."""

    NEVER_ARRIVED = 0
    UNSURE = 1
    ACCEPTED = 2


def fate_of(sent: Sent) -> Fate:
    """By the answer, or by how far it came without one."""
    if sent.status == 202:
        return Fate.ACCEPTED
    return Fate.UNSURE if sent.arrived else Fate.NEVER_ARRIVED


@dataclass(frozen=True, slots=True)
class Said:
    """What one delivery says of the appointment: values by column."""

    event_id: str
    columns: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Life:
    """What was said of one meeting, the oldest stamp first. The first delivery is the booking."""

    said: tuple[Said, ...]

    def promised(self, fates: Mapping[str, Fate]) -> bool:
        """Whether there must be an appointment: its booking was accepted."""
        return self._fate(self.said[0], fates) is Fate.ACCEPTED

    def right(self, column: str, fates: Mapping[str, Fate]) -> frozenset[object] | None:
        """The values that `column` may hold; `None` where no accepted delivery says anything of it."""
        allowed: set[object] | None = None
        for one in self.said:
            if column not in one.columns:
                continue
            fate = self._fate(one, fates)
            if fate is Fate.ACCEPTED:
                allowed = {one.columns[column]}
            elif fate is Fate.UNSURE and allowed is not None:
                allowed.add(one.columns[column])
        return None if allowed is None else frozenset(allowed)

    def wrong_columns(self, actual: Appointment, fates: Mapping[str, Fate]) -> frozenset[str]:
        """The columns that hold what they must not."""
        right = {column: self.right(column, fates) for column in COLUMNS}
        return frozenset(
            name for name, values in right.items() if values is not None and getattr(actual, name) not in values
        )

    def wrong(self, actual: Appointment, fates: Mapping[str, Fate]) -> list[str]:
        """One sentence for every column that holds what it must not."""
        return [
            f"{column} is {shown(found)}, must be {' or '.join(sorted(map(shown, right)))}"
            for column in COLUMNS
            if (right := self.right(column, fates)) is not None and (found := getattr(actual, column)) not in right
        ]

    @staticmethod
    def _fate(one: Said, fates: Mapping[str, Fate]) -> Fate:
        return fates.get(one.event_id, Fate.NEVER_ARRIVED)

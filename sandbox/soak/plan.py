"""How hard a soak is, and what is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from sandbox.stack import HostKind

# How far an event may come from its place in the order.
DISORDER: Final = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard.

    `trouble` off: no faults, kills or stops, only repeats and disorder. `storage_stops`: how often storage goes away,
    for `away` seconds. `disorder`: how many places an event may come from its own; 0 means any place at all.
    Our own host is killed about every `kill_every` seconds. Microsoft's is killed once and its worker three times,
    because what a killed host has in work stays hidden for ten minutes. `refused`, `refused_owner`: the shares of all
    writes that Dynamics refuses for one column, and for the owner; `for_good`: the share of those that stay so.
    """

    events: int = 20_000
    host: HostKind = "sandbox"
    kill_every: float = 5.0
    storage_stops: int = 3
    away: float = 6.0
    seed: int = 1
    disorder: int = DISORDER
    trouble: bool = True
    refused: float = 0.0
    refused_owner: float = 0.0
    for_good: float = 0.5

    @property
    def refuses(self) -> bool:
        """Whether Dynamics refuses anything."""
        return bool(self.refused or self.refused_owner)


@dataclass(slots=True)
class Count:
    """What is printed in the end. `stale`: an appointment with a column that is not what was accepted last.

    `refused`: answers other than 202, by status; Outreach takes each for delivered. `written_again`: meetings with
    refused columns, for which an admin asked once Dynamics refused nothing any more; `still_wrong`: what was not right
    after that. `unanswered`: nothing but silence
    in four attempts. `never_arrived`: no connection in four attempts. `host_ends`: how often the host ended by itself.
    """

    sent: int = 0
    accepted: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    never_arrived: int = 0
    host_kills: int = 0
    host_ends: int = 0
    worker_kills: int = 0
    storage_stops: int = 0
    applied: int = 0
    unpromised: int = 0
    lost: int = 0
    duplicated: int = 0
    stale: int = 0
    dead_lettered: int = 0
    columns_refused: int = 0
    written_again: int = 0
    still_wrong: int = 0
    dataverse_calls: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.duplicated or self.stale or self.dead_lettered or self.still_wrong)

"""The merge: one meeting is a map from field to (value, stamp), and the later stamp wins, field by field.

Merging is commutative, associative and idempotent, so neither the order in which events arrive nor how often they
come can matter. `tests/meeting/test_merge.py` states that as laws. A field that a patch does not name is unchanged; a
field that it names with `None` is cleared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Stamp(NamedTuple):
    """When a value was set, as two texts that sort by time.

    `changed`: when the record changed in Outreach (`updatedAt`, whole seconds in what was recorded), else when the
    delivery was made. `delivered`: when Outreach sent the delivery; it tells changes within one second apart.
    """

    changed: str
    delivered: str


NO_STAMP = Stamp("", "")


class Stamped(NamedTuple):
    """A value as plain JSON, and the stamp of the event that set it."""

    value: Any
    stamp: Stamp


Facts = Mapping[str, Stamped]


def one_text(value: object) -> str:
    """One text per JSON value: keys sorted, no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _rank(stamped: Stamped) -> tuple[Stamp, str]:
    # Two events with the very same stamp need some order that does not depend on arrival: that of their values.
    return stamped.stamp, one_text(stamped.value)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did. `taken`: fields that the patch set; `older`: fields where what was there is later."""

    facts: Facts
    taken: frozenset[str] = field(default=frozenset())
    older: frozenset[str] = field(default=frozenset())


def merge(current: Facts, patch: Facts) -> Merged:
    """`current` with every field of `patch` that is later than what stands there."""
    facts = dict(current)
    taken, older = set(), set()
    for name, offered in patch.items():
        known = facts.get(name)
        if known is None or _rank(known) < _rank(offered):
            facts[name] = offered
            taken.add(name)
        elif _rank(offered) < _rank(known):
            older.add(name)
    return Merged(facts, frozenset(taken), frozenset(older))

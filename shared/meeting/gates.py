"""The gates: every reason why a meeting may have to wait, in the order in which they are asked.

The worker goes by the first one that counts and is not met; the dry run shows them all. To add one is to add a line to
`gates`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.meeting.appointment import Policy, value_of
from shared.meeting.mapping import Condition, MappingFile
from shared.meeting.meeting import Hold
from shared.meeting.mirror import Mirror
from shared.meeting.transforms import TIMES


@dataclass(frozen=True, slots=True)
class Situation:
    """What gates look at: what Dynamics has, the columns as they should be, and the values behind them."""

    mirror: Mirror
    columns: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """`name`: what must hold; `otherwise`: what people read where it does not; `counts`: whether it decides now."""

    name: str
    otherwise: Callable[[Situation], str]
    met: Callable[[Situation], bool]
    counts: Callable[[Situation], bool]


def gates(mapping: MappingFile, policy: Policy) -> tuple[Gate, ...]:
    """All of them."""
    stays_deleted = mapping.deleted_in_dynamics == "leave"
    return (
        Gate(
            "It was not deleted in Dynamics",
            lambda _: "The appointment was deleted in Dynamics and is left so.",
            lambda situation: not situation.mirror.deleted,
            lambda _: stays_deleted,
        ),
        _switch("Pushing", "SYNC_PUSHING", lambda _: True, on=policy.pushing),
        _switch("Outbound Create", "SYNC_OUTBOUND_CREATE", _is_new, on=policy.create),
        _switch("Outbound Update", "SYNC_OUTBOUND_UPDATE", _exists, on=policy.update),
        *(_condition(condition) for condition in mapping.create_conditions),
        *(_known(column, mapping) for column in TIMES),
    )


def hold(mapping: MappingFile, policy: Policy, situation: Situation) -> Hold | None:
    """Why the meeting has to wait; None: it has not."""
    shut = (gate for gate in gates(mapping, policy) if gate.counts(situation) and not gate.met(situation))
    return next((Hold(gate.otherwise(situation)) for gate in shut), None)


def _exists(situation: Situation) -> bool:
    return situation.mirror.exists


def _is_new(situation: Situation) -> bool:
    return not situation.mirror.exists


def _switch(name: str, setting: str, counts: Callable[[Situation], bool], *, on: bool) -> Gate:
    return Gate(f"{name} is on", lambda _: f"{name} is off ({setting}).", lambda _: on, counts)


def _condition(condition: Condition) -> Gate:
    """A condition under Outbound Create. What was begun is not asked again."""
    return Gate(
        condition.words,
        lambda _: condition.otherwise,
        lambda situation: holds(condition, situation.values),
        lambda situation: not situation.mirror.attempted,
    )


def _known(column: str, mapping: MappingFile) -> Gate:
    return Gate(
        f"{column} is known",
        lambda situation: _unsaid(situation, mapping),
        lambda situation: column not in _missing(situation),
        _is_new,
    )


def _unsaid(situation: Situation, mapping: MappingFile) -> str:
    unsaid = [name for name in _missing(situation) if value_of(name, situation.values, mapping) is None]
    if unsaid:
        return f"No event has said {' and '.join(unsaid)} yet."
    return "The times in Outreach are none that an appointment can have; the next event that corrects them sends it."


def _missing(situation: Situation) -> list[str]:
    return [name for name in TIMES if situation.columns.get(name) is None]


def holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    """Whether `values` meet `condition`."""
    value = values.get(condition.field)
    match condition.is_:
        case "set" | "not_set":
            return (value not in (None, "", [])) == (condition.is_ == "set")
        case "true" | "not_true":
            return (value is True) == (condition.is_ == "true")
        case "false" | "not_false":
            return (value is False) == (condition.is_ == "false")
        case _:
            return (value == condition.value) == (condition.is_ == "equal")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.appointment import Policy
from shared.meeting.gates import Situation, gates, hold, holds
from shared.meeting.mapping import Condition, MappingFile
from shared.meeting.meeting import Hold
from shared.meeting.mirror import Mirror
from tests.samples import DEFAULT, json_values, law, mapping_with, ref

NOTHING = Situation(Mirror(), {}, {})


@law
@given(
    st.builds(Policy, pushing=st.booleans(), create=st.booleans(), update=st.booleans()),
    st.sampled_from([DEFAULT, mapping_with(deleted_in_dynamics="leave")]),
    st.sampled_from([Mirror(), Mirror(version="1"), Mirror(doubt=frozenset({"subject"})), Mirror(deleted=True)]),
    st.sampled_from([{}, {"prospects": [ref("prospect", 1)]}]),
)
def test_the_first_gate_that_counts_and_is_not_met_is_the_reason(
    policy: Policy, mapping: MappingFile, mirror: Mirror, values: dict[str, object]
) -> None:
    """What the worker goes by is what the dry run shows first as not met."""
    situation = Situation(mirror, {}, values)
    shut = [
        gate.otherwise(situation)
        for gate in gates(mapping, policy)
        if gate.counts(situation) and not gate.met(situation)
    ]
    assert hold(mapping, policy, situation) == (Hold(shut[0]) if shut else None)


def test_every_gate_has_a_name_and_a_sentence_of_its_own() -> None:
    """Each can be told from the others by whoever reads it."""
    table = gates(DEFAULT, Policy(pushing=False, create=False, update=False))
    assert len({gate.name for gate in table}) == len(table)
    assert all(gate.otherwise(NOTHING).endswith(".") for gate in table)


def condition(operator: str, value: object = None) -> Condition:
    """A condition on `title`."""
    return Condition.model_validate({"field": "title", "is": operator, "value": value, "otherwise": "No."})


@pytest.mark.parametrize(
    ("operator", "met_by"),
    [
        ("set", ["text", True, False, 0, [ref("prospect", 1)]]),
        ("not_set", [None, "", [], "absent"]),
        ("true", [True]),
        ("not_true", [None, False, "absent", "true", 1]),
        ("false", [False]),
        ("not_false", [None, True, "absent", "false", 0]),
    ],
)
def test_operators(operator: str, met_by: list[object]) -> None:
    """Each operator is met by its values and its opposite is not."""
    opposite = operator.removeprefix("not_") if operator.startswith("not_") else f"not_{operator}"
    for value in met_by:
        values = {} if value == "absent" else {"title": value}
        assert holds(condition(operator), values), value
        assert not holds(condition(opposite), values), value


@pytest.mark.parametrize("wanted", ["Intro", "", True, False])
def test_equal(wanted: str | bool) -> None:  # noqa: FBT001 - a value under test
    """`equal` compares with the value of the file, letter by letter."""
    assert holds(condition("equal", wanted), {"title": wanted})
    assert not holds(condition("not_equal", wanted), {"title": wanted})
    others: list[object] = ["intro", None, []]
    for other in others:
        assert not holds(condition("equal", wanted), {"title": other})
        assert holds(condition("not_equal", wanted), {"title": other})
    assert not holds(condition("equal", wanted), {})


@law
@given(st.sampled_from(["set", "true", "false", "equal"]), json_values)
def test_every_operator_has_its_opposite(operator: str, value: object) -> None:
    """For any value exactly one of an operator and its opposite is met."""
    values = {"title": value}
    with_what = "x" if operator == "equal" else None
    assert holds(condition(operator, with_what), values) != holds(condition(f"not_{operator}", with_what), values)


def test_times_that_no_appointment_can_have_are_no_missing_ones() -> None:
    """Outreach has said them, so the reason asks for others."""
    said = {"starts_at": "0001-01-01T00:00:00Z", "ends_at": "0001-01-01T01:00:00Z", "prospects": [ref("prospect", 1)]}
    held = hold(DEFAULT, Policy(), Situation(Mirror(), {}, said))
    assert held is not None
    assert held.reason.startswith("The times in Outreach are none that an appointment can have")

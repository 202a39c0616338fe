"""What is to be done with an appointment: the plugin settings and the conditions under Outbound Create."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.apply import Plan, Rules, decide, holds
from shared.meeting.appointment import Desired, Policy, fingerprint
from shared.meeting.mapping import Condition, MappingFile
from shared.meeting.meeting import MeetingState
from tests.samples import DEFAULT, guid, json_values, law, mapping_with, ref

WANTED: dict[str, Any] = {
    "subject": "Intro",
    "scheduledstart": "2026-03-05T10:00:00Z",
    "scheduledend": "2026-03-05T11:00:00Z",
}
MET: dict[str, Any] = {"prospects": [ref("prospect", 1)]}
NEW = MeetingState({}, guid(1))
EXISTS = MeetingState(
    {}, guid(1), applied={name: fingerprint(value) for name, value in WANTED.items()}, crm_version='W/"1"'
)
LEAVE = mapping_with(deleted_in_dynamics="leave")


def state(base: MeetingState, **changes: Any) -> MeetingState:
    """`base` with some members changed."""
    names = ("fields", "appointment_id", "applied", "doubt", "crm_version", "gone", "parked")
    return MeetingState(**({name: getattr(base, name) for name in names} | changes))


def plan(
    before: MeetingState,
    columns: dict[str, Any] | None = None,
    *,
    values: dict[str, Any] | None = None,
    mapping: MappingFile = DEFAULT,
    **policy: Any,
) -> Plan:
    """What `decide` says."""
    rules = Rules(mapping, Policy(**policy), guid(1))
    return decide(before, Desired(WANTED if columns is None else columns), MET if values is None else values, rules)


def test_new_appointment() -> None:
    """A meeting that Dynamics does not have is created with every column that is wanted."""
    assert plan(NEW) == Plan(frozenset(WANTED))


def test_nothing_to_do() -> None:
    """An appointment that is as wanted is left alone, whatever the settings."""
    assert plan(EXISTS) == Plan()
    assert plan(EXISTS, pushing=False, create=False, update=False) == Plan()


def test_only_what_changed() -> None:
    """Of an existing appointment only the differing columns are written."""
    assert plan(EXISTS, WANTED | {"subject": "Other"}) == Plan(frozenset({"subject"}))
    assert plan(EXISTS, WANTED | {"location": "Room 1"}) == Plan(frozenset({"location"}))


def test_null_for_a_column_that_was_never_sent() -> None:
    """Clearing what Dynamics never got from us is a write, as a person may have filled it in."""
    assert plan(EXISTS, WANTED | {"location": None}) == Plan(frozenset({"location"}))


@pytest.mark.parametrize("value", ["open", "completed", "canceled"])
def test_open_is_where_every_appointment_begins(value: str) -> None:
    """`open` needs no write until the appointment was something else."""
    expected = Plan() if value == "open" else Plan(frozenset({"statecode"}))
    assert plan(EXISTS, WANTED | {"statecode": value}) == expected
    closed = state(EXISTS, applied={**EXISTS.applied, "statecode": fingerprint("canceled")})
    expected = Plan() if value == "canceled" else Plan(frozenset({"statecode"}))
    assert plan(closed, WANTED | {"statecode": value}) == expected


class TestSettings:
    @pytest.mark.parametrize("before", [NEW, EXISTS])
    def test_pushing(self, before: MeetingState) -> None:
        """Pushing off: nothing goes out, neither new nor changed."""
        assert plan(before, WANTED | {"subject": "Other"}, pushing=False) == Plan(park="Pushing is off (SYNC_PUSHING).")

    def test_outbound_create(self) -> None:
        """Outbound Create off: no new appointments, and existing ones are kept up to date."""
        assert plan(NEW, create=False) == Plan(park="Outbound Create is off (SYNC_OUTBOUND_CREATE).")
        assert plan(EXISTS, WANTED | {"subject": "Other"}, create=False) == Plan(frozenset({"subject"}))

    def test_outbound_update(self) -> None:
        """Outbound Update off: existing appointments stay as they are, and new ones are made."""
        other = WANTED | {"subject": "Other"}
        assert plan(EXISTS, other, update=False) == Plan(park="Outbound Update is off (SYNC_OUTBOUND_UPDATE).")
        assert plan(NEW, update=False) == Plan(frozenset(WANTED))

    @law
    @given(
        st.booleans(), st.booleans(), st.booleans(), st.sampled_from([(NEW, False), (EXISTS, False), (EXISTS, True)])
    )
    def test_every_combination(
        self, pushing: object, create: object, update: object, case: tuple[MeetingState, bool]
    ) -> None:
        """Something is written exactly where Pushing and the setting of its kind are on and something differs."""
        before, changed = case
        wanted = WANTED | ({"subject": "Other"} if changed else {})
        found = plan(before, wanted, pushing=pushing, create=create, update=update)
        allowed = pushing and (create if before is NEW else update)
        differs = changed or before is NEW
        assert bool(found.doubt) == (allowed and differs)
        assert bool(found.park) == (differs and not allowed)


class TestConditions:
    def test_default_conditions(self) -> None:
        """By default a meeting needs a prospect, and a calendar that says it is a guest's makes nothing."""
        assert plan(NEW, values={}) == Plan(park="The meeting has no prospect.")
        assert plan(NEW, values={"prospects": []}) == Plan(park="The meeting has no prospect.")
        guest = MET | {"is_organizer": False}
        assert plan(NEW, values=guest) == Plan(park="This calendar's user is not the organizer.")
        assert plan(NEW, values=MET | {"is_organizer": True}).doubt

    def test_not_under_update(self) -> None:
        """Conditions stand under Outbound Create: an appointment that exists is updated all the same."""
        assert plan(EXISTS, WANTED | {"subject": "Other"}, values={}) == Plan(frozenset({"subject"}))

    def test_not_after_a_create_was_begun(self) -> None:
        """A create that may have happened is finished: the appointment may be there."""
        begun = state(NEW, doubt=frozenset(WANTED))
        assert plan(begun, values={}) == Plan(frozenset(WANTED))

    def test_first_unmet_one_gives_the_reason(self) -> None:
        """The sentence of the first condition that is not met is what the admin reads."""
        assert plan(NEW, values={"is_organizer": False}).park == "The meeting has no prospect."

    def test_settings_come_first(self) -> None:
        """Outbound Create off is told before any condition."""
        assert "Outbound Create" in plan(NEW, values={}, create=False).park


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (["scheduledstart"], "scheduledstart"),
        (["scheduledend"], "scheduledend"),
        (["scheduledstart", "scheduledend"], "scheduledstart and scheduledend"),
    ],
)
def test_times_are_needed(missing: list[str], told: str) -> None:
    """Without its times, absent or null, an appointment is not created, and the reason names them."""
    for unknown in ({}, dict.fromkeys(missing)):
        columns = {name: value for name, value in WANTED.items() if name not in missing} | unknown
        assert plan(NEW, columns).park == f"No event has told {told} yet."


class TestDoubt:
    def test_doubtful_column_is_written_though_it_fits(self) -> None:
        """A column in doubt may hold anything in Dynamics, so that it equals what was applied is no proof."""
        assert plan(state(EXISTS, doubt=frozenset({"subject"}))) == Plan(frozenset({"subject"}))

    def test_doubt_and_change_together(self) -> None:
        """Both are written at once."""
        found = plan(state(EXISTS, doubt=frozenset({"subject"})), WANTED | {"location": "Room 1"})
        assert found == Plan(frozenset({"subject", "location"}))

    def test_doubt_that_nobody_wants_any_more(self) -> None:
        """Where only an unwanted column is in doubt, one wanted column is written for the version alone."""
        found = plan(state(EXISTS, doubt=frozenset({"location"})))
        assert found.only_fence
        assert len(found.doubt) == 1
        assert found.doubt <= WANTED.keys()

    def test_fence_prefers_plain_columns(self) -> None:
        """Attendees, state and lookups are not written for the version alone where another column will do."""
        columns: dict[str, Any] = {
            "appointment_activity_parties": [],
            "ownerid": "systemuser:1",
            "regardingobjectid": None,
            "statecode": "open",
            "subject": "Intro",
        }
        applied = {name: fingerprint(value) for name, value in columns.items()}
        before = state(EXISTS, applied=applied, doubt=frozenset({"location"}))
        assert plan(before, columns) == Plan(frozenset({"subject"}), only_fence=True)

    def test_doubt_waits_too(self) -> None:
        """With Pushing or Outbound Update off the doubt stays, with the reason."""
        doubtful = state(EXISTS, doubt=frozenset({"subject"}))
        assert plan(doubtful, pushing=False).park
        assert plan(doubtful, update=False).park


class TestGone:
    def test_left_deleted(self) -> None:
        """An appointment that a person deleted stays deleted where the mapping says so."""
        found = plan(state(NEW, gone=True), mapping=LEAVE)
        assert not found.doubt
        assert "deleted in Dynamics" in found.park

    def test_made_anew(self) -> None:
        """By default it is made anew."""
        assert plan(state(NEW, gone=True)) == Plan(frozenset(WANTED))


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

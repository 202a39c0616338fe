"""What is to be done with an appointment: the plugin settings and the conditions under Outbound Create."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.appointment import Desired, Policy, fingerprint
from shared.meeting.decide import (
    Plan,
    Rules,
    columns_to_write,
    decide,
    is_applied,
    is_proof,
    state_to_end_in,
    tried_again,
    without_refused,
    without_unset,
)
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Hold, Meeting
from shared.meeting.mirror import CANCELED, COMPLETED, OPEN, Actual, Mirror, Refusal
from shared.meeting.people import CrmRecord, Party, Role
from shared.meeting.transforms import FENCE
from tests.samples import DEFAULT, law, mapping_with, ref

WANTED: dict[str, Any] = {
    "subject": "Intro",
    "scheduledstart": "2026-03-05T10:00:00Z",
    "scheduledend": "2026-03-05T11:00:00Z",
}
MET: dict[str, Any] = {"prospects": [ref("prospect", 1)]}
NEW = Mirror()
EXISTS = Mirror(applied={name: fingerprint(value) for name, value in WANTED.items()}, version='W/"1"')
LEAVE = mapping_with(deleted_in_dynamics="leave")


def plan(
    before: Mirror,
    columns: dict[str, Any] | None = None,
    *,
    values: dict[str, Any] | None = None,
    mapping: MappingFile = DEFAULT,
    **policy: Any,
) -> Plan:
    """What `decide` says."""
    want = Desired(WANTED if columns is None else columns)
    return decide(
        Meeting(mirror=before), want, MET if values is None else values, Rules(mapping, Policy(**policy), str)
    )


def waits(reason: str) -> Plan:
    """Nothing is written, for this reason."""
    return Plan(hold=Hold(reason))


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
    closed = replace(EXISTS, applied={**EXISTS.applied, "statecode": fingerprint("canceled")})
    expected = Plan() if value == "canceled" else Plan(frozenset({"statecode"}))
    assert plan(closed, WANTED | {"statecode": value}) == expected


@pytest.mark.parametrize(
    ("value", "doubt", "written"),
    [("open", (), False), ("completed", (), True), ("open", ("statecode",), True), ("open", ("subject",), False)],
)
def test_a_new_appointment_is_open_by_itself(value: str, doubt: tuple[str, ...], *, written: bool) -> None:
    """To close it is a step of its own; that it is to be open is written only where somebody may have closed it."""
    expected = frozenset(WANTED) | ({"statecode"} if written else set())
    before = replace(NEW, doubt=frozenset(doubt))
    assert plan(before, WANTED | {"statecode": value}) == Plan(expected)


@pytest.mark.parametrize(
    ("mirror", "wanted", "state"),
    [
        (EXISTS, None, None),
        (EXISTS, "completed", COMPLETED),
        (EXISTS, "open", OPEN),
        (replace(EXISTS, open_as=(3, 5)), "open", (3, 5)),
        (replace(EXISTS, open_as=(3, 5)), "canceled", CANCELED),
        (replace(EXISTS, open_as=(3, 5), give_back=COMPLETED), "open", COMPLETED),
        (replace(EXISTS, open_as=(3, 5), give_back=COMPLETED, doubt=frozenset({"statecode"})), "open", (3, 5)),
        (replace(EXISTS, give_back=COMPLETED), None, COMPLETED),
    ],
)
def test_which_state_it_ends_in(mirror: Mirror, wanted: str | None, state: tuple[int, int] | None) -> None:
    """Outreach's where that changes, and open as it was before; else the state that it was opened from."""
    want = Desired(WANTED if wanted is None else WANTED | {"statecode": wanted})
    assert state_to_end_in(mirror, want) == state


class TestSettings:
    @pytest.mark.parametrize("before", [NEW, EXISTS])
    def test_pushing(self, before: Mirror) -> None:
        """Pushing off: nothing goes out, neither new nor changed."""
        assert plan(before, WANTED | {"subject": "Other"}, pushing=False) == waits("Pushing is off (SYNC_PUSHING).")

    def test_outbound_create(self) -> None:
        """Outbound Create off: no new appointments, and existing ones are kept up to date."""
        assert plan(NEW, create=False) == waits("Outbound Create is off (SYNC_OUTBOUND_CREATE).")
        assert plan(EXISTS, WANTED | {"subject": "Other"}, create=False) == Plan(frozenset({"subject"}))

    def test_outbound_update(self) -> None:
        """Outbound Update off: existing appointments stay as they are, and new ones are made."""
        other = WANTED | {"subject": "Other"}
        assert plan(EXISTS, other, update=False) == waits("Outbound Update is off (SYNC_OUTBOUND_UPDATE).")
        assert plan(NEW, update=False) == Plan(frozenset(WANTED))

    @law
    @given(
        st.booleans(), st.booleans(), st.booleans(), st.sampled_from([(NEW, False), (EXISTS, False), (EXISTS, True)])
    )
    def test_every_combination(
        self, pushing: object, create: object, update: object, case: tuple[Mirror, bool]
    ) -> None:
        """Something is written exactly where Pushing and the setting of its kind are on and something differs."""
        before, changed = case
        wanted = WANTED | ({"subject": "Other"} if changed else {})
        found = plan(before, wanted, pushing=pushing, create=create, update=update)
        allowed = pushing and (create if before is NEW else update)
        differs = changed or before is NEW
        assert bool(found.columns) == (allowed and differs)
        assert bool(found.hold) == (differs and not allowed)


class TestConditions:
    def test_default_conditions(self) -> None:
        """By default a meeting needs a prospect, and a calendar that says it is a guest's makes nothing."""
        assert plan(NEW, values={}) == waits("The meeting has no prospect.")
        assert plan(NEW, values={"prospects": []}) == waits("The meeting has no prospect.")
        guest = MET | {"is_organizer": False}
        assert plan(NEW, values=guest) == waits("This calendar's user is not the organizer.")
        assert plan(NEW, values=MET | {"is_organizer": True}).columns

    def test_not_under_update(self) -> None:
        """Conditions stand under Outbound Create: an appointment that exists is updated all the same."""
        assert plan(EXISTS, WANTED | {"subject": "Other"}, values={}) == Plan(frozenset({"subject"}))

    def test_not_after_a_create_was_begun(self) -> None:
        """A create that may have happened is finished: the appointment may be there."""
        begun = replace(NEW, doubt=frozenset(WANTED))
        assert plan(begun, values={}) == Plan(frozenset(WANTED))

    def test_first_unmet_one_gives_the_reason(self) -> None:
        """The sentence of the first condition that is not met is what the admin reads."""
        assert plan(NEW, values={"is_organizer": False}) == waits("The meeting has no prospect.")

    def test_settings_come_first(self) -> None:
        """Outbound Create off comes before any condition."""
        assert plan(NEW, values={}, create=False) == waits("Outbound Create is off (SYNC_OUTBOUND_CREATE).")


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (["scheduledstart"], "scheduledstart"),
        (["scheduledend"], "scheduledend"),
        (["scheduledstart", "scheduledend"], "scheduledstart and scheduledend"),
    ],
)
def test_times_are_needed(missing: list[str], named: str) -> None:
    """Without its times, absent or null, an appointment is not created, and the reason names them."""
    for unknown in ({}, dict.fromkeys(missing)):
        columns = {name: value for name, value in WANTED.items() if name not in missing} | unknown
        assert plan(NEW, columns) == waits(f"No event has said {named} yet.")


class TestDoubt:
    def test_doubtful_column_is_written_though_it_fits(self) -> None:
        """A column in doubt may hold anything in Dynamics, so that it equals what was applied is no proof."""
        assert plan(replace(EXISTS, doubt=frozenset({"subject"}))) == Plan(frozenset({"subject"}))

    def test_doubt_and_change_together(self) -> None:
        """Both are written at once."""
        found = plan(replace(EXISTS, doubt=frozenset({"subject"})), WANTED | {"location": "Room 1"})
        assert found == Plan(frozenset({"subject", "location"}))

    def test_doubt_that_nobody_wants_any_more(self) -> None:
        """Where only an unwanted column is in doubt, no column is due: only the version has to rise."""
        assert plan(replace(EXISTS, doubt=frozenset({"location"}))) == Plan(only_fence=True)

    def test_doubt_waits_too(self) -> None:
        """With Pushing or Outbound Update off the doubt stays, with the reason."""
        doubtful = replace(EXISTS, doubt=frozenset({"subject"}))
        assert plan(doubtful, pushing=False).hold
        assert plan(doubtful, update=False).hold


class TestDeleted:
    def test_left_deleted(self) -> None:
        """An appointment that a person deleted stays deleted where the mapping says so."""
        deleted = replace(NEW, deleted=True)
        assert plan(deleted, mapping=LEAVE) == waits("The appointment was deleted in Dynamics and is left so.")

    def test_made_anew(self) -> None:
        """By default it is made anew."""
        assert plan(replace(NEW, deleted=True)) == Plan(frozenset(WANTED))


@pytest.mark.parametrize("gone", [["scheduledstart"], ["scheduledend"], ["scheduledstart", "scheduledend"]])
def test_times_that_were_taken_back_leave_both_as_they_are(gone: list[str]) -> None:
    """A start alone could come to lie behind the end that stays; the note says which Outreach says no more."""
    want = without_unset(Desired(WANTED | dict.fromkeys(gone), notes=("Before.",)))
    assert want.columns == {"subject": "Intro"}
    before, note = want.notes
    assert (before, f"no {' and '.join(gone)} any more" in note) == ("Before.", True)
    assert without_unset(Desired(WANTED)) == Desired(WANTED)


@pytest.mark.parametrize(
    ("there", "written"),
    [
        (None, {"location": "Room 1", "subject": "Intro"}),
        ({"subject": "Intro", "location": "Theirs"}, {"location": "Room 1"}),
        ({"subject": "Intro", "location": "Room 1"}, {}),
        ({"location": "Room 1"}, {"subject": "Intro"}),
    ],
)
def test_only_what_differs_from_what_is_there_is_written(there: dict[str, Any] | None, written: dict[str, Any]) -> None:
    """Without a look it is everything that was planned."""
    actual = None if there is None else Actual("1", there, OPEN)
    want = Desired({"subject": "Intro", "location": "Room 1"})
    assert columns_to_write(EXISTS, want, Plan(frozenset(want.columns)), actual) == written


@pytest.mark.parametrize(
    ("mirror", "version", "proof"),
    [
        (Mirror(version="1"), "1", True),
        (Mirror(version="1", doubt=frozenset({"subject"})), "1", False),
        (Mirror(version="1", doubt=frozenset({"subject"})), "2", True),
        (Mirror(version="1", doubt=frozenset({"statecode"})), "2", True),
        (Mirror(version="1", doubt=frozenset({"subject", "statecode"})), "2", False),
        (Mirror(version="1", doubt=frozenset({"subject"}), give_back=COMPLETED), "2", False),
        (Mirror(doubt=frozenset({"subject"})), "1", True),
        (Mirror(doubt=frozenset({"statecode"})), "1", False),
    ],
)
def test_a_look_is_proof_where_no_write_can_follow(mirror: Mirror, version: str, *, proof: bool) -> None:
    """A write in one step is refused by another version; one in several steps may go on behind it."""
    assert is_proof(mirror, Actual(version, {}, OPEN)) == proof


ORGANIZER = Party(Role.ORGANIZER, CrmRecord("systemuser", "a"))
FORMER = Party(Role.ORGANIZER, CrmRecord("systemuser", "b"))
GUEST = Party(Role.REQUIRED, "guest@example.com")


@pytest.mark.parametrize(
    ("state", "mirror", "looks"),
    [
        ("canceled", Mirror(version="1"), True),
        ("canceled", Mirror(version="1", open_as=OPEN), False),
        ("open", Mirror(version="1"), False),
        ("canceled", Mirror(), False),
    ],
)
def test_whoever_closes_an_appointment_looks_how_it_was_open(state: str, mirror: Mirror, *, looks: bool) -> None:
    """Unless that is known, or nothing is closed that exists."""
    closing = Plan(frozenset({"statecode"}))
    assert closing.must_look(mirror, Desired({"statecode": state}), None) == looks


@pytest.mark.parametrize(
    ("columns", "organizer", "lists"),
    [
        ({"appointment_activity_parties"}, None, True),
        ({"ownerid"}, ORGANIZER, True),
        ({"ownerid"}, None, False),
        ({"subject"}, ORGANIZER, False),
    ],
)
def test_the_list_of_parties_is_read_where_it_is_written(
    columns: set[str], organizer: Party | None, *, lists: bool
) -> None:
    """For the attendees, or for an organizer that goes with the owner."""
    some, want = Plan(frozenset(columns)), Desired({}, organizer=organizer)
    assert some.lists_parties(want) == lists
    assert some.reads(want) == columns | {FENCE} | ({"appointment_activity_parties"} if lists else set())


@pytest.mark.parametrize(("changed", "left"), [("ownerid", ORGANIZER), ("appointment_activity_parties", FORMER)])
def test_the_organizer_goes_with_the_owner_alone(changed: str, left: Party) -> None:
    """Where only attendees change, whoever organizes it in Dynamics stays."""
    want = Desired({"ownerid": "systemuser:a", "appointment_activity_parties": []}, organizer=ORGANIZER)
    actual = Actual("1", {"ownerid": "systemuser:b", "appointment_activity_parties": [FORMER, GUEST]}, OPEN)
    written = columns_to_write(replace(EXISTS, parties=frozenset({GUEST})), want, Plan(frozenset({changed})), actual)
    assert left in written["appointment_activity_parties"]
    assert len([party for party in written["appointment_activity_parties"] if party.role is Role.ORGANIZER]) == 1


def refused(mapping: MappingFile = DEFAULT, **columns: object) -> dict[str, Refusal]:
    """These values were refused, under this mapping."""
    return {name: Refusal(fingerprint(value), "0x80040265", "no", mapping.digest) for name, value in columns.items()}


class TestRefused:
    def test_the_same_value_is_not_sent_again(self) -> None:
        """Another value is, and so is the same one under another mapping."""
        mirror = replace(EXISTS, refused=refused(subject="Intro"))
        assert without_refused(Desired(WANTED), mirror, DEFAULT).columns == {
            name: value for name, value in WANTED.items() if name != "subject"
        }
        other = Desired(WANTED | {"subject": "Other"})
        assert without_refused(other, mirror, DEFAULT) == other
        assert without_refused(Desired(WANTED), mirror, LEAVE) == Desired(WANTED)

    def test_a_refused_column_has_nothing_of_ours(self) -> None:
        """So the value that it had before is a change again."""
        assert is_applied("subject", Desired(WANTED), EXISTS)
        assert not is_applied("subject", Desired(WANTED), replace(EXISTS, refused=refused(subject="Other")))

    def test_another_mapping_is_a_reason_to_try(self) -> None:
        """Only that."""
        mirror = replace(EXISTS, refused=refused(subject="Intro"))
        assert (tried_again(mirror, DEFAULT), tried_again(mirror, LEAVE)) == (False, True)
        assert not tried_again(EXISTS, LEAVE)

    @pytest.mark.parametrize("moved", [True, False])
    def test_a_refused_time_is_tried_with_the_other_one(self, *, moved: bool) -> None:
        """With another end the start may be right."""
        mirror = replace(EXISTS, refused=refused(scheduledstart=WANTED["scheduledstart"]))
        want = Desired(WANTED | ({"scheduledend": "2026-03-05T12:00:00Z"} if moved else {}))
        assert ("scheduledstart" in without_refused(want, mirror, DEFAULT).columns) == moved

    def test_a_new_appointment_needs_its_times(self) -> None:
        """There is none without, so they are tried."""
        mirror = replace(NEW, refused=refused(scheduledstart=WANTED["scheduledstart"]))
        assert without_refused(Desired(WANTED), mirror, DEFAULT) == Desired(WANTED)

    def test_an_organizer_who_was_refused_is_left_out(self) -> None:
        """Another one is not."""
        mirror = replace(EXISTS, refused=refused(organizer=str(ORGANIZER)))
        want = Desired(WANTED, organizer=ORGANIZER)
        assert without_refused(want, mirror, DEFAULT).organizer is None
        other = replace(want, organizer=FORMER)
        assert without_refused(other, mirror, DEFAULT) == other


def test_what_is_written_again_is_what_differs() -> None:
    """Every column is compared with what is there, whoever changed it."""
    found = decide(Meeting(mirror=EXISTS), Desired(WANTED), MET, Rules(DEFAULT, Policy(), str), again=True)
    assert found == Plan(frozenset(WANTED), compare=True)
    assert found.must_look(EXISTS, Desired(WANTED), None)

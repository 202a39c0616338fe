"""A meeting's status, and what its moves make of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import RECENT_EVENTS, Hold, Meeting, Recent
from shared.meeting.merge import Stamp, Stamped
from shared.meeting.mirror import COMPLETED, OPEN, Actual, Mirror, Refusal, TakenOver
from shared.meeting.outcome import OutcomeKind
from shared.meeting.status import Status
from tests.samples import law

WRITTEN = Meeting(mirror=Mirror("a", version="1", applied={"subject": '"One"'}))
SEVENTEEN, TASK = MeetingKey("calendarEvent", "17"), MeetingKey("task", "2")


@pytest.mark.parametrize(
    ("meeting", "status"),
    [
        (Meeting(), Status.REMEMBERED),
        (Meeting(mirror=Mirror("a", doubt=frozenset({"subject"}))), Status.BEING_WRITTEN),
        (WRITTEN, Status.IN_DYNAMICS),
        (replace(WRITTEN, mirror=replace(WRITTEN.mirror, doubt=frozenset({"subject"}))), Status.BEING_WRITTEN),
        (WRITTEN.hold(Hold("Pushing is off.")), Status.PARKED),
        (replace(WRITTEN.hold(Hold("Pushing is off.")), unsettled=True), Status.DEAD_LETTER),
        (replace(WRITTEN.lose_appointment(stays_deleted=True), unsettled=True), Status.DELETED_IN_DYNAMICS),
        (WRITTEN.lose_appointment(stays_deleted=False), Status.REMEMBERED),
    ],
)
def test_status(meeting: Meeting, status: Status) -> None:
    """One word, and what needs a person comes before what waits."""
    assert meeting.status is status
    assert meeting.is_settled == (status is Status.IN_DYNAMICS)


def test_a_change_to_what_was_deleted_is_in_doubt_no_longer() -> None:
    """To make the appointment again is to make one: conditions count. A create that was begun may still come to be."""
    changing = replace(WRITTEN, mirror=replace(WRITTEN.mirror, doubt=frozenset({"subject"})))
    assert not changing.lose_appointment(stays_deleted=False).mirror.attempted
    begun = Meeting(mirror=Mirror("a", doubt=frozenset({"subject"})))
    assert begun.lose_appointment(stays_deleted=False).mirror.attempted


@pytest.mark.parametrize("let_go", [OutcomeKind.DISMISSED, OutcomeKind.EXPIRED])
@pytest.mark.parametrize(
    ("mirror", "status"),
    [
        (Mirror("a", doubt=frozenset({"subject"})), Status.REMEMBERED),
        (Mirror("a", version="1", doubt=frozenset({"subject"})), Status.IN_DYNAMICS),
    ],
)
def test_what_is_left_in_doubt_is_not_being_written(mirror: Mirror, status: Status, let_go: OutcomeKind) -> None:
    """It stays in doubt, and nobody is at it any more: until another event comes, or while one is under way."""
    begun = Recent("a" * 32, "meeting.created", "t", OutcomeKind.WRITING)
    writing = Meeting(mirror=mirror).record(begun)
    assert (writing.status, writing.is_left_in_doubt) == (Status.BEING_WRITTEN, False)
    gone = writing.record(replace(begun, outcome=let_go))
    assert (gone.status, gone.is_left_in_doubt, gone.is_settled) == (status, True, False)
    other = Recent("b" * 32, "meeting.updated", "t", OutcomeKind.WRITING)
    for under_way in (gone.record(other), writing.record(other).record(replace(begun, outcome=let_go))):
        assert (under_way.status, under_way.is_left_in_doubt) == (Status.BEING_WRITTEN, False)
    assert not replace(gone, unsettled=True).is_left_in_doubt  # one more dead letter needs a person
    assert not replace(gone, mirror=Mirror("a", version="1")).is_left_in_doubt


@pytest.mark.parametrize("left", [{"give_back": COMPLETED}, {"surplus": frozenset({"b"})}])
def test_what_is_still_to_be_done_keeps_it_from_being_settled(left: dict[str, object]) -> None:
    """A state to give back, or a second appointment, is work for the next event."""
    meeting = replace(WRITTEN, mirror=replace(WRITTEN.mirror, **left))  # type: ignore[arg-type]
    assert meeting.status is Status.IN_DYNAMICS
    assert not meeting.is_settled


def test_a_claim_says_what_may_change_and_what_fences_it() -> None:
    """Its columns are in doubt, nothing waits any more, and the version is that of the last look."""
    parked = WRITTEN.hold(Hold("Outbound Update is off."))
    claim = parked.claim(frozenset({"subject"}), parties=(), actual=Actual("7", {}, OPEN), reopen=False)
    assert (claim.mirror.doubt, claim.mirror.version, claim.held) == (frozenset({"subject"}), "7", None)
    assert claim.mirror.give_back is None


@pytest.mark.parametrize("reopen", [True, False])
def test_a_closed_appointment_gets_its_state_back(reopen: bool) -> None:  # noqa: FBT001 - a case
    """The claim remembers which, if the appointment is opened for the change."""
    claim = WRITTEN.claim(frozenset(), parties=(), actual=Actual("7", {}, COMPLETED), reopen=reopen)
    assert claim.mirror.give_back == (COMPLETED if reopen else None)


@pytest.mark.parametrize(
    ("seen", "give_back", "open_as"),
    [((3, 5), None, (3, 5)), (COMPLETED, None, OPEN), ((0, 2), COMPLETED, OPEN)],
)
def test_how_it_was_open_is_remembered(
    seen: tuple[int, int], give_back: tuple[int, int] | None, open_as: tuple[int, int]
) -> None:
    """As a look or a write shows it; not while it is open for a change of ours only."""
    known = replace(WRITTEN, mirror=replace(WRITTEN.mirror, give_back=give_back, open_as=OPEN))
    claim = known.claim(frozenset({"statecode"}), parties=(), actual=Actual("7", {}, seen), reopen=False)
    assert claim.mirror.open_as == open_as
    assert claim.settle("8", {}, state=COMPLETED).mirror.open_as == open_as
    assert claim.settle("8", {}, state=(3, 6)).mirror.open_as == (3, 6)
    assert claim.settle("8", {}).mirror.open_as == open_as


def test_settling_ends_the_doubt() -> None:
    """What was in doubt and was not written is not known any more."""
    claim = WRITTEN.claim(frozenset({"subject", "location"}), parties=(), actual=None, reopen=False)
    settled = claim.settle("2", {"location": '"Here"'})
    assert (settled.mirror.applied, settled.mirror.version) == ({"location": '"Here"'}, "2")
    assert not settled.mirror.doubt


def test_a_refused_column_is_remembered_until_dynamics_takes_it() -> None:
    """Or until somebody asks for everything to be tried again."""
    one, other = Refusal('"One"', "0x80040265", "no", "m"), Refusal('"Two"', "0x80040265", "no", "m")
    both = WRITTEN.refuse({"subject": one}).refuse({"location": other}).refuse({})
    assert both.mirror.refused == {"subject": one, "location": other}
    assert both.take({"subject", "description"}).mirror.refused == {"location": other}
    assert both.forget_refusals() == WRITTEN


def test_the_time_line_has_each_event_once_and_the_last_ones_only() -> None:
    """An event that ends moves to its end."""
    events, meeting = list[Recent](), Meeting()
    for number in range(RECENT_EVENTS + 2):
        events.append(Recent(f"{number:032x}", "meeting.updated", "t", OutcomeKind.WRITING))
        meeting = meeting.record(events[-1])
    assert meeting.recent == tuple(events[2:])
    assert meeting.comes_again(events[2])
    ended = meeting.record(replace(events[2], outcome=OutcomeKind.UPDATED))
    assert [recent.outcome for recent in ended.recent].count(OutcomeKind.UPDATED) == 1
    assert not ended.comes_again(events[2])
    assert not ended.comes_again(None)


_mirrors = st.sampled_from(
    [
        Mirror(),
        Mirror("b"),
        Mirror("b", version="1"),
        Mirror("b", doubt=frozenset({"subject"})),
        Mirror("b", deleted=True),
        Mirror("b", version="1", surplus=frozenset({"c"})),
    ]
)
_meetings = st.builds(
    Meeting,
    st.dictionaries(
        st.sampled_from(["title", "location"]),
        st.builds(Stamped, st.text(max_size=2), st.builds(Stamp, st.text(max_size=1), st.just(""))),
    ),
    _mirrors,
    unsettled=st.booleans(),
)


@law
@given(_meetings, _meetings)
def test_absorbing(meeting: Meeting, alias: Meeting) -> None:
    """Nothing that either knew is lost, one appointment is the meeting's own, and a second time changes nothing."""
    meeting = replace(meeting, mirror=replace(meeting.mirror, appointment_id=meeting.mirror.appointment_id and "a"))
    both = meeting.absorb(SEVENTEEN, alias.know(TASK))
    assert both.facts == meeting.learn(alias.facts)[0].facts
    assert both.aliases.known == {SEVENTEEN, TASK}
    assert both.absorb(SEVENTEEN, Meeting()) == both
    begun = {one.mirror.appointment_id for one in (meeting, alias, both) if one.mirror.attempted}
    own = {both.mirror.appointment_id} if both.mirror.attempted else set()
    assert both.mirror.surplus | own == begun | meeting.mirror.surplus | alias.mirror.surplus
    assert both.mirror.appointment_id not in both.mirror.surplus
    assert meeting.is_settled or not both.is_settled


def test_one_of_two_deleted_leaves_the_other() -> None:
    """It is the meeting's own from then on, and may lack anything."""
    two = replace(WRITTEN, mirror=replace(WRITTEN.mirror, surplus=frozenset({"b"})))
    kept = two.lose_appointment(stays_deleted=True).keep_surplus("b", "9")
    assert kept.mirror == replace(WRITTEN.mirror, appointment_id="b", version="9", applied={})
    assert kept.unsettled


def test_an_id_is_chosen_once() -> None:
    """The appointment keeps the id that was chosen first."""
    assert Meeting().choose_appointment("a").choose_appointment("b").mirror.appointment_id == "a"


BUSY = (3, 5)
TAKEN = TakenOver("a user", "2026-01-01T00:00:00Z", tracked=True)
THEIRS = Meeting().take_over("theirs", Actual("1", {}, BUSY), TAKEN, known={"subject": "x"}, filling={"location": "y"})


def test_an_appointment_that_was_there_is_taken_over() -> None:
    """It exists, in the state that it has; what is known of it is known, and what is to be filled noted."""
    mirror = THEIRS.mirror
    assert (mirror.appointment_id, mirror.version, mirror.open_as, mirror.taken_over) == ("theirs", "1", BUSY, TAKEN)
    assert (mirror.applied, mirror.filling, mirror.doubt) == ({"subject": "x"}, {"location": "y"}, frozenset())
    assert THEIRS.settle("2", {}).mirror.filling == {}


def test_what_people_filled_first_is_theirs() -> None:
    """It is no longer in doubt, and known as Outreach has it, so that it is written when that changes."""
    claimed = replace(THEIRS, mirror=replace(THEIRS.mirror, doubt=frozenset({"location", "description"})))
    left = claimed.leave_to_people({"location": "y"}).mirror
    assert (left.applied, left.filling) == ({"subject": "x", "location": "y"}, {})
    assert left.doubt == {"description"}
    assert claimed.leave_to_people({}) == claimed


def test_one_that_was_taken_over_and_deleted_is_made_anew_as_ours() -> None:
    """Under an id of ours, and with all columns."""
    mirror = THEIRS.lose_appointment(stays_deleted=False).mirror
    assert (mirror.appointment_id, mirror.taken_over, mirror.filling, mirror.exists) == ("", None, {}, False)


def test_that_it_was_taken_over_outlives_the_rest() -> None:
    """What Outlook carries stays Outlook's; who made it is forgotten."""
    assert THEIRS.forget().mirror.taken_over == TakenOver(tracked=True)


@pytest.mark.parametrize(
    ("own", "kept", "surplus"),
    [
        (Mirror(), "theirs", frozenset()),
        (Mirror("own", version="3"), "theirs", frozenset({"own"})),
        (Mirror("own", doubt=frozenset({"subject"})), "own", frozenset()),
        (Mirror("other", version="3", taken_over=TAKEN), "other", frozenset()),
    ],
)
def test_one_that_was_there_before_is_never_canceled(own: Mirror, kept: str, surplus: frozenset[str]) -> None:
    """Ours gives way to it, unless nobody knows whether ours will come to be."""
    both = Meeting(mirror=own).absorb(MeetingKey("calendarEvent", "17"), THEIRS).mirror
    assert (both.appointment_id, both.surplus) == (kept, surplus)

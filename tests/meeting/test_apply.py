"""One event, carried out: what is asked of Dynamics, what is remembered, and how a round that was disturbed goes on.

Here each step is looked at by itself. `tests/simulation` tries every order in which several of them can meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.errors import Permanent, SyncError, Transient, Unmappable
from shared.meeting.apply import MAX_CREATES, MAX_ROUNDS, Outcome, apply
from shared.meeting.appointment import Policy
from shared.meeting.decide import Rules
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import Meeting, Recent
from shared.meeting.merge import Facts, Stamp, Stamped
from shared.meeting.mirror import CANCELED, COMPLETED, OPEN
from shared.meeting.outcome import OutcomeKind
from shared.meeting.people import Party
from shared.meeting.ports import Ports, Refused, Stored, TargetMissing
from shared.meeting.status import Status
from shared.meeting.transforms import FENCE, STATE
from tests.meeting.dynamics import ClaimRows, Dynamics, Everybody
from tests.meeting.rows import Rows, key
from tests.samples import DEFAULT, mapping_with, ref

FIVE, SEVENTEEN = key("meeting:5"), key("calendarEvent:17")
APPOINTMENT = "appointment of meeting:5"
EVENT = Recent("a" * 32, "meeting.updated", "2026-03-02T12:00:00Z", OutcomeKind.WRITING)
PARTIES = "appointment_activity_parties"


def said(minute: int = 0, **values: Any) -> Facts:
    """What an event of that minute says."""
    moment = f"2026-03-02T12:{minute:02}:00Z"
    return {name: Stamped(value, Stamp(moment, moment)) for name, value in values.items()}


def booked(**values: Any) -> Facts:
    """A meeting with all that an appointment needs."""
    values = {"starts_at": "2026-03-05T10:00:00Z", "ends_at": "2026-03-05T11:00:00Z", **values}
    return said(0, title="Intro", prospects=[ref("prospect", 1)], **values)


@dataclass
class World:
    """Rows, Dynamics and its people, and the rules that events are carried out by."""

    policy: Policy = field(default_factory=Policy)
    mapping: MappingFile = DEFAULT
    rows: Rows = field(default_factory=Rows)
    dynamics: Dynamics = field(default_factory=Dynamics)
    people: Everybody = field(default_factory=Everybody)
    claims: ClaimRows = field(default_factory=ClaimRows)

    async def carry_out(
        self, patch: Facts, event: Recent | None = None, alias: MeetingKey | None = None, *, again: bool = False
    ) -> Outcome:
        """One event of meeting 5. `again`: somebody asked for it to be written again."""
        rules = Rules(self.mapping, self.policy, "appointment of {}".format)
        ports = Ports(self.rows, self.dynamics, self.people, self.claims)
        self.dynamics.asked.clear()
        return await apply(FIVE, patch, rules=rules, ports=ports, alias=alias, event=event, again=again)

    @property
    def meeting(self) -> Meeting:
        """Meeting 5 as its row is."""
        found = self.rows.rows[FIVE].meeting
        assert found is not None
        return found

    @property
    def version(self) -> str:
        """That of the appointment of meeting 5."""
        return self.dynamics.appointments[APPOINTMENT].version

    def column(self, name: str) -> Any:
        """What the appointment of meeting 5 has."""
        return self.dynamics.appointments[APPOINTMENT].columns[name]


def refusal(*guesses: str) -> Refused:
    """A refusal that may be about one of these columns."""
    error = Refused("No.", service="dataverse", status=400, code="0x80040265")
    error.guesses, error.why = tuple(frozenset({name}) for name in guesses), "a plug-in said no"
    return error


@pytest.fixture
def world() -> World:
    """Nothing is there, and every setting is on."""
    return World()


async def test_a_meeting_gets_an_appointment(world: World) -> None:
    """It is made once, with what was said; who made it and when comes along."""
    outcome = await world.carry_out(booked(booked_at="2026-03-01T09:00:00Z", booker=[ref("user", 3)]), EVENT)
    assert (outcome.kind, outcome.rounds, outcome.reason) == (OutcomeKind.CREATED, 1, "")
    assert world.dynamics.asked == ["create"]
    assert outcome.notes == ("on 2026-03-01T09:00:00Z by user 3",)
    assert {"overriddencreatedon", "subject"} <= set(outcome.columns)
    assert outcome.request_id == "request 1"
    assert outcome.meeting == world.meeting
    assert world.meeting.status is Status.IN_DYNAMICS
    assert [recent.outcome for recent in world.meeting.recent] == [OutcomeKind.CREATED]


async def test_a_held_meeting_is_made_closed(world: World) -> None:
    """Dynamics makes open appointments only, so the state is a second call."""
    outcome = await world.carry_out(booked(completed=True))
    assert world.dynamics.asked == ["create", f"state {COMPLETED}"]
    assert outcome.notes == ("on None by None", "its state")
    assert "statecode" in outcome.columns


async def test_what_changed_is_written(world: World) -> None:
    """One column, one call; a state alone is one call too."""
    world.policy = Policy(on_cancel="cancel")
    await world.carry_out(booked())
    outcome = await world.carry_out(said(1, title="Later"))
    assert (outcome.kind, outcome.columns, outcome.notes) == (OutcomeKind.UPDATED, ("subject",), ("changed",))
    assert world.dynamics.asked == ["update subject"]
    await world.carry_out(said(2, canceled=True))
    assert world.dynamics.asked == [f"state {CANCELED}"]


async def test_what_is_known_or_older_asks_nobody(world: World) -> None:
    """The same event once more, and one that was overtaken."""
    await world.carry_out(booked(), EVENT)
    asked = len(world.people.asked)
    assert (await world.carry_out(booked(), EVENT)).kind is OutcomeKind.DUPLICATE
    await world.carry_out(said(2, title="Later"))
    assert (await world.carry_out(said(1, title="Between"))).kind is OutcomeKind.SUPERSEDED
    assert len(world.people.asked) == asked + 1
    assert world.dynamics.asked == []


async def test_what_has_no_column_is_remembered(world: World) -> None:
    """Nothing is written for it."""
    await world.carry_out(booked())
    outcome = await world.carry_out(said(1, is_organizer=True))
    assert (outcome.kind, world.dynamics.asked) == (OutcomeKind.MERGED, [])
    assert "is_organizer" in world.meeting.facts


async def test_what_waits_is_parked_and_goes_out_later(world: World) -> None:
    """A setting holds it; when it is on again, an event that says nothing brings it out."""
    world.policy = Policy(pushing=False)
    outcome = await world.carry_out(booked(), EVENT)
    assert outcome.kind is OutcomeKind.PARKED
    assert outcome.reason
    assert world.dynamics.asked == []
    world.policy = Policy()
    assert (await world.carry_out({})).kind is OutcomeKind.CREATED
    assert world.meeting.held is None


async def test_an_event_that_others_carried_out_says_so(world: World) -> None:
    """It waited with its claim; somebody else wrote what it came for."""
    await world.carry_out(booked())
    waiting = world.meeting.record(EVENT)
    await world.rows.save(await world.rows.load(FIVE), waiting)
    outcome = await world.carry_out(booked(), EVENT)
    assert outcome.kind is OutcomeKind.UPDATED
    assert [recent.outcome for recent in world.meeting.recent] == [OutcomeKind.UPDATED]


async def test_an_event_that_waited_for_nothing_says_so(world: World) -> None:
    """What it said was remembered at the first attempt, and there was nothing to write."""
    world.people.trouble = Transient("Busy.", service="outreach")
    with pytest.raises(Transient):
        await world.carry_out(booked(), EVENT)
    world.people.trouble = None
    await world.carry_out({})
    failed = replace(world.meeting.record(replace(EVENT, outcome=OutcomeKind.RETRYING)), unsettled=True)
    await world.rows.save(await world.rows.load(FIVE), failed)
    outcome = await world.carry_out(booked(), EVENT)
    assert (outcome.kind, world.dynamics.asked) == (OutcomeKind.MERGED, [])


@pytest.mark.parametrize(
    ("trouble", "ended"),
    [
        (Transient("Busy.", service="outreach"), OutcomeKind.RETRYING),
        (Permanent("No.", service="outreach"), OutcomeKind.FAILED),
        (Unmappable("odd", "An odd value."), OutcomeKind.FAILED),
    ],
)
async def test_trouble_with_people_forgets_nothing(world: World, trouble: SyncError, ended: OutcomeKind) -> None:
    """What the event said is saved, once, and the error says that it is and of which meeting."""
    world.people.trouble = trouble
    for saves in (1, 1):
        with pytest.raises(type(trouble)) as caught:
            await world.carry_out(booked(), EVENT)
        assert (caught.value.merged, caught.value.meeting, world.rows.saves) == (True, "meeting:5", saves)
    assert [recent.outcome for recent in world.meeting.recent] == [ended]
    assert world.meeting.unsettled
    world.people.trouble = None
    assert (await world.carry_out(booked(), EVENT)).kind is OutcomeKind.CREATED


async def test_the_row_is_loaded_again_after_a_lost_race(world: World) -> None:
    """Whoever saved first is not written over; for ever is not tried."""
    world.rows.disturbed = 2
    assert (await world.carry_out(booked())).rounds == 3
    world.rows.saves, world.rows.disturbed = 0, MAX_ROUNDS
    with pytest.raises(Transient, match="Many events of this meeting at once"):
        await world.carry_out(said(1, title="Later"))


async def test_what_a_dead_worker_wrote_is_not_written_again(world: World) -> None:
    """It died between the write and the settling: the fence refuses, and a look is proof enough."""
    await world.carry_out(booked())
    claimed = world.meeting.claim(frozenset({"subject"}), parties=(), actual=None, reopen=False)
    facts = {**claimed.facts, **said(1, title="Later")}
    await world.rows.save(await world.rows.load(FIVE), replace(claimed, facts=facts))
    world.dynamics.change(APPOINTMENT, subject="Later")
    outcome = await world.carry_out(said(1, title="Later"))
    assert (outcome.kind, outcome.columns, world.dynamics.asked) == (OutcomeKind.UPDATED, (), ["update subject"])
    assert world.meeting.mirror.version == world.version
    assert world.meeting.is_settled


@pytest.mark.parametrize("closed", [False, True])
async def test_a_write_for_the_version_alone_changes_nothing(world: World, *, closed: bool) -> None:
    """What is in doubt is wanted no longer: something is written as it stands, the state where no more is taken."""
    await world.carry_out(booked())
    claimed = world.meeting.claim(frozenset({"description"}), parties=(), actual=None, reopen=False)
    if closed:
        world.dynamics.strict = True
        world.dynamics.close(APPOINTMENT, COMPLETED)
        claimed = replace(claimed, mirror=replace(claimed.mirror, version=world.version))
    await world.rows.save(await world.rows.load(FIVE), claimed)
    before = world.dynamics.appointments[APPOINTMENT]
    outcome = await world.carry_out(booked())
    assert (outcome.kind, outcome.columns) == (OutcomeKind.UPDATED, ())
    after = world.dynamics.appointments[APPOINTMENT]
    seen = {name: value for name, value in after.columns.items() if name != FENCE}
    assert (seen, after.state, after.version) == (dict(before.columns), before.state, str(int(before.version) + 1))
    assert world.dynamics.asked == [f"update {FENCE}", *([f"state {COMPLETED}"] if closed else [])]
    assert world.meeting.is_settled


async def test_a_person_s_change_is_not_written_over(world: World) -> None:
    """The fence refuses, a look shows what is there, and the same column is not written for nothing."""
    await world.carry_out(booked())
    world.dynamics.change(APPOINTMENT, subject="Later", location="Their room")
    outcome = await world.carry_out(said(1, title="Later", location="Room 1"))
    assert (outcome.kind, outcome.rounds, outcome.columns) == (OutcomeKind.UPDATED, 2, ("location",))
    assert world.dynamics.asked == ["update location, subject", "update location"]


async def test_a_race_that_others_win_is_theirs(world: World) -> None:
    """A worker that has claimed loses the fence to one that writes all of it: nothing is left, and it is done."""
    await world.carry_out(booked())

    def written_by_another() -> None:
        world.dynamics.change(APPOINTMENT, subject="Later")
        found = world.rows.rows[FIVE]
        version = world.version
        settled = world.meeting.settle(version, {**world.meeting.mirror.applied, "subject": '"Later"'})
        world.rows.rows[FIVE] = replace(found, meeting=settled, version="theirs")

    world.dynamics.between = [written_by_another]
    outcome = await world.carry_out(said(1, title="Later"), EVENT)
    assert (outcome.kind, outcome.rounds, outcome.columns) == (OutcomeKind.UPDATED, 2, ())


async def test_a_claim_that_comes_to_nothing_counts_as_written(world: World) -> None:
    """Another worker settles what was claimed, and something else is left that needs no write."""
    await world.carry_out(booked())

    def settled_and_reopened() -> None:
        world.dynamics.change(APPOINTMENT, subject="Later")
        found = world.rows.rows[FIVE]
        version = world.version
        settled = world.meeting.settle(version, {**world.meeting.mirror.applied, "subject": '"Later"'})
        world.rows.rows[FIVE] = replace(found, meeting=replace(settled, unsettled=True), version="theirs")

    world.dynamics.between = [settled_and_reopened]
    assert (await world.carry_out(said(1, title="Later"))).kind is OutcomeKind.UPDATED


async def test_attendees_that_people_added_stay(world: World) -> None:
    """The list is replaced as a whole, so it is looked at first."""
    await world.carry_out(booked())
    ours = world.column(PARTIES)
    theirs = replace(ours[0], who="guest@example.com")
    world.dynamics.change(APPOINTMENT, **{PARTIES: [*ours, theirs]})
    outcome = await world.carry_out(said(1, prospects=[ref("prospect", 2)]))
    assert (outcome.rounds, world.dynamics.asked) == (2, [f"update {PARTIES}, regardingobjectid"])
    assert [str(party.who) for party in world.column(PARTIES)] == ["guest@example.com", "contact:prospect 2"]


@pytest.mark.parametrize(("rule", "kind"), [("recreate", OutcomeKind.CREATED), ("leave", OutcomeKind.LEFT)])
async def test_an_appointment_that_was_deleted(world: World, rule: str, kind: OutcomeKind) -> None:
    """As the mapping says: it is made again with everything, or it stays deleted."""
    world.mapping = mapping_with(deleted_in_dynamics=rule)
    await world.carry_out(booked())
    del world.dynamics.appointments[APPOINTMENT]
    outcome = await world.carry_out(said(1, title="Later"))
    assert outcome.kind is kind
    assert world.meeting.mirror.deleted == (rule == "leave")
    assert (APPOINTMENT in world.dynamics.appointments) == (rule == "recreate")


async def test_somebody_who_is_gone_is_looked_up_again_once(world: World) -> None:
    """A 404 at a create can only be somebody it points at; asked again and gone again is for a person."""
    world.dynamics.missing = True
    world.dynamics.between = [lambda: None, lambda: setattr(world.dynamics, "missing", False)]
    assert (await world.carry_out(booked())).kind is OutcomeKind.CREATED
    assert world.people.asked == [False, True]
    world.dynamics.missing = True
    with pytest.raises(Permanent, match="does not exist, and asking again found no other"):
        await world.carry_out(said(1, owner=[ref("user", 9)]))


async def test_a_closed_appointment_is_opened_and_closed_again(world: World) -> None:
    """Where an organisation lets nobody change such rows; its state is given back."""
    await world.carry_out(booked())
    world.dynamics.close(APPOINTMENT, COMPLETED)
    world.dynamics.strict = True
    outcome = await world.carry_out(said(1, title="Later"))
    assert world.dynamics.asked[-3:] == [f"state {OPEN}", "update subject", f"state {COMPLETED}"]
    assert world.dynamics.appointments[APPOINTMENT].state == COMPLETED
    assert (outcome.kind, world.meeting.mirror.give_back) == (OutcomeKind.UPDATED, None)


async def test_an_appointment_that_stays_closed_is_for_a_person(world: World) -> None:
    """Somebody's rule closes it as soon as it is opened, or refuses even the open one."""
    await world.carry_out(booked())
    world.dynamics.strict = True
    world.dynamics.close(APPOINTMENT, COMPLETED)

    def refuse_open() -> None:
        actual = world.dynamics.appointments[APPOINTMENT]
        world.dynamics.appointments[APPOINTMENT] = replace(actual, state=COMPLETED)

    world.dynamics.between = [lambda: None, lambda: None, lambda: None, refuse_open]
    with pytest.raises(Permanent, match="even after opening it"):
        await world.carry_out(said(1, title="Later"))


async def test_an_alias_brings_its_appointment(world: World) -> None:
    """What a calendar event had before it named its meeting is the meeting's, once."""
    rules = Rules(world.mapping, world.policy, "appointment of {}".format)
    await apply(SEVENTEEN, booked(), rules=rules, ports=Ports(world.rows, world.dynamics, world.people, world.claims))
    outcome = await world.carry_out(said(1, title="Named"), alias=SEVENTEEN)
    assert outcome.kind is OutcomeKind.UPDATED
    assert list(world.dynamics.appointments) == ["appointment of calendarEvent:17"]
    assert world.meeting.aliases.known == {SEVENTEEN}


@pytest.mark.parametrize("refused", [False, True])
async def test_an_appointment_that_was_being_made_is_finished_first(world: World, *, refused: bool) -> None:
    """One that may or may not come to be can neither be taken over nor be called off; what cannot be made is left."""
    made = Meeting(booked()).choose_appointment("appointment of calendarEvent:17")
    claimed = made.claim(frozenset({"subject"}), parties=(), actual=None, reopen=False)
    world.rows = Rows({"calendarEvent:17": claimed})
    world.policy = Policy(create=not refused)
    outcome = await world.carry_out(said(1, location="Room 1"), alias=SEVENTEEN)
    assert outcome.kind is (OutcomeKind.PARKED if refused else OutcomeKind.UPDATED)
    assert world.meeting.aliases.known == {SEVENTEEN}


async def test_a_look_that_somebody_overtook_counts_no_more(world: World) -> None:
    """The appointment was gone at the look; by the next round somebody has made it again, under another fence."""
    await world.carry_out(booked())
    before = world.dynamics.appointments.pop(APPOINTMENT)

    class Quicker(Rows):
        """Whoever is quicker makes it again."""

        async def load(self, wanted: MeetingKey) -> Stored:
            if world.dynamics.asked and APPOINTMENT not in world.dynamics.appointments:
                world.dynamics.appointments[APPOINTMENT] = replace(before, version="7")
                mirror = replace(world.meeting.mirror, version="7")
                self.rows[wanted] = Stored(wanted, replace(world.meeting, mirror=mirror), "theirs")
            return await super().load(wanted)

    quicker = Quicker()
    quicker.rows = world.rows.rows
    world.rows = quicker
    outcome = await world.carry_out(said(1, title="Later"))
    assert (outcome.kind, world.column("subject")) == (OutcomeKind.UPDATED, "Later")


async def test_a_refused_column_costs_itself_until_somebody_asks_again(world: World) -> None:
    """The rest is made without it; later changes leave it out, and once Dynamics takes it, it is written on request."""
    world.dynamics.refuses = {"location": refusal("location")}
    outcome = await world.carry_out(booked(location="Room 1"))
    assert outcome.kind is OutcomeKind.CREATED
    assert any(note.startswith("location was refused by Dynamics (0x80040265)") for note in outcome.notes)
    assert "location" not in world.dynamics.appointments[APPOINTMENT].columns
    assert list(world.meeting.mirror.refused) == ["location"]
    await world.carry_out(said(1, title="Later"))
    assert world.dynamics.asked == ["update subject"]
    world.dynamics.refuses = {}
    await world.carry_out({}, again=True)
    assert (world.column("location"), world.meeting.mirror.refused) == ("Room 1", {})


async def test_a_refusal_that_names_nothing_is_for_a_person(world: World) -> None:
    """What the event said is kept, and nothing is left out at a guess."""
    world.dynamics.refuses = {"subject": refusal()}
    with pytest.raises(Refused) as caught:
        await world.carry_out(booked(), EVENT)
    assert caught.value.merged
    assert world.meeting.mirror.refused == {}


async def test_a_state_that_is_refused_costs_the_state(world: World) -> None:
    """A new appointment stays open."""
    world.dynamics.refuses = {STATE: refusal(STATE)}
    outcome = await world.carry_out(booked(completed=True))
    assert (outcome.kind, world.dynamics.appointments[APPOINTMENT].state) == (OutcomeKind.CREATED, OPEN)
    assert list(world.meeting.mirror.refused) == [STATE]


async def test_a_refusal_that_may_be_about_more_than_the_state_is_for_a_person(world: World) -> None:
    """The state is left out only where nothing else can have been refused."""
    world.dynamics.refuses = {STATE: refusal()}
    with pytest.raises(Refused):
        await world.carry_out(booked(completed=True))
    assert world.meeting.mirror.refused == {}


@pytest.mark.parametrize("refused", [True, False])
async def test_columns_are_written_whether_or_not_the_state_is_taken(world: World, *, refused: bool) -> None:
    """The state is a call of its own, after them."""
    world.policy = Policy(on_cancel="cancel")
    await world.carry_out(booked())
    world.dynamics.refuses = {STATE: refusal(STATE)} if refused else {}
    outcome = await world.carry_out(said(1, title="Later", canceled=True))
    assert world.dynamics.asked == ["update subject", f"state {CANCELED}"]
    assert (outcome.kind, world.column("subject")) == (OutcomeKind.UPDATED, "Later")
    assert world.dynamics.appointments[APPOINTMENT].state == (OPEN if refused else CANCELED)


async def test_a_closed_appointment_keeps_its_state_where_the_new_one_is_refused(world: World) -> None:
    """It is opened for the change, and what it had comes back."""
    world.policy = Policy(on_cancel="cancel")
    await world.carry_out(booked())
    world.dynamics.close(APPOINTMENT, COMPLETED)
    world.dynamics.strict = True

    def refuse_canceled() -> None:
        world.dynamics.refuses = {STATE: refusal(STATE)}

    def take_again() -> None:
        world.dynamics.refuses = {}

    world.dynamics.between = [lambda: None, lambda: None, lambda: None, refuse_canceled, take_again]
    outcome = await world.carry_out(said(1, title="Later", canceled=True))
    assert world.dynamics.asked[-4:] == [
        f"state {OPEN}",
        "update subject",
        f"state {CANCELED}",
        f"state {COMPLETED}",
    ]
    assert (outcome.kind, world.dynamics.appointments[APPOINTMENT].state) == (OutcomeKind.UPDATED, COMPLETED)
    assert list(world.meeting.mirror.refused) == [STATE]


@pytest.mark.parametrize("ours", [True, False])
async def test_a_closed_appointment_whose_state_cannot_come_back_stays_open(world: World, *, ours: bool) -> None:
    """The change is written, and so is every later one; whoever closed it, the meeting is not frozen for it."""
    await world.carry_out(booked())
    if ours:
        await world.carry_out(said(1, completed=True))
    else:
        world.dynamics.close(APPOINTMENT, COMPLETED)
    world.dynamics.strict = True

    def refuse_states() -> None:
        world.dynamics.refuses = {STATE: refusal(STATE)}

    world.dynamics.between = [lambda: None, lambda: None, lambda: None, refuse_states]
    outcome = await world.carry_out(said(2, title="Later"))
    assert world.dynamics.asked[-3:] == [f"state {OPEN}", "update subject", f"state {COMPLETED}"]
    assert (outcome.kind, world.column("subject")) == (OutcomeKind.UPDATED, "Later")
    assert world.dynamics.appointments[APPOINTMENT].state == OPEN
    assert list(world.meeting.mirror.refused) == ([STATE] if ours else [])
    assert any("refused by Dynamics" in note for note in outcome.notes)
    outcome = await world.carry_out(said(3, title="Later still"))
    assert (outcome.kind, world.column("subject")) == (OutcomeKind.UPDATED, "Later still")


async def test_an_attempt_asks_for_three_creates_at_most(world: World) -> None:
    """What was refused so far is remembered, and the next attempt begins with it; where nothing was, it is over."""
    values = {"location": "Room 1", "description": "Text"}
    names = ("subject", "location", "description")
    world.dynamics.refuses = {name: refusal(name) for name in names}
    with pytest.raises(Transient, match="one column of the new appointment after the other"):
        await world.carry_out(booked(**values))
    assert world.dynamics.asked == ["create"] * MAX_CREATES
    assert (await world.carry_out({})).kind is OutcomeKind.CREATED
    assert world.dynamics.asked == ["create"]
    assert world.meeting.mirror.refused.keys() == set(names)


async def test_a_create_that_is_refused_whatever_is_left_out_is_for_a_person(world: World) -> None:
    """Each guess was tried alone, and none was it."""
    world.dynamics.refuses = {"scheduledstart": refusal("subject", "location", "description", "ownerid")}
    with pytest.raises(Refused):
        await world.carry_out(booked(location="Room 1", description="Text", owner=[ref("user", 9)]))
    assert world.dynamics.asked == ["create"] * MAX_CREATES
    assert world.meeting.mirror.refused == {}


async def test_a_record_that_stays_missing_costs_the_column_that_names_it(world: World) -> None:
    """Asked again once, and still not there: the rest is written."""
    await world.carry_out(booked())
    gone = TargetMissing("0x80040217")
    gone.guesses, gone.why = (frozenset({"ownerid"}),), "there is no such record"
    world.dynamics.refuses = {"ownerid": gone}
    outcome = await world.carry_out(said(1, title="Later", owner=[ref("user", 9)]))
    assert (outcome.kind, world.column("subject")) == (OutcomeKind.UPDATED, "Later")
    assert list(world.meeting.mirror.refused) == ["ownerid"]


ADOPTING = mapping_with(existing={"adopt": "always"})


def mine(**values: Any) -> Facts:
    """What a meeting of user 1 says."""
    return booked(owner=[ref("user", 1)], location="Room 1", **values)


@pytest.fixture
def found() -> World:
    """An appointment of that meeting is there, without a place."""
    world = World(mapping=ADOPTING)
    theirs = {"subject": "Intro", "scheduledstart": "2026-03-05T10:00:00Z", "scheduledend": "2026-03-05T11:00:00Z"}
    world.dynamics.there("theirs", ownerid="systemuser:user 1", appointment_activity_parties=[], **theirs)
    return world


async def test_what_is_there_is_taken_over(found: World) -> None:
    """One question, one write; the claim is ours, and the version that was found is the fence."""
    outcome = await found.carry_out(mine(), EVENT)
    assert found.dynamics.asked[0] == "find"
    assert len(found.dynamics.asked) == 2
    assert (outcome.kind, found.meeting.mirror.appointment_id) == (OutcomeKind.UPDATED, "theirs")
    assert outcome.notes[-1].startswith("Took over appointment theirs, made by user a user on 2026-01-01")
    assert found.claims.rows == {"theirs": FIVE}
    assert found.dynamics.appointments["theirs"].columns["location"] == "Room 1"
    await found.carry_out(said(1, title="Second"))
    assert found.dynamics.asked == ["update subject"]


async def test_what_needs_nothing_is_taken_over_without_a_write(found: World) -> None:
    """It is linked all the same, and an event that comes again finds nothing to do."""
    found.dynamics.change("theirs", location="Room 1", regardingobjectid="contact:prospect 1")
    found.dynamics.change("theirs", **{PARTIES: [Party.parse("5:contact:prospect 1")]})
    outcome = await found.carry_out(mine(), EVENT)
    assert (outcome.kind, found.dynamics.asked) == (OutcomeKind.UPDATED, ["find"])
    assert found.meeting.status is Status.IN_DYNAMICS
    assert (await found.carry_out(mine())).kind is OutcomeKind.DUPLICATE


async def test_nobody_who_attends_already_is_written(found: World) -> None:
    """And without attendees of ours nothing has to be compared."""
    found.mapping = mapping_with(existing={"adopt": "always"}, create_conditions=[])
    patch = {name: value for name, value in mine().items() if name != "prospects"}
    found.dynamics.change("theirs", location="Room 1")
    assert (await found.carry_out(patch)).kind is OutcomeKind.UPDATED
    assert found.dynamics.asked == ["find"]


async def test_one_that_another_meeting_has_is_left_alone(found: World) -> None:
    """This one gets its own."""
    found.claims.rows["theirs"] = key("meeting:6")
    assert (await found.carry_out(mine())).kind is OutcomeKind.CREATED
    assert found.dynamics.asked == ["find", "create"]


async def test_what_an_alias_has_claimed_is_ours(found: World) -> None:
    """Its worker died before it could say so in its row."""
    found.claims.rows["theirs"] = SEVENTEEN
    await found.carry_out(mine(), alias=SEVENTEEN)
    assert found.meeting.mirror.appointment_id == "theirs"


async def test_what_a_person_fills_meanwhile_stays(found: World) -> None:
    """The write is refused by its fence, and the next look shows a value that is not ours."""
    found.dynamics.between.append(lambda: found.dynamics.change("theirs", location="Theirs"))
    outcome = await found.carry_out(mine())
    assert found.dynamics.appointments["theirs"].columns["location"] == "Theirs"
    assert outcome.notes[-1].startswith("Took over")
    await found.carry_out(said(1, location="Room 2"))
    assert found.dynamics.appointments["theirs"].columns["location"] == "Room 2"


async def test_one_that_is_deleted_meanwhile_is_made(found: World) -> None:
    """Nothing is there any more: the meeting gets its own."""
    found.dynamics.between.append(lambda: found.dynamics.appointments.pop("theirs"))
    await found.carry_out(mine())
    assert found.meeting.mirror.appointment_id == APPOINTMENT
    assert found.dynamics.appointments.keys() == {APPOINTMENT}


async def test_a_row_that_was_disturbed_claims_nothing_twice(found: World) -> None:
    """The claim is ours already, and what is told is told once."""
    found.rows.disturbed = 1
    outcome = await found.carry_out(mine())
    assert [note for note in outcome.notes if note.startswith("Took over")] == [outcome.notes[-1]]
    assert found.meeting.mirror.appointment_id == "theirs"


async def test_to_write_again_leaves_what_is_kept_when_it_is_taken_over(found: World) -> None:
    """An admin asks for a meeting that is not in Dynamics yet: a row that is there is taken over as ever."""
    found.dynamics.change("theirs", location="Theirs")
    rules = Rules(ADOPTING, found.policy, "appointment of {}".format)
    ports = Ports(found.rows, found.dynamics, found.people, found.claims)
    await apply(FIVE, mine(), rules=rules, ports=ports, again=True)
    assert found.dynamics.appointments["theirs"].columns["location"] == "Theirs"

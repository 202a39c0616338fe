"""What a soak asks for in the end: all that was accepted, and nothing that was not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.outreach.deliveries import Delivery
from sandbox.outreach.sender import Sent
from sandbox.plot import write_plot
from sandbox.soak.events import BOOKED, write_events
from sandbox.soak.plan import Count, Plan
from sandbox.soak.promised import COLUMNS, Fate, Life, Said, fate_of

DELIVERY = Delivery("meeting.created", b"{}")
APPOINTMENT = write_plot(BOOKED).appointments["5001"]


def life(*titles: str) -> Life:
    """A meeting whose deliveries set one title after the other; their event ids are the titles."""
    return Life(tuple(Said(title, {"subject": title}) for title in titles))


def test_the_last_accepted_is_right() -> None:
    """Where all were accepted, each column holds what was said of it last."""
    accepted = {"one": Fate.ACCEPTED, "two": Fate.ACCEPTED}
    assert life("one", "two").right("subject", accepted) == frozenset({"two"})
    assert life("one", "two").right("location", accepted) is None


def test_what_never_arrived_is_asked_for_nowhere() -> None:
    """The value before it stays right, and a booking that never arrived promises no appointment."""
    assert life("one", "two").right("subject", {"one": Fate.ACCEPTED}) == frozenset({"one"})
    assert not life("one", "two").promised({"two": Fate.ACCEPTED})


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Fate)), min_size=1, max_size=6))
def test_right_is_what_can_come_of_it(told: list[tuple[str, Fate]]) -> None:
    """A delivery whose fate nobody knows may be stored or not: every outcome of that is right, and no other."""
    said = tuple(Said(str(place), {"subject": value}) for place, (value, _) in enumerate(told))
    fates = {str(place): fate for place, (_, fate) in enumerate(told)}
    unsure = [place for place, (_, fate) in enumerate(told) if fate is Fate.UNSURE]
    outcomes = set()
    for stored in itertools.product((False, True), repeat=len(unsure)):
        chosen = {place for place, is_stored in zip(unsure, stored, strict=True) if is_stored}
        applied = [v for place, (v, fate) in enumerate(told) if fate is Fate.ACCEPTED or place in chosen]
        outcomes.add(applied[-1] if applied else None)
    right = Life(said).right("subject", fates)
    assert right == (None if None in outcomes else outcomes)


def test_a_column_that_is_not_right_is_named_with_all_that_would_be() -> None:
    """The sentence tells what stands there and what may."""
    fates = {"one": Fate.ACCEPTED, "two": Fate.UNSURE}
    meeting = life("one", "two")
    assert meeting.wrong(replace(APPOINTMENT, subject="two"), fates) == []
    assert meeting.wrong(replace(APPOINTMENT, subject="x"), fates) == ["subject is 'x', must be 'one' or 'two'"]


@pytest.mark.parametrize(
    ("sent", "fate"),
    [
        (Sent(DELIVERY, 202, 1), Fate.ACCEPTED),
        (Sent(DELIVERY, 503, 1), Fate.UNSURE),
        (Sent(DELIVERY, 500, 2), Fate.UNSURE),
        (Sent(DELIVERY, None, 4, arrived=True), Fate.UNSURE),
        (Sent(DELIVERY, None, 4, arrived=False), Fate.NEVER_ARRIVED),
    ],
)
def test_only_202_is_a_promise(sent: Sent, fate: Fate) -> None:
    """Another answer, or silence, says nothing about what is stored; without a connection nothing can be."""
    assert fate_of(sent) is fate


def test_the_events_say_all_that_is_compared() -> None:
    """A booking sets every column that is compared; each delivery has its place in a life, in the order of stamps."""
    deliveries, lives = write_events(Plan(events=300))
    assert {delivery.event_id for delivery in deliveries} == {one.event_id for it in lives.values() for one in it.said}
    stamps = {delivery.event_id: delivery.document["data"]["attributes"]["updatedAt"] for delivery in deliveries}
    for meeting in lives.values():
        assert set(meeting.said[0].columns) == set(COLUMNS)
        own = [stamps[one.event_id] for one in meeting.said]
        assert own == sorted(own)


@pytest.mark.parametrize("what", ["lost", "duplicated", "stale", "dead_lettered", "still_wrong"])
def test_one_fault_is_enough(what: str) -> None:
    """Whatever is counted of these makes the run fail."""
    count = Count()
    assert count.clean
    setattr(count, what, 1)
    assert not count.clean

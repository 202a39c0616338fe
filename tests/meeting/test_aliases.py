"""Records that turn out to be one meeting: chains, rings, and links that exist."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import LostRace
from shared.meeting.aliases import is_alias, with_alias
from shared.meeting.identity import MeetingKey
from shared.meeting.meeting import Aliases, Meeting
from shared.meeting.merge import Stamp, Stamped
from shared.meeting.mirror import Mirror
from tests.meeting.rows import Rows, key

BOOKED = Meeting({"title": Stamped("Booked", Stamp("2", "2"))}, Mirror("a", version="1"))
LATER = Meeting({"title": Stamped("Later", Stamp("3", "3"))})


def pointing(to: str, meeting: Meeting | None = None) -> Meeting:
    """A row that points to another record's."""
    return (meeting or Meeting()).become(key(to))


async def never(_: MeetingKey) -> bool:
    """Nothing has to be finished."""
    raise AssertionError


async def test_of_an_unknown_record_nothing_is_known() -> None:
    """It stands for itself, and anything may become of it."""
    found = await Rows().found("meeting:5")
    assert not found.is_known
    assert (found.stored.key, found.stored.version) == (key("meeting:5"), None)


@pytest.mark.parametrize("record", ["task:2", "calendarEvent:17", "meeting:5"])
async def test_every_record_of_a_chain_is_the_meeting_at_its_end(record: str) -> None:
    """However many records lie between, and with all that they have brought."""
    links = {"task:2": pointing("calendarEvent:17", LATER), "calendarEvent:17": pointing("meeting:5")}
    rows = Rows({**links, "meeting:5": BOOKED})
    found = await rows.found(record)
    assert found.stored.key == key("meeting:5")
    assert await is_alias(key(record), rows) == (record != "meeting:5")
    brought = {"task:2": {"task:2", "calendarEvent:17"}, "calendarEvent:17": {"calendarEvent:17"}}.get(record, set())
    assert found.meeting.aliases.known == set(map(key, brought))
    assert found.meeting.facts["title"].value == ("Later" if record == "task:2" else "Booked")
    assert found.meeting.mirror == BOOKED.mirror


async def test_what_an_alias_brought_is_the_meeting_s_before_that_has_a_row() -> None:
    """Whoever died after the link and before the meeting's row leaves nothing behind."""
    found = await Rows({"calendarEvent:17": pointing("meeting:5", BOOKED)}).found("calendarEvent:17")
    assert (found.stored.key, found.stored.meeting) == (key("meeting:5"), None)
    assert found.meeting.facts == BOOKED.facts
    assert found.meeting.mirror == BOOKED.mirror
    assert found.meeting.unsettled


@pytest.mark.parametrize(
    ("ring", "counts"),
    [
        (["meeting:5", "calendarEvent:17"], "meeting:5"),
        (["calendarEvent:17", "meeting:5"], "meeting:5"),
        (["calendarEvent:18", "task:2", "calendarEvent:17"], "calendarEvent:17"),
        (["meeting:6", "meeting:5"], "meeting:5"),
    ],
)
async def test_of_a_ring_the_same_one_counts_from_wherever_one_comes(ring: list[str], counts: str) -> None:
    """Two deliveries may each take the other's record for the meeting: a meeting counts, else the lowest key."""
    rows = {name: pointing(ring[(place + 1) % len(ring)]) for place, name in enumerate(ring)}
    rows[counts] = pointing(str(rows[counts].aliases.meeting), BOOKED)
    for name in (*ring, "task:9"):
        found = await Rows({**rows, "task:9": pointing(ring[0])}).found(name)
        assert found.stored.key == key(counts)
        assert found.meeting.aliases.meeting is None
        assert found.meeting.aliases.known == {key(one) for one in (*ring, name) if one != counts}
        assert found.meeting.mirror == BOOKED.mirror


async def test_an_appointment_that_came_along_a_chain_is_taken_over_once() -> None:
    """The record in between has taken it over already; what the first one remembers of it is of the past."""
    between = replace(pointing("meeting:5", BOOKED), aliases=Aliases(key("meeting:5"), frozenset({key("task:2")})))
    old = pointing("calendarEvent:17", replace(BOOKED, mirror=Mirror("a", version="0")))
    found = await Rows({"task:2": old, "calendarEvent:17": between}).found("task:2")
    assert found.meeting.mirror == BOOKED.mirror


class TestLinking:
    async def test_a_record_is_linked_once(self) -> None:
        """The first time its row is made to point; after that it is known, and its row is not even read."""
        rows = Rows({"meeting:5": BOOKED, "calendarEvent:17": LATER})
        linked = await with_alias(await rows.found("meeting:5"), key("calendarEvent:17"), meetings=rows, finish=never)
        assert linked.meeting.facts["title"].value == "Later"
        assert rows.rows[key("calendarEvent:17")].meeting == pointing("meeting:5", LATER)
        again = await with_alias(linked, key("calendarEvent:17"), meetings=Rows(), finish=never)
        assert again == linked
        itself = await with_alias(linked, key("meeting:5"), meetings=Rows(), finish=never)
        assert itself == linked

    async def test_a_link_that_exists_stays(self) -> None:
        """A record that is another meeting's is known here too, and its row goes on pointing there."""
        rows = Rows({"meeting:5": BOOKED, "calendarEvent:17": pointing("meeting:6", LATER)})
        linked = await with_alias(await rows.found("meeting:5"), key("calendarEvent:17"), meetings=rows, finish=never)
        assert linked.meeting == BOOKED.know(key("calendarEvent:17"))
        assert rows.saves == 0

    async def test_a_link_whose_worker_died_is_taken_up(self) -> None:
        """The row points here along another record, and the meeting has not taken in what it brings."""
        links = {"task:2": pointing("calendarEvent:17", LATER), "calendarEvent:17": pointing("meeting:5")}
        rows = Rows({**links, "meeting:5": BOOKED})
        linked = await with_alias(await rows.found("meeting:5"), key("task:2"), meetings=rows, finish=never)
        assert linked.meeting.aliases.known == {key("task:2"), key("calendarEvent:17")}
        assert linked.meeting.facts["title"].value == "Later"

    async def test_an_appointment_that_is_being_made_is_finished_first(self) -> None:
        """What may or may not come to be can be neither taken over nor called off; if it cannot, the link goes on."""
        begun = replace(LATER, mirror=Mirror("b", doubt=frozenset({"subject"})))
        rows, asked = Rows({"meeting:5": BOOKED, "calendarEvent:17": begun}), list[MeetingKey]()

        async def finish(alias: MeetingKey) -> bool:
            asked.append(alias)
            return len(asked) == 1

        found = await rows.found("meeting:5")
        with pytest.raises(LostRace):
            await with_alias(found, key("calendarEvent:17"), meetings=rows, finish=finish)
        linked = await with_alias(found, key("calendarEvent:17"), meetings=rows, finish=finish)
        assert asked == [key("calendarEvent:17")] * 2
        assert linked.meeting.mirror.surplus == {"b"}

"""The index of parked meetings: what has to wait is not read again and again, what may go on is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.meeting.identity import MeetingKey
from shared.storage.account import Table
from shared.storage.parked import Parked, meeting_of

RULES = ("0123456789abcdef", "7777777777777777", "fedcba9876543210")


def meeting(number: int) -> MeetingKey:
    return MeetingKey("meeting", str(number))


async def to_send(parked: Parked, *, limit: int = 10, unanswered_since: str = "") -> set[str]:
    """The meetings that the sweep would send on."""
    rows = await parked.to_send(unanswered_since=unanswered_since, limit=limit)
    return {str(meeting_of(row)) for row in rows}


@pytest.mark.parametrize("now", RULES)
async def test_only_meetings_of_other_rules_go_on(tables: Callable[[str], Table], now: str) -> None:
    """Whether the other rules come before or after the present ones in the order of keys."""
    table = tables("meetings")
    for number, rules in enumerate(RULES):
        await Parked(table, rules=rules).add(meeting(number))
    others = {str(meeting(number)) for number, rules in enumerate(RULES) if rules != now}
    assert await to_send(Parked(table, rules=now)) == others
    assert len(await to_send(Parked(table, rules=now), limit=1)) == 1
    assert await Parked(table, rules=now).count(limit=10) == len(RULES)


async def test_one_that_was_sent_on_waits_for_its_answer(tables: Callable[[str], Table]) -> None:
    """It is not sent twice, unless nobody has said what came of it; it counts once."""
    table = tables("meetings")
    old, new = Parked(table, rules=RULES[0]), Parked(table, rules=RULES[1])
    await old.add(meeting(1))
    (row,) = await new.to_send(unanswered_since="", limit=10)
    await new.record_sent_on(row, at="2026-01-05T10")
    assert await to_send(new, unanswered_since="2026-01-05T10") == set()
    assert await to_send(new, unanswered_since="2026-01-05T11") == {"meeting:1"}
    assert await new.keys(limit=10) == [meeting(1)]
    await new.remove(await new.sent(meeting(1)))
    assert await new.count(limit=10) == 0


async def test_parked_again_meanwhile_stays(tables: Callable[[str], Table]) -> None:
    """Who saw it wait and let it out does not take away what somebody else has written since."""
    parked = Parked(tables("meetings"), rules=RULES[0])
    await parked.add(meeting(1))
    seen = await parked.waiting(meeting(1))
    await parked.add(meeting(1))
    await parked.remove(seen)
    assert await parked.count(limit=10) == 1
    await parked.remove(None)
    await parked.remove(await parked.waiting(meeting(1)))
    assert await parked.count(limit=10) == 0


async def test_an_instance_with_older_rules_parks_it_again(tables: Callable[[str], Table]) -> None:
    """While two versions of the app are up, what the older one looked at is sent on once more."""
    table = tables("meetings")
    old, new = Parked(table, rules=RULES[2]), Parked(table, rules=RULES[1])
    await old.add(meeting(1))
    (row,) = await new.to_send(unanswered_since="", limit=10)
    await new.record_sent_on(row, at="2026-01-05T10")
    sent = await old.sent(meeting(1))
    await old.add(meeting(1))
    await old.remove(sent)
    assert await to_send(new) == {"meeting:1"}

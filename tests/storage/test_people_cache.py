"""Who somebody is in Dynamics, remembered for a while by all instances."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.meeting.delivery import Reference
from shared.meeting.people import CrmRecord, Person
from shared.storage.account import Table
from shared.storage.people_cache import PeopleCache
from tests.clock import Clock

Tables = Callable[[str], Table]
ANN = Reference("prospect", "101")


@pytest.mark.parametrize(
    "person",
    [
        Person(),
        Person((CrmRecord("contact", "c"), CrmRecord("lead", "l")), "ann@example.com", "A note."),
        Person((), "ann@example.com"),
    ],
)
async def test_a_person_is_remembered_for_as_long_as_was_said(tables: Tables, clock: Clock, person: Person) -> None:
    """With everything; after that only who asks for the last that was known hears of it."""
    cache = PeopleCache(tables("directory"), now=clock.now)
    await cache.put(ANN, person, seconds=60)
    clock.pass_by(seconds=20)
    assert await cache.get(ANN) == (person, 40.0)
    clock.pass_by(seconds=40)
    assert (await cache.get(ANN), await cache.last_known(ANN)) == (None, person)


async def test_one_record_is_not_another(tables: Tables, clock: Clock) -> None:
    """The later answer counts, for its record alone, until it is forgotten."""
    cache = PeopleCache(tables("directory"), now=clock.now)
    user = Reference("user", ANN.id)
    await cache.put(ANN, Person((), "old@example.com"), seconds=60)
    await cache.put(ANN, Person((), "new@example.com"), seconds=60)
    await cache.put(user, Person((), "user@example.com"), seconds=60)
    assert await cache.last_known(ANN) == Person((), "new@example.com")
    await cache.forget(ANN)
    assert (await cache.last_known(ANN), await cache.last_known(user)) == (None, Person((), "user@example.com"))

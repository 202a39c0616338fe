"""Sessions of the console: who begins one has it until it ends, and nobody reads its token in storage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.storage.account import Table
from shared.storage.sessions import LENGTH, Session, Sessions
from tests.clock import Clock

Tables = Callable[[str], Table]


async def test_a_session_is_found_until_it_ends(tables: Tables, clock: Clock) -> None:
    """Under its own token alone; signing out ends it, and so does its time."""
    sessions = Sessions(tables("sessions"), now=clock.now)
    first, second = await sessions.begin("key"), await sessions.begin("person")
    assert [await sessions.find(one.token) for one in (first, second)] == [first, second]
    assert [await sessions.find(token) for token in ("", "another", first.form_token)] == [None] * 3
    await sessions.end(first.token)
    assert [await sessions.find(one.token) for one in (first, second)] == [None, second]
    clock.pass_by(seconds=(LENGTH + timedelta(seconds=1)).total_seconds())
    assert await sessions.find(second.token) is None


async def test_storage_has_no_token_and_nothing_that_is_over(tables: Tables, clock: Clock) -> None:
    """Who can read the table cannot sign in with it; a new session removes those that have run out."""
    sessions = Sessions(tables("sessions"), now=clock.now)
    old = await sessions.begin("key")
    clock.pass_by(seconds=LENGTH.total_seconds() + 1)
    new = await sessions.begin("key")
    (row,) = await tables("sessions").query("PartitionKey ne @none", {"none": ""}, limit=10)
    assert not [value for value in row.values() if str(value) in {old.token, new.token}]
    assert old.token not in repr(old)


@pytest.mark.parametrize("text", ["", "ann@example.com", "\N{SNOWMAN}"])
def test_what_was_sealed_is_for_its_session_alone(text: str) -> None:
    """So an address may reach a log."""
    own, other = Session("one", "key"), Session("two", "key")
    assert own.unseal(own.seal(text)) == text
    assert [other.unseal(own.seal(text)), own.unseal("no seal")] == ["", ""]


def test_a_form_is_of_its_session() -> None:
    """Another site, or another session, cannot send one."""
    own, other = Session("one", "key"), Session("two", "key")
    assert own.made(own.form_token)
    assert not any(own.made(text) for text in (other.form_token, "", "\ud800"))

"""An appointment that was there before is taken over once, by one meeting, for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from shared.errors import RowConflict
from shared.meeting.identity import MeetingKey
from shared.storage import checkpoints
from shared.storage.claims import ClaimTable
from shared.storage.layout import NewerLayout
from tests.product.bench import Installation

FIVE, SIX = MeetingKey("meeting", "5"), MeetingKey("meeting", "6")
ROW = "20000000-0000-4000-8000-000000000001"


@pytest.fixture
def claims(product: Installation) -> ClaimTable:
    """The claims of an installation."""
    return ClaimTable(product.runtime._table(checkpoints.TABLE), now=lambda: datetime(2026, 3, 2, tzinfo=UTC))


async def test_the_first_one_has_it(claims: ClaimTable) -> None:
    """Who asks again has it still; nobody else ever gets it."""
    assert await claims.holder(ROW) is None
    assert [await claims.claim(ROW, key) for key in (FIVE, SIX, FIVE)] == [FIVE] * 3
    assert await claims.holder(ROW) == FIVE


async def test_of_many_at_once_one_has_it(claims: ClaimTable) -> None:
    """And all are told the same."""
    keys = [MeetingKey("meeting", str(number)) for number in range(8)]
    assert len(set(await asyncio.gather(*(claims.claim(ROW, key) for key in keys)))) == 1


async def test_a_claim_of_a_newer_version_waits(product: Installation, claims: ClaimTable) -> None:
    """Nothing is known of what it may say."""
    await claims.claim(ROW, FIVE)
    table = product.runtime._table(checkpoints.TABLE)
    found = await table.get("taken-over", ROW)
    assert found is not None
    await table.put({**found[0], "version": 99})
    with pytest.raises(NewerLayout):
        await claims.claim(ROW, SIX)


async def test_a_claim_that_is_gone_when_it_is_read_is_asked_for_again(
    claims: ClaimTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody emptied the table this moment: nobody is told that it is theirs."""

    async def nobody(appointment_id: str) -> None:
        del appointment_id

    await claims.claim(ROW, FIVE)
    monkeypatch.setattr(claims, "holder", nobody)
    with pytest.raises(RowConflict):
        await claims.claim(ROW, SIX)

"""Dead letters in any number: every page of the table is listed, found and sent again."""

from __future__ import annotations

import pytest

from functions.requests import read_replay
from shared.errors import BadDelivery
from shared.storage import dead_letters
from shared.storage.dead_letters import DeadLetter
from shared.storage.envelope import Envelope
from tests.product.bench import Installation

MANY = 7


@pytest.fixture
async def full(product: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with more dead letters than a page holds; the later ones do not lie where the table ends."""
    monkeypatch.setattr(dead_letters, "PAGE_SIZE", 3)
    for number in range(MANY):
        await add(product, number)
    return product


async def add(product: Installation, number: int) -> None:
    failed_at = f"2026-02-20T09:00:0{number * 3 % MANY}.000000Z"
    correlation_id = correlation_of(number)
    dead_letter = DeadLetter(
        correlation_id=correlation_id,
        meeting=f"meeting:{number}",
        event="meeting.created",
        reason="It was refused.",
        error_code="refused",
        request_id="",
        attempts=1,
        first_failed_at=failed_at,
        last_failed_at=failed_at,
        merged=False,
    )
    await product.runtime.dead_letters.add(dead_letter, Envelope(correlation_id=correlation_id, received_at=failed_at))


def correlation_of(number: int) -> str:
    return f"{number:032x}"


async def test_each_page_tells_where_the_next_begins(full: Installation) -> None:
    """The pages together hold every dead letter once, and only the last says that nothing follows."""
    pages, continuation = [], ""
    while True:
        dead_letters, following = await full.runtime.admin.dead_letters_from(continuation)
        pages.append([int(dead_letter.correlation_id, 16) for dead_letter in dead_letters])
        if following is None:
            break
        continuation = following
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(number for page in pages for number in page) == list(range(MANY))


async def test_the_latest_of_all_pages_are_first(full: Installation) -> None:
    """Order is over all pages, not within the first."""
    times = [dead_letter["lastFailedAt"] for dead_letter in await full.dead_letters()]
    assert len(times) == MANY
    assert times == sorted(times, reverse=True)


async def test_one_behind_the_first_page_is_sent_again(full: Installation) -> None:
    """A correlation id is found wherever it lies, also where it was copied in the form of a GUID."""
    named = f'{{"correlationIds": ["00000000-0000-0000-0000-000000000006", "{correlation_of(99)}"]}}'
    wanted = read_replay(named.encode())
    assert await full.runtime.admin.replay(wanted, by="_master") == [correlation_of(6)]
    assert len(await full.dead_letters()) == MANY - 1


async def test_all_means_every_page(full: Installation) -> None:
    """All are sent and none is left, whatever a page holds."""
    assert await full.runtime.admin.replay(None, by="_master") == [correlation_of(number) for number in range(MANY)]
    assert await full.dead_letters() == []
    assert await full.runtime.queue.depth() == MANY


async def test_one_that_cannot_be_read_stops_no_other(full: Installation, caplog: pytest.LogCaptureFixture) -> None:
    """After going back to an older version of the app, say: it is reported, and stays until a version can read it."""
    table = full.runtime._table("deadletters")
    (row,) = await table.query("PartitionKey eq @meeting", {"meeting": "meeting:3"}, limit=2)
    await table.put({**row, "data00": b"written by a newer version"})
    sent = await full.runtime.admin.replay(None, by="_master")
    assert sent == [correlation_of(number) for number in range(MANY) if number != 3]
    assert [dead_letter["meetingId"] for dead_letter in await full.dead_letters()] == ["meeting:3"]
    assert correlation_of(3) in caplog.text


@pytest.mark.parametrize(
    "body", ['{"all": "true"}', '{"all": 1}', '{"correlationIds": "abc"}', '{"correlationIds": [5]}']
)
def test_nearly_right_is_no_request_to_replay(body: str) -> None:
    """What sends events again is taken literally."""
    with pytest.raises(BadDelivery):
        read_replay(body.encode())


async def test_what_fails_again_meanwhile_is_not_sent_twice(full: Installation) -> None:
    """Replaying all comes to an end although every event is back as a dead letter before the next is read."""
    seen = []
    async for page in full.runtime.dead_letters.take(correlation_ids=None):
        for row, envelope in page:
            await full.runtime.dead_letters.remove(row)
            await add(full, int(envelope.correlation_id, 16))
            seen.append(envelope.correlation_id)
    assert seen == [correlation_of(number) for number in range(MANY)]


@pytest.mark.parametrize("continuation", ["x", "e30", "W10=", "eyJhIjogImIifQ==", "é", "bnVsbA==", "WyIiLCAiIl0="])
async def test_a_made_up_continuation_is_refused(product: Installation, continuation: str) -> None:
    """It is the word of the page before, or none: another is reported, and not taken for the first page."""
    with pytest.raises(BadDelivery, match="continuation"):
        await product.runtime.admin.dead_letters_from(continuation)

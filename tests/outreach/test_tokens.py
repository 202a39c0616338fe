"""The token of all instances: exchanged once however many want it, never lost while anybody lives, renewed in time."""

from __future__ import annotations

import asyncio
import gc
import re
from base64 import b64encode
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.outreach.store import Switches
from sandbox.outreach.tokens import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH_TOKEN, REDIRECT_URI
from shared.errors import RowConflict, Transient
from shared.outreach import tokens
from shared.outreach.sealing import Seal
from shared.outreach.tokens import NewToken, RefreshTokenRefused, SharedToken
from shared.settings import IngestSettings, OutreachCredentials, StorageSettings, WebhookSecrets
from shared.storage.account import Entity, Table
from shared.storage.sessions import Session
from tests.clock import Clock, Naps
from tests.product.bench import Installation, OwnTables, installation

Tables = Callable[[str], Table]
OAUTH = {
    "OUTREACH_API_TOKEN": "",
    "OUTREACH_CLIENT_ID": CLIENT_ID,
    "OUTREACH_CLIENT_SECRET": CLIENT_SECRET,
    "OUTREACH_REFRESH_TOKEN": FIRST_REFRESH_TOKEN,
    "OUTREACH_REDIRECT_URI": REDIRECT_URI,
}


class Seller:
    """Outreach's token endpoint in memory. `strict`: a refresh token is good for one use."""

    def __init__(self, clock: Clock, *, strict: bool = True) -> None:
        self.clock = clock
        self.strict = strict
        self.good = {"first"}
        self.sent: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.fails_with: list[BaseException] = []

    async def __call__(self, refresh: str) -> NewToken:
        self.sent.append(refresh)
        number = len(self.sent)
        self.asked.set()
        known = refresh in self.good
        if known and self.strict:
            self.good.discard(refresh)
        await self.open.wait()
        if self.fails_with:
            raise self.fails_with.pop(0)
        if not known:
            raise RefreshTokenRefused
        self.good.add(f"refresh-{number}")
        return NewToken(f"access-{number}", 7200.0, f"refresh-{number}")


class Breaking(Table):
    """A table whose saves may be made to fail: the n-th next one with the n-th of `trouble`, None for none."""

    def __init__(self, table: Table) -> None:
        self._client = table._client
        self.trouble: list[BaseException | None] = []

    async def save(self, entity: Entity, *, etag: str | None) -> str:
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None:
            raise trouble
        return await super().save(entity, etag=etag)


class Killed(BaseException):
    """The process ends here."""


def shared(table: Table, seller: Any, clock: Clock, *, seed: str = "first", sent_along: str = "") -> SharedToken:
    return SharedToken(
        table, name="oauth:test", exchange=seller, now=clock.now, seed=seed, sent_along=sent_along, sleep=Naps()
    )


async def test_several_workers_over_one_table(azurite: str, storage_names: StorageNames) -> None:
    """Six processes, ten generations of tokens: each is had once, no refresh token is sent twice, all are served."""
    async with (
        installation(azurite, storage_names.queue("events"), **OAUTH) as product,
        AsyncExitStack() as closing,
    ):
        workers = [product.runtime, *(OwnTables(product.environment) for _ in range(5))]
        closing.push_async_callback(close, workers[1:])
        product.outreach.switches = Switches(used_refresh_token="revoke_family", token_throttle="on")
        for generation in range(1, 11):
            served = await asyncio.gather(*(worker.outreach.get("user", "1") for worker in workers))
            assert all(record is not None for record in served)
            assert product.outreach.tokens.issued == generation
            assert product.outreach.tokens.reused == 0
            let_hours_pass(product, workers, hours=3)


async def close(workers: list[OwnTables]) -> None:
    for worker in workers:
        await worker.aclose()


def let_hours_pass(product: Installation, workers: list[OwnTables], *, hours: float) -> None:
    product.outreach.clock.advance(hours * 3600)
    for worker in workers:
        worker.later += timedelta(hours=hours)


async def test_one_buys_and_the_others_go_on_meanwhile(tables: Tables, clock: Clock) -> None:
    """Shortly before a token ends one worker gets the next one; the others use the old one without waiting."""
    seller = Seller(clock)
    first, second = (shared(tables("tokens"), seller, clock) for _ in range(2))
    assert (await first(None))[0] == "access-1"
    clock.pass_by(seconds=7200 - 120)
    seller.open.clear()
    seller.asked.clear()
    exchanging = asyncio.create_task(first(None))
    await seller.asked.wait()
    assert await second(None) == ("access-1", 120.0)
    seller.open.set()
    assert (await exchanging)[0] == "access-2"
    assert (await second(None))[0] == "access-2"
    assert seller.sent == ["first", "refresh-1"]


async def test_without_a_usable_token_the_others_wait_for_it(tables: Tables, clock: Clock) -> None:
    """Who finds somebody exchanging waits and takes what was exchanged."""
    seller = Seller(clock)
    seller.open.clear()
    exchanging = asyncio.create_task(shared(tables("tokens"), seller, clock)(None))
    await seller.asked.wait()

    async def let_it_finish(_: float) -> None:
        seller.open.set()
        await exchanging

    waiting = SharedToken(
        tables("tokens"), name="oauth:test", exchange=seller, now=clock.now, seed="first", sleep=let_it_finish
    )
    assert await waiting(None) == await exchanging
    assert seller.sent == ["first"]


async def test_dying_between_answer_and_store(tables: Tables, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The new token dies with its worker: after a minute the old one is sent again, knowingly, and refused for good."""
    seller = Seller(clock)
    table = Breaking(tables("tokens"))
    table.trouble = [None, Killed()]
    with pytest.raises(Killed):
        await shared(table, seller, clock)(None)
    other = shared(tables("tokens"), seller, clock)
    with pytest.raises(Transient) as early:
        await other(None)
    assert early.value.code == "token_wait"
    assert seller.sent == ["first"]
    clock.pass_by(seconds=61)
    for _ in range(2):
        with pytest.raises(Transient, match="OUTREACH_REFRESH_TOKEN") as late:
            await other(None)
        assert late.value.code == "invalid_grant"
    assert seller.sent == ["first", "first"]
    assert "token_may_be_spent" in caplog.text
    assert "token_refused" in caplog.text


async def test_dying_before_the_request_left(tables: Tables, clock: Clock) -> None:
    """A worker that died with the claim only keeps the others waiting for a minute."""
    seller = Seller(clock)

    async def die(_: str) -> NewToken:
        raise Killed

    with pytest.raises(Killed):
        await shared(tables("tokens"), die, clock)(None)
    clock.pass_by(seconds=61)
    assert (await shared(tables("tokens"), seller, clock)(None))[0] == "access-1"


async def test_a_lenient_server_gives_another_token_for_the_same_one(tables: Tables, clock: Clock) -> None:
    """Where the old token is good until its successor is used, a lost answer costs nothing but a minute."""
    seller = Seller(clock, strict=False)
    table = Breaking(tables("tokens"))
    table.trouble = [None, Killed()]
    with pytest.raises(Killed):
        await shared(table, seller, clock)(None)
    clock.pass_by(seconds=61)
    assert (await shared(tables("tokens"), seller, clock)(None))[0] == "access-2"


@pytest.mark.parametrize("exchange", ["__call__", "keep_alive"])
async def test_a_caller_who_gives_up_loses_no_token(tables: Tables, clock: Clock, exchange: str) -> None:
    """An exchange goes on when whoever waits for it is stopped: a health check out of patience, a part of the sweep."""
    seller = Seller(clock)
    seller.open.clear()
    worker = shared(tables("tokens"), seller, clock)
    asking = asyncio.create_task(worker.keep_alive() if exchange == "keep_alive" else worker(None))
    await seller.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    seller.open.set()
    assert (await worker(None))[0] == "access-1"
    assert (await shared(tables("tokens"), seller, clock)(None))[0] == "access-1"
    assert seller.sent == ["first"]


async def test_what_nobody_waits_for_fails_in_silence(
    tables: Tables, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """An exchange that fails after its caller gave up writes no trace into the log."""
    seller = Seller(clock)
    seller.open.clear()
    seller.fails_with = [Transient("No.", service="outreach", status=401)]
    worker = shared(tables("tokens"), seller, clock)
    asking = asyncio.create_task(worker(None))
    await seller.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    seller.open.set()
    with pytest.raises(Transient):
        await worker(None)
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_storage_fails_while_the_process_lives(tables: Tables, clock: Clock) -> None:
    """What was exchanged is kept, not used before it is stored, and stored before anything else is done."""
    seller = Seller(clock)
    table = Breaking(tables("tokens"))
    down = Transient("Down.", service="storage")
    table.trouble = [None, *[down] * 5]
    worker = shared(table, seller, clock)
    with pytest.raises(Transient, match="Down"):
        await worker(None)
    assert (await worker(None))[0] == "access-1"
    assert (await shared(tables("tokens"), seller, clock)(None))[0] == "access-1"
    assert seller.sent == ["first"]


async def test_claim_that_ran_out(tables: Tables, clock: Clock) -> None:
    """A worker that was stopped too long still saves what it exchanged: the one who came after it was refused."""
    seller = Seller(clock)
    seller.open.clear()
    slow = asyncio.create_task(shared(tables("tokens"), seller, clock)(None))
    await seller.asked.wait()
    clock.pass_by(seconds=61)
    seller.asked.clear()
    quick = asyncio.create_task(shared(tables("tokens"), seller, clock)(None))
    await seller.asked.wait()
    seller.open.set()
    results = await asyncio.gather(slow, quick, return_exceptions=True)
    assert seller.sent == ["first", "first"]
    assert ("access-1", 7200.0) in results
    assert (await shared(tables("tokens"), seller, clock)(None))[0] == "access-1"


async def test_the_later_exchange_stays(tables: Tables, clock: Clock) -> None:
    """Of two who exchanged after all, the later refresh token stays in the row, whoever stores last."""
    seller = Seller(clock, strict=False)
    table = Breaking(tables("tokens"))
    table.trouble = [None, *[Transient("Down.", service="storage")] * 5]
    slow = shared(table, seller, clock)
    with pytest.raises(Transient):
        await slow(None)
    clock.pass_by(seconds=61)
    assert (await shared(tables("tokens"), seller, clock)(None))[0] == "access-2"
    assert (await slow(None))[0] == "access-2"


async def test_new_setting_wins_once(tables: Tables, clock: Clock) -> None:
    """An admin's new token is used at once, and an instance that still has the old setting does not bring it back."""
    seller = Seller(clock)
    before = shared(tables("tokens"), seller, clock)
    await before(None)
    clock.pass_by(minutes=10)
    seller.good = {"second"}
    after = shared(tables("tokens"), seller, clock, seed="second")
    assert (await after(None))[0] == "access-2"
    clock.pass_by(hours=3)
    assert (await before(None))[0] == "access-3"
    assert seller.sent == ["first", "second", "refresh-2"]


async def test_wrong_new_setting_falls_back(tables: Tables, clock: Clock) -> None:
    """A new token that Outreach refuses is not sent again; the chain that works goes on."""
    seller = Seller(clock)
    await shared(tables("tokens"), seller, clock)(None)
    clock.pass_by(hours=3)
    wrong = shared(tables("tokens"), seller, clock, seed="mistyped")
    assert (await wrong(None))[0] == "access-3"
    clock.pass_by(hours=3)
    assert (await wrong(None))[0] == "access-4"
    assert seller.sent == ["first", "mistyped", "refresh-1", "refresh-3"]


async def test_refused_for_what_was_sent_along(tables: Tables, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A token refused with a wrong redirect URI is sent again when the URI is mended, and not before."""
    seller = Seller(clock)
    seller.fails_with = [RefreshTokenRefused()]
    seller.strict = False
    wrong = shared(tables("tokens"), seller, clock, sent_along="https://wrong.example.com")
    for _ in range(2):
        with pytest.raises(Transient, match="OUTREACH_REDIRECT_URI"):
            await wrong(None)
    assert seller.sent == ["first"]
    assert "token_refused" in caplog.text
    mended = shared(tables("tokens"), seller, clock, sent_along="https://right.example.com")
    assert (await mended(None))[0] == "access-2"


async def test_one_token_a_minute(tables: Tables, clock: Clock) -> None:
    """A token refused right after it was exchanged is not replaced before Outreach's minute is over."""
    seller = Seller(clock)
    worker = shared(tables("tokens"), seller, clock)
    await worker(None)
    clock.pass_by(seconds=20)
    with pytest.raises(Transient) as refused:
        await worker("access-1")
    assert refused.value.retry_after == 40.0
    clock.pass_by(seconds=41)
    assert (await worker("access-1"))[0] == "access-2"


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [
        (Transient("No.", service="outreach", status=401), 60),
        (Transient("Busy.", service="outreach", status=429, retry_after=7), 7),
        (Transient("Leave it alone.", service="outreach", code="paused", retry_after=9), 9),
        (Transient("Lost.", service="outreach", code="ReadTimeout"), 60),
    ],
    ids=["refused", "throttled", "not sent", "answer lost"],
)
async def test_trouble_at_the_seller(tables: Tables, clock: Clock, trouble: Transient, wait: float) -> None:
    """Nobody asks again before it makes sense, and then the same token is sent."""
    seller = Seller(clock, strict=False)
    seller.fails_with = [trouble]
    with pytest.raises(Transient, match=trouble.reason):
        await shared(tables("tokens"), seller, clock)(None)
    other = shared(tables("tokens"), seller, clock)
    with pytest.raises(Transient) as early:
        await other(None)
    assert early.value.retry_after == wait
    clock.pass_by(seconds=wait)
    assert (await other(None))[0] == "access-2"
    assert seller.sent == ["first", "first"]


async def test_idle_app_keeps_its_refresh_token(tables: Tables, clock: Clock) -> None:
    """The timer exchanges at the first run and every three days, so that no refresh token comes near its 14 days."""
    seller = Seller(clock)
    worker = shared(tables("tokens"), seller, clock)
    exchanged = []
    for _ in range(9):
        exchanged.append(await worker.keep_alive())
        clock.pass_by(days=1)
    assert exchanged == [True, False, False] * 3


async def test_idle_for_two_months(azurite: str, storage_names: StorageNames) -> None:
    """An app that nothing happens to, except its timer, can still ask Outreach after two months."""
    async with installation(azurite, storage_names.queue("events"), **OAUTH) as product:
        for _ in range(60):
            assert not (await product.runtime.sweep.run()).failed
            let_hours_pass(product, [product.runtime], hours=24)
        assert await product.runtime.outreach.get("user", "1") is not None
        assert product.outreach.tokens.issued == 21


async def test_s2s_needs_no_keeping(tables: Tables, clock: Clock) -> None:
    """Without a refresh token there is nothing to keep alive, and exchanging needs none."""
    sent = []

    async def exchange(refresh: str) -> NewToken:
        sent.append(refresh)
        return NewToken("access", 3600.0)

    worker = shared(tables("tokens"), exchange, clock, seed="")
    assert not await worker.keep_alive()
    assert await worker(None) == ("access", 3600.0)
    assert sent == [""]


def test_no_token_in_a_repr() -> None:
    """What holds a secret does not show it when it is printed."""
    exchanged = NewToken("the-secret", 60.0, "the-secret")
    credentials = OutreachCredentials(
        "oauth", private_key="the-secret", client_secret="the-secret", refresh_token="the-secret", token="the-secret"
    )
    storage = StorageSettings("AccountKey=the-secret")
    ingest = IngestSettings(storage, "events", WebhookSecrets("the-secret", "the-secret"))
    session = Session("the-secret", "key")
    assert "the-secret" not in repr([exchanged, credentials, storage, ingest, session, tokens._Row("the-secret")])


async def test_no_token_in_the_log(tables: Tables, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, neither kind of token is logged."""
    caplog.set_level("DEBUG")
    seller = Seller(clock)
    worker = shared(tables("tokens"), seller, clock, seed="a-secret-refresh-token")
    with pytest.raises(Transient):
        await worker(None)
    assert seller.sent == ["a-secret-refresh-token"]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("outreach_dynamics")]
    assert ours
    assert not any("a-secret-refresh-token" in text for text in ours)


async def test_conflict_while_claiming(tables: Tables, clock: Clock) -> None:
    """Two who claim at the same moment: one exchanges, the other looks again and finds the token."""
    seller = Seller(clock)
    table = Breaking(tables("tokens"))
    other = shared(tables("tokens"), seller, clock)

    class LateTable(Breaking):
        async def save(self, entity: Entity, *, etag: str | None) -> str:
            if not seller.sent:
                await other(None)
                raise RowConflict
            return await super().save(entity, etag=etag)

    assert (await shared(LateTable(table), seller, clock)(None))[0] == "access-1"
    assert seller.sent == ["first"]


KEY, OTHER_KEY = Seal(b"k" * 32), Seal(b"o" * 32)


def sealed(tables: Tables, seller: Seller, clock: Clock, seal: Seal | None) -> SharedToken:
    """A process with this key."""
    return SharedToken(
        tables("tokens"), name="oauth:test", exchange=seller, now=clock.now, seed="first", seal=seal, sleep=Naps()
    )


async def lies_there(table: Table) -> str:
    """All that somebody who may read storage sees of the tokens."""
    (row,) = await table.query("PartitionKey eq @outreach", {"outreach": "outreach"}, limit=2)
    return " ".join(map(str, row.values()))


async def test_tokens_lie_sealed(tables: Tables, clock: Clock) -> None:
    """Whoever may read the table reads neither of them; whoever has the key buys nothing."""
    seller = Seller(clock)
    assert (await sealed(tables, seller, clock, KEY)(None))[0] == "access-1"
    assert not {"access-1", "refresh-1"} & set(re.findall(r"[\w-]+", await lies_there(tables("tokens"))))
    assert (await sealed(tables, seller, clock, KEY)(None))[0] == "access-1"
    assert seller.sent == ["first"]


async def test_a_plain_row_is_read_and_sealed_with_the_next_token(tables: Tables, clock: Clock) -> None:
    """That of an earlier version costs no purchase; its refresh token is the one that is sent then."""
    seller = Seller(clock)
    await sealed(tables, seller, clock, None)(None)
    assert "refresh-1" in await lies_there(tables("tokens"))
    worker = sealed(tables, seller, clock, KEY)
    assert (await worker(None))[0] == "access-1"
    clock.pass_by(seconds=7200)
    assert (await worker(None))[0] == "access-2"
    assert seller.sent == ["first", "refresh-1"]
    assert not {"access-2", "refresh-1", "refresh-2"} & set(re.findall(r"[\w-]+", await lies_there(tables("tokens"))))


@pytest.mark.parametrize("other", [OTHER_KEY, None], ids=["another key", "no key"])
async def test_a_key_that_does_not_fit_counts_as_no_token(tables: Tables, clock: Clock, other: Seal | None) -> None:
    """What is in the settings is sent; where Outreach refuses it, the right key finds the tokens as they were."""
    seller = Seller(clock)
    await sealed(tables, seller, clock, KEY)(None)
    clock.pass_by(seconds=61)
    with pytest.raises(Transient, match="authorize the app again"):
        await sealed(tables, seller, clock, other)(None)
    assert seller.sent == ["first", "first"]
    assert (await sealed(tables, seller, clock, KEY)(None))[0] == "access-1"
    clock.pass_by(seconds=7200)
    assert (await sealed(tables, seller, clock, KEY)(None))[0] == "access-3"
    assert seller.sent == ["first", "first", "refresh-1"]


async def test_s2s_with_another_key_buys_anew(tables: Tables, clock: Clock) -> None:
    """It needs nothing from the row, which has the new token from then on."""
    seller = Seller(clock, strict=False)
    seller.good = {""}
    for seal in (KEY, OTHER_KEY, OTHER_KEY):
        worker = SharedToken(tables("tokens"), name="s2s:test", exchange=seller, now=clock.now, seal=seal, sleep=Naps())
        clock.pass_by(seconds=61)
        await worker(None)
    assert seller.sent == ["", ""]


async def test_the_runtime_seals_with_the_key_of_the_settings(azurite: str, storage_names: StorageNames) -> None:
    """As deployed: the row of a real purchase says nothing, and status notes what lies unsealed."""
    key = b64encode(b"k" * 32).decode()
    async with installation(azurite, storage_names.queue("events"), **OAUTH, SYNC_TOKEN_KEY=key) as product:
        await product.runtime.outreach.get("user", "1")
        (row,) = await product.runtime._table(tokens.TABLE).query("PartitionKey eq @o", {"o": "outreach"}, limit=2)
        assert (row["access"], row["refresh"]) == ("", "")
        assert row["sealed"]
        assert (await product.status())["parts"]["outreach"] == {"status": "ok"}
        await product.restart(SYNC_TOKEN_KEY="")
        assert "SYNC_TOKEN_KEY" in product.runtime._outreach_settings.unsealed

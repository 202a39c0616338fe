"""One Outreach token for all instances, kept in the table `tokens`, exchanged by one of them at a time.

A refresh token of Outreach is good for one use and 14 days, and one access token per minute is all there is. So
whoever is first claims the row (a conditional write that says until when nobody else may ask), sends, stores what came
back, and only then uses it. Everybody else reads the row. Both tokens lie there sealed (`sealing.py`); plain ones, of
an earlier version or of an app without a key, are read, and sealed when the row is written next. What was sealed with
another key counts as no token, and stays until there is a new one. Nothing of it ever reaches a log.

What happens when that instance dies, or its request has no answer:

    before the request left   the claim ends after a minute, and somebody else exchanges with the same token
    after Outreach spent the old token, before the new one is stored
                              the new one is lost with the process. The row still says which token was on its way, so
                              the next one knows that it may be spent, and says so in the log. It sends it all the
                              same: many servers take a token until its successor is used, and nothing else could
                              help. If Outreach refuses it, an admin has to authorize the app again; events wait in the
                              queue meanwhile
    after the new one is stored
                              nothing is lost; the access token is in the row for everybody
    whoever asked is stopped (a time-out, a cancelled request)
                              the exchange goes on without them
    the store fails, but the process lives
                              it keeps the new token in memory, uses none of it, and stores it before anything else
    the claim ran out while its instance was stopped, and somebody else exchanged
                              the conditional write fails; whoever has the later refresh token stays in the row

An admin who authorizes the app again puts a new token into OUTREACH_REFRESH_TOKEN. The row keeps a digest of every
value of that setting that was tried, so a new one is noticed and wins over the row's, once; an instance that still has
the old value during a deployment does not bring it back.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar

from shared.errors import RemoteError, RowConflict, SyncError, Transient
from shared.meeting.identity import table_key
from shared.outreach.sealing import Seal
from shared.storage.account import Entity, Table
from shared.telemetry import line
from shared.timestamps import Clock, parse_time, sortable

log = logging.getLogger("outreach_dynamics.tokens")

TABLE = "tokens"
_PARTITION = "outreach"

# Nobody exchanges for this long after a claim: longer than a request and a store may take, and Outreach's minute.
CLAIM = timedelta(seconds=60)
REQUEST_SECONDS = 40.0
# With less than this left a new token is exchanged; down to the second figure others go on with the old one meanwhile.
EARLY = timedelta(minutes=5)
LAST = timedelta(seconds=30)
# Between two looks whether it is time to keep the refresh token alive.
REST = timedelta(hours=1)
# An idle app exchanges long before the 14 days of a refresh token are over.
REFRESH_AGE = timedelta(days=3)
_POLLS = 20
_POLL_SECONDS = 0.5
_STORE_ATTEMPTS = 5
_REMEMBERED_DIGESTS = 20
# Codes of failures in which the request was not even sent.
_NEVER_LEFT = frozenset({"paused", "ConnectError", "ConnectTimeout"})
T = TypeVar("T")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewToken:
    """An access token, for how many seconds it is good, and the refresh token for the next time (empty: none)."""

    access: str = field(repr=False)
    seconds: float
    refresh: str = field(default="", repr=False)


# Exchanges a refresh token, or "" where none is asked for. Raises `RefreshTokenRefused`, `Transient`.
Exchange = Callable[[str], Awaitable[NewToken]]


class RefreshTokenRefused(SyncError):
    """Outreach will never take this refresh token: it is spent, too old or not of this app."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What the table says.

    busy_until  nobody may exchange before
    sent        digest of the refresh token that was on its way when the row was written; empty: none is
    tried       digests of values of the setting that were sent
    refused     digests of refresh tokens that Outreach refused, each with what was sent along
    unopened    tokens that were sealed with another key
    """

    access: str = field(default="", repr=False)
    access_until: datetime = _NEVER
    refresh: str = field(default="", repr=False)
    refresh_from: datetime = _NEVER
    busy_until: datetime = _NEVER
    sent: str = ""
    tried: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    unopened: str = field(default="", repr=False)


class SharedToken:
    """The token called `name`. `seed`: the refresh token in the settings; empty for S2S, which needs none.

    `sent_along`: what else Outreach may refuse a refresh token for (the redirect URI); a refusal counts for that only.
    `seal`: without one the tokens lie in the table as they are.
    Costs one table read per process and token; an exchange costs two writes more.
    """

    def __init__(
        self,
        table: Table,
        *,
        name: str,
        exchange: Exchange,
        now: Clock,
        seed: str = "",
        sent_along: str = "",
        seal: Seal | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._name = name
        self._exchange = exchange
        self._now = now
        self._seed = seed
        self._sent_along = sent_along
        self._seal = seal
        self._sleep = sleep
        self._unstored: _Row | None = None
        self._lock = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def __call__(self, rejected: str | None) -> tuple[str, float]:
        """The access token and for how many seconds it is good. `rejected`: one that Outreach has refused.

        Raises `Transient`, with the time to wait where that is known.
        """
        row = await self._to_its_end(self._usable(rejected))
        return row.access, (row.access_until - self._now()).total_seconds()

    async def keep_alive(self) -> bool:
        """Exchange if the refresh token is getting old, or was never used, so that it cannot end in an idle app."""
        return bool(self._seed) and await self._to_its_end(self._exchange_if_aged())

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """`work`, one at a time, which goes on when its caller is stopped: an answer on its way must be stored.

        A caller may be a health check that runs out of patience just when Outreach has spent the refresh token.
        """

        async def alone() -> T:
            async with self._lock:
                return await work

        task = asyncio.create_task(alone())
        self._under_way.add(task)  # the loop itself does not keep it
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits gets it; asyncio need not log it for the others

    async def _exchange_if_aged(self) -> bool:
        row, etag = await self._load()
        aged = self._now() - row.refresh_from >= REFRESH_AGE
        if row.busy_until > self._now() or not (aged or self._has_new_seed(row)):
            return False
        return await self._try_to_exchange(row, etag) is not None

    async def _usable(self, rejected: str | None) -> _Row:
        for _ in range(_POLLS):
            row, etag = await self._load()
            left = row.access_until - self._now()
            usable = bool(row.access) and row.access != rejected and left > LAST
            if usable and left > EARLY and not self._has_new_seed(row):
                return row
            if row.busy_until > self._now():
                if usable:
                    return row
                if not row.sent:
                    break
                await self._sleep(_POLL_SECONDS)
            elif exchanged := await self._try_to_exchange(row, etag):
                return exchanged
        wait = max((row.busy_until - self._now()).total_seconds(), 1.0)
        reason = "A new Outreach token is on its way, or must wait for Outreach's minute."
        raise Transient(reason, service="outreach", code="token_wait", retry_after=wait)

    def _has_new_seed(self, row: _Row) -> bool:
        return bool(self._seed) and _digest(self._seed) not in row.tried

    def _candidate(self, row: _Row) -> str | None:
        """The refresh token to send: the setting's while it is new, else the row's; None where none is left."""
        if not self._seed:
            return ""
        given = self._seed if self._has_new_seed(row) or not row.refresh else row.refresh
        return given if self._refusal_of(given) not in row.refused else None

    def _refusal_of(self, refresh: str) -> str:
        return _digest(f"{refresh}\n{self._sent_along}")

    async def _try_to_exchange(self, row: _Row, etag: str | None) -> _Row | None:
        """Claim and exchange. None where somebody else was quicker, or the token was refused: look at the row again."""
        refresh = self._candidate(row)
        if refresh is None:
            raise _authorize_again()
        if refresh and row.sent == _digest(refresh):
            log.warning(line("token_may_be_spent", sentence="A refresh token was sent before, without a known result."))
        claimed = replace(row, busy_until=self._now() + CLAIM, sent=_digest(refresh))
        try:
            etag = await self._table.save(self._entity(claimed), etag=etag)
        except RowConflict:
            return None
        exchanged = await self._exchange_with(refresh, claimed, etag)
        if exchanged is None:
            return None
        now = self._now()
        self._unstored = replace(
            claimed,
            access=exchanged.access,
            access_until=now + timedelta(seconds=exchanged.seconds),
            refresh=exchanged.refresh,
            refresh_from=now,
            busy_until=now + CLAIM,
            sent="",
            tried=self._with_seed(claimed.tried, refresh),
            unopened="",
        )
        return await self._store(etag)

    async def _exchange_with(self, refresh: str, claimed: _Row, etag: str) -> NewToken | None:
        """Send it. None where it was refused for good.

        The claim is taken back where nothing can have been spent. Otherwise it stays, with the note that something may.
        """
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._exchange(refresh)
        except RefreshTokenRefused:
            log.error(line("token_refused", sentence="Outreach refused a refresh token."))  # noqa: TRY400 - no trace is needed
            refused = (*claimed.refused, self._refusal_of(refresh))[-_REMEMBERED_DIGESTS:]
            tried = self._with_seed(claimed.tried, refresh)
            await self._release(replace(claimed, refused=refused, tried=tried), etag, seconds=0)
            return None
        except TimeoutError as error:
            raise Transient("Outreach did not answer in time.", service="outreach", code="timeout") from error
        except Transient as error:
            if error.code in _NEVER_LEFT:
                await self._release(claimed, etag, seconds=error.retry_after or _POLL_SECONDS)
            elif error.status is not None and error.status >= 400:
                await self._release(claimed, etag, seconds=error.retry_after or CLAIM.total_seconds())
            raise

    def _with_seed(self, tried: tuple[str, ...], refresh: str) -> tuple[str, ...]:
        """`tried`, and the setting's value if that is what was sent."""
        if not refresh or refresh != self._seed or _digest(refresh) in tried:
            return tried
        return (*tried, _digest(refresh))[-_REMEMBERED_DIGESTS:]

    async def _store(self, etag: str | None) -> _Row | None:
        """Put the new token into the row. None where somebody got a later one: theirs stays. Raises `Transient`."""
        row = self._unstored
        for attempt in range(_STORE_ATTEMPTS):
            if row is None:
                break
            try:
                await self._table.save(self._entity(row), etag=etag)
                break
            except RowConflict:
                current, etag = await self._read()
                if current.refresh_from >= row.refresh_from:
                    row = None
            except Transient:
                if attempt == _STORE_ATTEMPTS - 1:
                    raise
                await self._sleep(_POLL_SECONDS * 2**attempt)
        self._unstored = None
        return row

    async def _release(self, claimed: _Row, etag: str, *, seconds: float) -> None:
        """End the claim; nobody may exchange for `seconds` more."""
        row = replace(claimed, sent="", busy_until=self._now() + timedelta(seconds=seconds))
        try:
            await self._table.save(self._entity(row), etag=etag)
        except (RowConflict, RemoteError):
            log.warning(line("claim_not_released", sentence="The claim on the token ends by itself."))

    async def _load(self) -> tuple[_Row, str | None]:
        row, etag = await self._read()
        if self._unstored is None:
            return row, etag
        if row.refresh_from >= self._unstored.refresh_from:
            self._unstored = None
            return row, etag
        await self._store(etag)
        return await self._read()

    async def _read(self) -> tuple[_Row, str | None]:
        found = await self._table.get(_PARTITION, table_key(self._name))
        return (_Row(), None) if found is None else (self._row(found[0]), found[1])

    def _row(self, entity: Entity) -> _Row:
        row, sealed = _plain(entity), str(entity.get("sealed") or "")
        if not sealed:
            return row
        opened = self._seal.open(sealed) if self._seal is not None else None
        if opened is None:
            return replace(row, access="", refresh="", unopened=sealed)
        access, refresh = json.loads(opened)
        return replace(row, access=access, refresh=refresh)

    def _entity(self, row: _Row) -> Entity:
        return {
            "PartitionKey": _PARTITION,
            "RowKey": table_key(self._name),
            **self._closed(row),
            "access_until": sortable(row.access_until),
            "refresh_from": sortable(row.refresh_from),
            "busy_until": sortable(row.busy_until),
            "sent": row.sent,
            "tried": json.dumps(row.tried),
            "refused": json.dumps(row.refused),
        }

    def _closed(self, row: _Row) -> Entity:
        """The tokens as they lie in the table."""
        if self._seal is None or not (row.access or row.refresh):
            return {"access": row.access, "refresh": row.refresh, "sealed": row.unopened}
        return {"access": "", "refresh": "", "sealed": self._seal.close(json.dumps([row.access, row.refresh]))}


def _plain(entity: Entity) -> _Row:
    def moment(name: str) -> datetime:
        return parse_time(entity[name])

    def digests(name: str) -> tuple[str, ...]:
        found: list[Any] = json.loads(entity[name])
        return tuple(str(item) for item in found)

    return _Row(
        access=str(entity["access"]),
        access_until=moment("access_until"),
        refresh=str(entity["refresh"]),
        refresh_from=moment("refresh_from"),
        busy_until=moment("busy_until"),
        sent=str(entity["sent"]),
        tried=digests("tried"),
        refused=digests("refused"),
    )


def _authorize_again() -> Transient:
    return Transient(
        "Outreach refused the app's refresh token. If OUTREACH_REDIRECT_URI is right, authorize the app again and put "
        "the new token into OUTREACH_REFRESH_TOKEN.",
        service="outreach",
        code="invalid_grant",
        retry_after=600.0,
    )


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()[:32]

"""Deliveries that could not be verified when they came, judged by the timer as soon as there are secrets to try.

What fits goes the way of every delivery, with its own correlation id and arrival, and then its row goes; a crash in
between sends it twice, which changes nothing. What does not fit is not tried with the same secrets again, and stays
until it has been kept for seven days. All this needs storage and the secrets only: whatever other setting is wrong,
what is taken in waits in the queue.

It is no part of the sweep: those share a lease, which a killed process holds for minutes. Two that judge at the same
time do what a crash does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TypeVar

from shared.errors import BadDelivery, BadSettings, SyncError, Transient
from shared.meeting.outcome import OutcomeKind
from shared.pipeline.ingest import Arrival, Receipt
from shared.pipeline.signature import VerifiedBody, verify
from shared.pipeline.sweep import log_failure
from shared.settings import WebhookSecrets
from shared.storage.envelope import Trace
from shared.storage.journal import Entry, Journal
from shared.storage.room import Account
from shared.storage.unverified import KINDS, Listed, Totals, Unverified, UnverifiedTable
from shared.telemetry import UNVERIFIED, line, where
from shared.timestamps import Clock, parse_time, sortable

log = logging.getLogger("outreach_dynamics.unverified")

# For judging, per run; the rest waits for the next minute. Counting comes on top.
SECONDS = 30.0
COUNT_SECONDS = 30.0
# Read, judged and marked together.
CHUNK_ROWS, CHUNK_BYTES = 100, 4 * 1024 * 1024
AT_ONCE = 8
# The table is counted in every run, and more rarely the more it holds: a minute for so many.
COUNTED_AFTER = timedelta(seconds=50)
ROWS_PER_MINUTE = 5000

NOTHING = Totals()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judged:
    """What one run did, and what is left."""

    taken_in: int = 0
    unfit: int = 0
    left: Totals = NOTHING


class Judge:
    """`take_in` does with a verified delivery what ingest does."""

    def __init__(
        self,
        *,
        kept: UnverifiedTable,
        secrets: WebhookSecrets,
        take_in: Callable[[VerifiedBody, Arrival], Awaitable[Receipt]],
        journal: Journal,
        now: Clock,
    ) -> None:
        self._kept = kept
        self._secrets = secrets
        self._take_in = take_in
        self._journal = journal
        self._now = now
        self._failing_since = ""

    async def run(self) -> Judged:
        """Judge what was not tried with these secrets, then see what is left. A failure is logged; the next goes on."""
        try:
            judged = await self._run()
        except (SyncError, TimeoutError) as error:
            self._failing_since = self._failing_since or sortable(self._now())
            log_failure("unverified", error, since=self._failing_since)
            return Judged()
        self._failing_since = ""
        self._report(judged.left)
        return judged

    async def _run(self) -> Judged:
        account = await self._kept.room.account()
        if account.counted_at and not account.taken.rows:
            return Judged()
        taken_in, unfit = await self._judge_all() if self._secrets.known else (0, 0)
        if not (taken_in or unfit or self._is_due(account)):
            return Judged(left=Totals(**account.note))
        async with asyncio.timeout(COUNT_SECONDS):
            return Judged(taken_in, unfit, await self._kept.count())

    def _is_due(self, account: Account) -> bool:
        if not account.counted_at:
            return True
        rest = COUNTED_AFTER + timedelta(minutes=account.taken.rows // ROWS_PER_MINUTE)
        return parse_time(account.counted_at) + rest <= self._now()

    def _report(self, left: Totals) -> None:
        for kind in KINDS:
            UNVERIFIED.record(getattr(left, kind), kind=kind)
        if left.rows:
            waiting = left.secret_not_known if self._secrets.unresolved else 0
            log.warning(line("unverified", **asdict(left), waiting=waiting))

    async def _judge_all(self) -> tuple[int, int]:
        """How many fit, and how many do not. Those that were answered yes come first."""
        end = asyncio.get_running_loop().time() + SECONDS
        taken_in = unfit = 0
        for kind in KINDS:
            after = ""
            while some := await self._kept.untried(kind, with_=self._secrets.digest, after=after):
                for chunk in _chunks(some):
                    if asyncio.get_running_loop().time() > end:
                        return taken_in, unfit
                    fit = await self._judge(chunk)
                    taken_in, unfit = taken_in + fit, unfit + len(chunk) - fit
                after = some[-1].digest
        return taken_in, unfit

    async def _judge(self, chunk: Sequence[Listed]) -> int:
        """Judge neighbours of one kind; returns how many are done with."""
        found = await self._kept.load(chunk, with_=self._secrets.digest)
        fit: list[tuple[Unverified, VerifiedBody]] = []
        unfit: list[Unverified] = []
        for one in found.values():
            if one is None:  # another version of the app may read it
                log.error(line("unreadable", correlation_id="", code="unverified"))
            elif verified := self._verified(one):
                fit.append((one, verified))
            else:
                unfit.append(one)
        done = await self._take_all_in(fit)
        # Who was answered yes may look for it.
        await self._refuse_all([one for one in unfit if one.kind == "secret_not_known"])
        await self._kept.record_tried([one.digest for one in unfit], with_=self._secrets.digest)
        return done

    async def _take_all_in(self, fit: Sequence[tuple[Unverified, VerifiedBody]]) -> int:
        """How many of these are done with. Raises where storage is away; the others wait for the next run."""
        ends = await _a_few_at_once(self._taken_in(*pair) for pair in fit)
        done = [one.digest for (one, _), end in zip(fit, ends, strict=True) if end is True]
        await self._kept.forget(done)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return len(done)

    def _verified(self, one: Unverified) -> VerifiedBody | None:
        try:
            return verify(one.body, one.signature, secrets=self._secrets.known)
        except BadDelivery:
            return None

    async def _taken_in(self, one: Unverified, verified: VerifiedBody) -> bool:
        """Whether a genuine delivery is done with; one on which the app itself fails stays. Raises `Transient`."""
        arrival = Arrival(Trace(one.traceparent), one.event_id, one.received_at)
        try:
            receipt = await self._take_in(verified, arrival)
        except BadDelivery as error:
            log.warning(line("refused", correlation_id=one.correlation_id, code=error.code, kept="no"))
            if one.kind == "secret_not_known":
                await self._refuse(one, error.message, code=error.code)
            return True
        except (Transient, BadSettings):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on, and this one stays
            logged = line("unforeseen", correlation_id=one.correlation_id, error=type(error).__name__, at=where(error))
            log.error(logged)  # noqa: TRY400 - an error's message may repeat a value from the meeting
            return False
        log.info(
            line(
                "verified",
                correlation_id=receipt.correlation_id,
                event=receipt.event,
                record=receipt.record,
                status=receipt.status,
                way=receipt.way,
                kind=one.kind,
            )
        )
        if receipt.status == "ignored" and await self._journal.read(one.correlation_id):
            await self._journal.write(
                self._entry(one, OutcomeKind.IGNORED, event=receipt.event)
            )  # it says `refused` until now
        return True

    async def _refuse_all(self, refused: Sequence[Unverified]) -> None:
        reason = "The signature fits no secret that the app knows."
        for end in await _a_few_at_once(self._refuse(one, reason) for one in refused):
            if isinstance(end, BaseException):
                raise end

    async def _refuse(self, one: Unverified, reason: str, *, code: str = "signature_wrong") -> None:
        await self._journal.write(self._entry(one, OutcomeKind.REFUSED, reason=reason, error_code=code))

    def _entry(
        self, one: Unverified, outcome: OutcomeKind, *, event: str = "", reason: str = "", error_code: str = ""
    ) -> Entry:
        return Entry(
            correlation_id=one.correlation_id,
            event_id=one.event_id,
            event=event,
            received_at=one.received_at,
            outcome=outcome,
            finished_at=sortable(self._now()),
            reason=reason,
            error_code=error_code,
        )


def _chunks(some: Iterable[Listed]) -> Iterator[list[Listed]]:
    """Neighbours that are handled together."""
    chunk: list[Listed] = []
    for one in some:
        if chunk and (len(chunk) == CHUNK_ROWS or sum(each.size for each in chunk) + one.size > CHUNK_BYTES):
            yield chunk
            chunk = []
        chunk.append(one)
    if chunk:
        yield chunk


async def _a_few_at_once(calls: Iterable[Awaitable[T]]) -> list[T | BaseException]:
    """What each of `calls` returns or raises."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Awaitable[T]) -> T:
        async with gate:
            return await call

    return await asyncio.gather(*map(one, calls), return_exceptions=True)

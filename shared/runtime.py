"""The composition root: reads the settings and builds each part once per process, when it is first needed.

Ingest needs only storage and the webhook secrets, so a mistake in any other setting never makes the app refuse events:
they wait in the queue, and health and log say what is wrong. The console and the timer's report need only storage.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING

from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from shared.admin.admin import Admin
from shared.admin.backlog import Backlog
from shared.admin.dry_run import DryRunner
from shared.admin.erase import Eraser
from shared.admin.health import Health, reached, settings_check
from shared.admin.readonly import FormerPeople, GetOnlyDataverse, RecordingOutreach, UnmadeTable
from shared.admin.unverified import unverified_check
from shared.dataverse.appointments import AppointmentApi
from shared.dataverse.client import Dataverse
from shared.errors import BadSettings
from shared.http.authorization import Token, fixed_token
from shared.http.client import Caller, http_client
from shared.http.credentials import CachedToken, azure_credential, dataverse_token
from shared.http.loopback import past_the_proxy
from shared.labels import Names
from shared.outreach import tokens
from shared.outreach.client import Outreach
from shared.outreach.credentials import oauth_exchange, s2s_exchange
from shared.outreach.quota import Budget
from shared.outreach.sealing import Seal
from shared.pipeline import missed, subscription
from shared.pipeline.held import Held
from shared.pipeline.ingest import Ingest, Receipt, counting
from shared.pipeline.people import CrmDirectory
from shared.pipeline.retention import Kept, KeptDeadLetters, KeptMeetings, Pass, Retention
from shared.pipeline.sweep import Feeding, Part, Sweep, failing_parts
from shared.pipeline.unverified import Judge
from shared.pipeline.worker import Stores, Sync, wait_for_settings
from shared.settings import (
    IngestSettings,
    OutreachSettings,
    Settings,
    StorageSettings,
    WebhookSecrets,
    queue_name,
    read_ingest_settings,
    read_organisation,
    read_outreach_settings,
    read_settings,
    read_storage_settings,
    read_webhook_secrets,
)
from shared.storage import (
    checkpoints,
    claims,
    dead_letters,
    journal,
    meetings,
    organisation,
    overflow,
    parked,
    people_cache,
    sessions,
    statistics,
    unverified,
)
from shared.storage.account import Queue, Table, queue_service, table_service
from shared.storage.envelope import Trace
from shared.storage.outbox import Outbox
from shared.timestamps import Clock

if TYPE_CHECKING:
    from shared.console.console import Console

# How long the first event of a process waits to learn whose the storage account is. Outreach waits 5 seconds.
OWNER_PATIENCE = 1.5


class Runtime:
    """Everything that one worker process holds on to. Parts are built on first use and must be used on one loop."""

    def __init__(self, environment: Mapping[str, str], *, now: Clock = lambda: datetime.now(UTC)) -> None:
        self._environment = dict(environment)
        self._now = now
        self._to_close: list[Callable[[], Awaitable[object]]] = []

    @cached_property
    def ingest_settings(self) -> IngestSettings:
        """Raises `BadSettings`."""
        return read_ingest_settings(self._environment)

    @cached_property
    def settings(self) -> Settings:
        """Raises `BadSettings`."""
        return read_settings(self._environment)

    async def aclose(self) -> None:
        """Close the connections of the parts that were built. In Azure the process just ends; tests come and go."""
        for closing in self._to_close:
            await closing()
        self._to_close.clear()

    async def carry_out(self, message: bytes) -> None:
        """Carry out a queued event; with broken settings it waits in the queue until they are mended."""
        try:
            await self.check_owner()
            sync = self.sync
        except BadSettings as error:
            await wait_for_settings(message, error, queue=self.queue)
            return
        await sync.handle(message)

    async def carry_out_poisoned(self, message: bytes) -> None:
        """Make a dead letter of a message that the trigger gave up on."""
        try:
            await self.check_owner()
            sync = self.sync
        except BadSettings as error:
            await wait_for_settings(message, error, queue=self._poison_queue)
            return
        await sync.poisoned(message)

    async def check_owner(self) -> None:
        """Raise `AnothersAccount` where the storage account is known to be another organisation's."""
        try:
            owner = self.owner
        except BadSettings:  # without storage there is nothing that could be somebody's; whoever needs it says so
            return
        await owner.check(patience=OWNER_PATIENCE)

    @cached_property
    def owner(self) -> organisation.AccountOwner:
        """Whose the storage account is."""
        made = organisation.AccountOwner(
            self._table(checkpoints.TABLE),
            ours=read_organisation(self._environment),
            now=self._now,
            clock=time.monotonic,
        )
        self._to_close.insert(0, made.aclose)
        return made

    @cached_property
    def ingest(self) -> Ingest:
        """Takes in deliveries."""
        return Ingest(
            outbox=self.outbox,
            held=self.held,
            unverified=self.unverified,
            secrets=self.ingest_settings.secrets,
            accepts=counting(lambda: self.settings.mapping),
            may_take_in=self.check_owner,
            now=self._now,
        )

    @cached_property
    def held(self) -> Held[Receipt]:
        """Deliveries that wait until storage is back."""
        return Held(now=self._now)

    @cached_property
    def unverified(self) -> unverified.UnverifiedTable:
        """Deliveries that could not be verified when they came."""
        return unverified.UnverifiedTable(self._table(unverified.TABLE), now=self._now)

    @cached_property
    def judge(self) -> Judge:
        """Finds those among them that a secret fits."""
        try:
            secrets = read_webhook_secrets(self._environment)
        except BadSettings:
            secrets = WebhookSecrets()  # with none there is nothing to try, but rows grow old
        return Judge(
            kept=self.unverified,
            secrets=secrets,
            take_in=lambda verified, arrival: self.ingest.take_in(verified, arrival),  # noqa: PLW0108 - none without secrets
            journal=self.journal,
            now=self._now,
        )

    @cached_property
    def sync(self) -> Sync:
        """Carries out what is queued."""
        return Sync(
            Stores(
                self.queue,
                self.meetings,
                self.journal,
                self.dead_letters,
                self.overflow,
                self._follow_ups,
                claims.ClaimTable(self._table(checkpoints.TABLE), now=self._now),
            ),
            appointments=AppointmentApi(self.dataverse, wires=self.settings.mapping.wires),
            directory=CrmDirectory(self.outreach, self.dataverse, clock=time.monotonic, shared=self._people),
            mapping=self.settings.mapping,
            policy=self.settings.policy,
            org=self.settings.org,
            now=self._now,
            pause=self._dataverse_caller.breaker.pause,
            statistics=self.statistics,
            names=self.names,
        )

    @cached_property
    def names(self) -> Names:
        """How names of events stand in logs; while settings are wrong, those of the mapping file are not known."""

        def mapped() -> Mapping[str, Collection[str]]:
            try:
                resources = self.settings.mapping.resources
            except BadSettings:
                return {}
            return {name: tuple(rule.actions or ()) for name, rule in resources.items()}

        return Names(mapped)

    @cached_property
    def sweep(self) -> Sweep:
        """Does what no event will, minute by minute."""
        feeding = Feeding(
            queue=self.queue,
            overflow=self.overflow,
            waiting=self.meetings.waiting,
            follow_ups=self._follow_ups,
            now=self._now,
        )
        parts = (
            Part("overflow", feeding.send_overflow),
            Part("parked", feeding.send_parked),
            Part("unresolved", feeding.send_unresolved),
            Part("missed", self._missed.run, rest=missed.REST),
            *self._subscription,
            Part("token", self._keep_token, rest=tokens.REST),
            Part("retention", self._retention.run),
        )
        lease = checkpoints.Lease(self._table(checkpoints.TABLE), name="sweep", now=self._now)
        return Sweep(parts, lease=lease, checkpoints=self._checkpoints, now=self._now)

    @cached_property
    def _missed(self) -> missed.Missed:
        return missed.Missed(
            outreach=self.outreach.for_spare_capacity(),
            outbox=self.outbox,
            checkpoints=self._checkpoints,
            mapping=self.settings.mapping,
            now=self._now,
        )

    @cached_property
    def _subscription(self) -> tuple[Part, ...]:
        """The part that looks at our webhooks; none where they are not used."""
        guard = self.settings.subscription_guard
        if guard == "off":
            return ()
        looking = subscription.Subscription(
            outreach=self.outreach.for_spare_capacity(),
            checkpoints=self._checkpoints,
            url=self.settings.public_url,
            guard=guard,
            now=self._now,
        )
        return (Part("subscription", looking.run, rest=subscription.REST),)

    @cached_property
    def _retention(self) -> Retention:
        keep = timedelta(days=self.settings.retention_days)
        columns = {journal.TABLE: "finished_at", people_cache.TABLE: "until", statistics.TABLE: "PartitionKey"}
        columns |= {overflow.TABLE: "RowKey"}  # it begins with the time of arrival
        mapping, meetings_keep = self.settings.mapping, timedelta(days=self.settings.meeting_retention_days)
        kept: list[Pass] = [Kept(name, self._table(name), column, keep) for name, column in columns.items()]
        kept.append(Kept(sessions.TABLE, self._table(sessions.TABLE), "until", timedelta()))
        kept.append(KeptDeadLetters(self.meetings, self.dead_letters, self.journal, self.overflow, self.names, keep))
        kept.append(KeptMeetings(self.meetings, mapping, meetings_keep))
        return Retention(kept, checkpoints=self._checkpoints, now=self._now)

    async def _keep_token(self) -> Mapping[str, int]:
        return {"renewed": int(self.outreach_token is not None and await self.outreach_token.keep_alive())}

    @property
    def admin(self) -> Admin:
        """Answers an admin. Raises `AnothersAccount`: what is there is not for this one."""
        self.owner.refuse_others()
        return self._admin

    @cached_property
    def _admin(self) -> Admin:
        url = self.settings.dataverse_url
        return Admin(
            self.journal, self.meetings, self.dead_letters, self.outbox, self.overflow, url, self._now, self.names
        )

    @cached_property
    def eraser(self) -> Eraser:
        """Forgets one person or one meeting."""
        names = (journal.TABLE, dead_letters.TABLE, overflow.TABLE, unverified.TABLE, people_cache.TABLE)
        return Eraser(
            self.meetings,
            self._table(meetings.TABLE),
            tables={name: self._table(name) for name in names},
            unverified=self.unverified.room,
        )

    async def waiting(self) -> int:
        """About how many messages wait in the queue and among its poison."""
        return await self.queue.depth() + await self._poison_queue.depth()

    @cached_property
    def backlog(self) -> Backlog:
        """Says what waits, also while settings are wrong."""
        waiting = parked.Parked(self._table(meetings.TABLE), rules="")  # only counted
        return Backlog(
            queue=self.queue, overflow=self.overflow, parked=waiting, dead_letters=self.dead_letters, now=self._now
        )

    @cached_property
    def statistics(self) -> statistics.Statistics:
        """How many events ended how, and how late."""
        made = statistics.Statistics(self._table(statistics.TABLE), now=self._now)
        self._to_close.insert(0, made.aclose)  # it stores what is left, so it goes before its table does
        return made

    @cached_property
    def console(self) -> Console:
        """The web pages."""
        from shared.console.access import Access  # noqa: PLC0415 - templates load when somebody looks
        from shared.console.console import Console, Sources  # noqa: PLC0415 - as above

        sources = Sources(
            backlog=self.backlog,
            statistics=self.statistics,
            health=self.health,
            failing=lambda: failing_parts(self._checkpoints),
            admin=lambda: self.admin,
            dry_runner=lambda: self.dry_runner,
            mapping=lambda: self.settings.mapping,
        )
        access = Access(sessions.Sessions(self._table(sessions.TABLE), now=self._now), self._environment)
        return Console(sources, access, now=self._now)

    @cached_property
    def dry_runner(self) -> DryRunner:
        """Says what a delivery would do, through doors that only read."""
        settings = self.settings
        dataverse = GetOnlyDataverse(self._dataverse_caller, token=self._dataverse_token())
        rows = meetings.MeetingTable(UnmadeTable(self._table(meetings.TABLE)), rules=settings.rules_fingerprint)

        former = FormerPeople(self._table(people_cache.TABLE), now=self._now)

        def look_up() -> tuple[CrmDirectory, RecordingOutreach]:
            outreach = RecordingOutreach(self.outreach)
            return CrmDirectory(outreach, dataverse, clock=time.monotonic, shared=former), outreach

        appointments = AppointmentApi(dataverse, wires=settings.mapping.wires)
        taken = claims.ClaimTable(UnmadeTable(self._table(checkpoints.TABLE)), now=self._now)
        return DryRunner(
            meetings=rows.load,
            appointments=appointments.read,
            find=appointments.find,
            holder=taken.holder,
            look_up=look_up,
            mapping=settings.mapping,
            policy=settings.policy,
            org=settings.org,
            now=self._now,
        )

    @cached_property
    def health(self) -> Health:
        """Says what is reachable."""
        checks = {
            "settings": settings_check(lambda: self.settings, self._environment, check_owner=self.check_owner),
            "queue": reached(lambda: self.queue.depth()),  # noqa: PLW0108 - none while storage is not set
            "tables": reached(lambda: self._table(meetings.TABLE).reachable()),
            "dataverse": reached(lambda: self.dataverse.who_am_i()),  # noqa: PLW0108 - none while settings are wrong
            "outreach": reached(lambda: self.outreach.look_at("users")),
            "unverified": unverified_check(lambda: self.unverified.totals()),  # noqa: PLW0108 - as the queue
        }
        return Health(checks, clock=time.monotonic, now=self._now)

    @cached_property
    def queue(self) -> Queue:
        """The queue between ingest and sync."""
        return Queue(self._queue_service, queue_name(self._environment))

    @cached_property
    def _poison_queue(self) -> Queue:
        return Queue(self._queue_service, f"{queue_name(self._environment)}-poison")

    @cached_property
    def overflow(self) -> overflow.Overflow:
        """The second place for an accepted event."""
        return overflow.Overflow(self._table(overflow.TABLE))

    @cached_property
    def outbox(self) -> Outbox:
        """Where accepted events go."""
        return Outbox(queue=self.queue, overflow=self.overflow)

    @cached_property
    def meetings(self) -> meetings.MeetingTable:
        """One row per meeting."""
        return meetings.MeetingTable(self._table(meetings.TABLE), rules=self.settings.rules_fingerprint)

    @cached_property
    def journal(self) -> journal.Journal:
        """What became of each event."""
        return journal.Journal(self._table(journal.TABLE))

    @cached_property
    def dead_letters(self) -> dead_letters.DeadLetters:
        """Events that need a person."""
        return dead_letters.DeadLetters(self._table(dead_letters.TABLE))

    @cached_property
    def dataverse(self) -> Dataverse:
        """The Dynamics organisation."""
        return Dataverse(self._dataverse_caller, token=self._dataverse_token())

    @cached_property
    def _dataverse_caller(self) -> Caller:
        return self._caller("dataverse", self.settings.dataverse_url)

    @cached_property
    def outreach(self) -> Outreach:
        """The Outreach organisation."""
        shared, fixed = self.outreach_token, fixed_token(self._outreach_settings.credentials.token or None)
        return Outreach(
            self._outreach_caller,
            token=fixed if shared is None else CachedToken(shared),
            url=self._outreach_settings.url,
            budget=Budget(now=lambda: self._now().timestamp()),
        )

    @cached_property
    def outreach_token(self) -> tokens.SharedToken | None:
        """The access token that all instances share; None where the settings hold one, or none is needed."""
        credentials = self._outreach_settings.credentials
        caller = self._outreach_caller
        match credentials.kind:
            case "s2s":
                name, exchange = f"s2s:{credentials.install_id}", s2s_exchange(caller, credentials)
            case "oauth":
                name, exchange = f"oauth:{credentials.client_id}", oauth_exchange(caller, credentials)
            case _:
                return None
        return tokens.SharedToken(
            self._table(tokens.TABLE),
            name=name,
            exchange=exchange,
            now=self._now,
            seed=credentials.refresh_token,
            sent_along=credentials.redirect_uri,
            seal=Seal(self._outreach_settings.token_key) if self._outreach_settings.token_key else None,
        )

    @cached_property
    def _checkpoints(self) -> checkpoints.Checkpoints:
        return checkpoints.Checkpoints(self._table(checkpoints.TABLE))

    @cached_property
    def _follow_ups(self) -> checkpoints.FollowUps:
        return checkpoints.FollowUps(self._table(checkpoints.TABLE), now=self._now)

    @cached_property
    def _people(self) -> people_cache.PeopleCache:
        return people_cache.PeopleCache(self._table(people_cache.TABLE), now=self._now)

    @cached_property
    def _outreach_caller(self) -> Caller:
        return self._caller("outreach", self._outreach_settings.url)

    def _caller(self, service: str, url: str) -> Caller:
        caller = Caller(service, http_client(url))
        self._to_close.append(caller.aclose)
        return caller

    @cached_property
    def _outreach_settings(self) -> OutreachSettings:
        return read_outreach_settings(self._environment)

    @cached_property
    def _storage(self) -> StorageSettings:
        return read_storage_settings(self._environment)

    @cached_property
    def _credential(self) -> AsyncTokenCredential:
        return self._identity(self._storage.client_id)

    def _identity(self, client_id: str) -> AsyncTokenCredential:
        credential = azure_credential(client_id, self._environment)
        self._to_close.append(credential.close)
        return credential

    @cached_property
    def _queue_service(self) -> QueueServiceClient:
        storage = self._storage
        service = queue_service(storage, None if storage.connection_string else self._credential)
        self._to_close.append(service.close)
        return service

    @cached_property
    def _table_service(self) -> TableServiceClient:
        storage = self._storage
        service = table_service(storage, None if storage.connection_string else self._credential)
        self._to_close.append(service.close)
        return service

    def _table(self, name: str) -> Table:
        return Table(self._table_service, name)

    def _dataverse_token(self) -> Token:
        if not self.settings.dataverse_needs_token:
            return fixed_token(None)
        credential = self._identity(self.settings.client_id)
        return CachedToken(dataverse_token(credential, self.settings.dataverse_url))


@cache
def runtime() -> Runtime:
    """The one runtime of this process, made from its environment."""
    os.environ |= past_the_proxy(os.environ)
    _quiet_libraries()
    return Runtime(os.environ)


def _quiet_libraries() -> None:
    """At INFO the Azure SDKs write every header, and httpx whole URLs: with an e-mail address in a `$filter`."""
    for name in ("azure", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def new_trace() -> Trace:
    """A trace of our own, where the host gave none."""
    return Trace.of(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8))

"""One installation for a test: a `Runtime` of its own queue and tables, a Dataverse and an Outreach stand-in."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from aiohttp import web
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from functions.views import dead_letter_json, journal_json, meeting_json, status_json
from sandbox.dataverse import create_app as dataverse_app
from sandbox.dataverse import people
from sandbox.dataverse.seed import CONTACT_IDS, LEAD_IDS, USER_IDS
from sandbox.dataverse.seed import seed as seed_dataverse
from sandbox.dataverse.store import Row, Store
from sandbox.outreach.app import create_app as outreach_app
from sandbox.outreach.deliveries import Delivery
from sandbox.outreach.seed import seed as seed_outreach
from sandbox.outreach.store import Store as OutreachStore
from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from shared.pipeline.ingest import Receipt
from shared.pipeline.signature import sign
from shared.runtime import Runtime, new_trace
from shared.storage.account import Queue, Table

SECRET = "a-secret-for-tests-only"


class Impatient(Queue):
    """The queue, but what is put back with a delay is there at once; the delays asked for are kept."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        super().__init__(service, name)
        self.delays: list[float] = []

    async def send(self, message: str, *, delay: float = 0) -> None:
        """Send without delay."""
        self.delays.append(delay)
        await super().send(message)


class OwnTables(Runtime):
    """A runtime with tables that no other test sees, although their names are fixed, and with a clock to set."""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(environment, now=lambda: datetime.now(UTC) + self.later)
        self.later = timedelta()
        self._prefix = "".join(filter(str.isalnum, environment["SYNC_QUEUE_NAME"]))

    @cached_property
    def queue(self) -> Impatient:
        """The queue without its delays."""
        return Impatient(self._queue_service, self._environment["SYNC_QUEUE_NAME"])

    def _table(self, name: str) -> Table:
        return super()._table(self._prefix + name)


@dataclass
class Installation:
    """`crm` and `outreach` are the stand-ins' insides; `runtime` the product's."""

    environment: dict[str, str]
    crm: Store
    outreach: OutreachStore
    runtime: OwnTables
    queue: QueueClient

    async def send(self, *deliveries: Delivery | dict[str, Any]) -> list[Receipt]:
        """Hand deliveries to ingest, signed."""
        receipts = []
        for delivery in deliveries:
            body = delivery.body if isinstance(delivery, Delivery) else json.dumps(delivery).encode()
            headers = {"outreach-webhook-signature": sign(body, SECRET)}
            receipts.append(await self.runtime.ingest.receive(body, headers=headers, trace=new_trace()))
        return receipts

    async def work(self, *, limit: int = 1000) -> int:
        """Carry out up to `limit` messages of the queue; returns how many there were."""
        done = 0
        while done < limit and (message := await self.queue.receive_message(visibility_timeout=60)):
            await self.runtime.carry_out(base64.b64decode(message.content, validate=True))
            await self.queue.delete_message(message)
            done += 1
        return done

    async def sync(self, *deliveries: Delivery | dict[str, Any]) -> dict[str, Any]:
        """Send, carry out, and return the journal of the last one."""
        receipts = await self.send(*deliveries)
        await self.work()
        return await self.journal(receipts[-1])

    async def journal(self, receipt: Receipt) -> dict[str, Any]:
        """The journal of one accepted event."""
        found = await self.correlation(receipt.correlation_id)
        assert found is not None
        return found

    async def correlation(self, correlation_id: str) -> dict[str, Any] | None:
        """The journal of an event, as its route answers."""
        found = await self.runtime.admin.correlation(correlation_id)
        return journal_json(found) if found else None

    async def meeting(self, meeting_id: str) -> dict[str, Any]:
        """How a meeting stands, as its route answers."""
        found = await self.runtime.admin.meeting(meeting_id)
        assert found is not None
        return meeting_json(found)

    async def status(self) -> dict[str, Any]:
        """How each part is, as its route answers."""
        return status_json(await self.runtime.health.report())

    async def dead_letters(self) -> list[dict[str, Any]]:
        """All dead letters, the latest first, as their route answers."""
        return [dead_letter_json(dead_letter) for dead_letter in await self.runtime.admin.list_dead_letters()]

    async def restart(self, **settings: str) -> None:
        """A new process with changed settings; a value of "" means unset."""
        await self.runtime.aclose()
        self.environment |= settings
        self.runtime = OwnTables(self.environment)

    @property
    def appointment(self) -> Row:
        """The one appointment there is."""
        (row,) = self.crm.appointments.values()
        return row

    def parties(self) -> set[tuple[Any, Any]]:
        """(mask, record id or address) of the one appointment's parties that a person would see."""
        return {
            (party.values["participationtypemask"], party.values["_partyid_value"] or party.values["addressused"])
            for party in self.appointment.parties
            if party.values["participationtypemask"] in {5, 6, 7}
        }

    def edit(self, **changes: Any) -> None:
        """A person changes the appointment in Dynamics."""
        people.edit(self.crm, {"id": self.appointment.id, "changes": changes})

    def invite(self, mask: int, contact_id: str) -> None:
        """A person adds a contact to the appointment in Dynamics."""
        names = {CONTACT_IDS: "contact", LEAD_IDS: "lead", USER_IDS: "systemuser"}
        kinds = {record: kind for records, kind in names.items() for record in records}
        now = [(party, record) for party, record in self.parties() if record in kinds]
        bodies = [
            {"participationtypemask": party, f"partyid_{kinds[record]}@odata.bind": f"/{kinds[record]}s({record})"}
            for party, record in [*now, (mask, contact_id)]
        ]
        self.edit(appointment_activity_parties=bodies)

    def writes(self) -> list[dict[str, Any]]:
        """Every body that was sent to an appointment, oldest first, with its headers under `headers`."""
        return [
            {**json.loads(request["body"] or "{}"), "headers": request["headers"]}
            for request in self.crm.log.last(1000)
            if request["method"] in {"PATCH", "POST", "PUT"} and "/appointments" in request["path"]
        ]


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """`app` on a free port; yields its base address."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def installation(storage: str, queue_name: str, **settings: str) -> AsyncIterator[Installation]:
    """A fresh installation; `settings` on top of the usual ones."""
    crm, outreach = Store(), OutreachStore()
    seed_dataverse(crm)
    seed_outreach(outreach)
    async with served(dataverse_app(crm)) as dataverse_url, served(outreach_app(outreach)) as outreach_url:
        environment = {
            "AzureWebJobsStorage": storage,
            "SYNC_QUEUE_NAME": queue_name,
            "OUTREACH_WEBHOOK_SECRET": SECRET,
            "OUTREACH_API_URL": outreach_url,
            "OUTREACH_API_TOKEN": DEVELOPMENT_TOKEN,
            "DATAVERSE_URL": dataverse_url,
            "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "4194304",
            **settings,
        }
        async with QueueClient.from_connection_string(storage, queue_name) as queue:
            await queue.create_queue()
            made = Installation(environment, crm, outreach, OwnTables(environment), queue)
            try:
                yield made
            finally:
                await made.runtime.aclose()

"""The product in one process, from ingest to the write in Dynamics, over storage and services in memory.

All waiting is virtual: see `tests/virtual_time.py`.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any
from unittest.mock import patch

from sandbox.dataverse import people
from sandbox.dataverse.errors import NO_ROLES, READ_ONLY_ROW, ODataError
from sandbox.dataverse.plugins import Plugin
from sandbox.dataverse.seed import APP_USER_ID, CONTACT_IDS, LEAD_IDS, USER_IDS
from sandbox.dataverse.seed import seed as seed_dataverse
from sandbox.dataverse.store import Rights, Row, Store
from sandbox.outreach.deliveries import encode
from sandbox.outreach.seed import seed as seed_outreach
from sandbox.outreach.store import Store as OutreachStore
from shared.http.client import Caller
from shared.meeting.outcome import OutcomeKind
from shared.pipeline.signature import sign
from shared.runtime import Runtime
from shared.settings import Settings, read_settings
from shared.storage import dead_letters, meetings
from shared.storage.account import Table
from shared.storage.envelope import Trace
from shared.storage.statistics import Statistics
from tests.differential.memory import DataverseInMemory, MemoryQueue, OutreachInMemory, WholeTable
from tests.differential.steps import Allow, Delete, Edit, History, Outage, Refuse, Restart, Say, Step, Wait
from tests.differential.told import EPOCH
from tests.virtual_time import virtually

START = EPOCH + timedelta(days=2)
SECRET = "a-secret-for-tests-only"
ENVIRONMENT = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "OUTREACH_WEBHOOK_SECRET": SECRET,
    "OUTREACH_API_URL": "http://127.0.0.1:1",
    "OUTREACH_API_TOKEN": "a-token",
    "DATAVERSE_URL": "http://127.0.0.1:2",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "4194304",
    "SYNC_SUBSCRIPTION_GUARD": "off",
}
COLUMNS = {
    "is_all_day": "isalldayevent",
    "subject": "subject",
    "description": "description",
    "location": "location",
}
# What can be refused.
LOGICAL = {
    **COLUMNS,
    "regarding": "regardingobjectid",
    "attendees": "appointment_activity_parties",
    "state": "statecode",
}
KINDS = {
    **dict.fromkeys(CONTACT_IDS, "contact"),
    **dict.fromkeys(LEAD_IDS, "lead"),
    **dict.fromkeys(USER_IDS, "systemuser"),
}
# More calls than any outage meets.
FOR_EVER = 10**6


@lru_cache(maxsize=16)
def _settings(environment: tuple[tuple[str, str], ...]) -> Settings:
    return read_settings(dict(environment))


class _Uncounted(Statistics):
    def record(self, outcome: OutcomeKind, *, lag: float | None) -> None:
        """Statistics are another matter."""


class _InMemory(Runtime):
    """The runtime with its doors to the outside in memory."""

    def __init__(self, environment: Mapping[str, str], world: World) -> None:
        super().__init__(environment, now=world.now)
        self._world = world

    @cached_property
    def settings(self) -> Settings:
        """Read once for all histories."""
        return _settings(tuple(sorted(self._environment.items())))

    @cached_property
    def queue(self) -> MemoryQueue:
        """The queue."""
        return self._world.queue

    @cached_property
    def statistics(self) -> Statistics:
        """None."""
        return _Uncounted(self._table("statistics"), now=self._now)

    def _table(self, name: str) -> Table:
        return self._world.tables[name]

    def _caller(self, service: str, url: str) -> Caller:
        del url
        return Caller(service, self._world.services[service])  # type: ignore[arg-type] # all of a client that it uses


class World:
    """One installation and its surroundings, in which one history takes place. Made on the loop that it runs on."""

    def __init__(self, history: History) -> None:
        self._loop = asyncio.get_running_loop()
        self.crm, outreach = Store(clock=self.now, log_size=1), OutreachStore()
        seed_dataverse(self.crm)
        seed_outreach(outreach)
        self.crm.switches.closed_rows = "strict" if history.strict else "lenient"
        self.queue = MemoryQueue(self._loop.time)
        self.tables: dict[str, WholeTable] = defaultdict(WholeTable)
        self.dataverse, self.outreach = DataverseInMemory(self.crm), OutreachInMemory(outreach)
        self.services = {"dataverse": self.dataverse, "outreach": self.outreach}
        self._environment = {**ENVIRONMENT, "SYNC_ON_CANCEL": history.on_cancel}
        self._events = 0
        self.runtime = _InMemory(self._environment, self)

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self._loop.time())

    async def play(self, history: History) -> None:
        """All steps, one after the other."""
        for step in history.steps:
            await self._do(step)

    async def _do(self, step: Step) -> None:
        match step:
            case Say():
                self.dataverse.away = list(step.trouble)
                await self._receive(step)
                await self._work()
                self.dataverse.away = []
            case Outage():
                await self._outage(step)
            case Edit():
                self._edit(step)
            case Delete(meeting):
                if (row := self.appointment(meeting)) is not None:
                    people.delete(self.crm, {"id": row.id})
            case Refuse() | Allow():
                self._refuse(step)
            case Wait(minutes):
                await asyncio.sleep(60 * minutes)
                await self.runtime.sweep.run()
                await self._work()
            case Restart(pushing):
                environment = {**self._environment, "SYNC_PUSHING": str(pushing).lower()}
                self.runtime = _InMemory(environment, self)

    async def _outage(self, outage: Outage) -> None:
        service = self.services[outage.service]
        service.away = ["503" if outage.service == "dataverse" else "not_sent"] * FOR_EVER
        for say in outage.says:
            await self._receive(say)
            await self._work(until=self._loop.time())
        service.away = []
        await self._work()

    async def _receive(self, say: Say) -> None:
        body = encode(delivery(say))
        self._events += 1
        trace = Trace.of(trace_id=f"{self._events:032x}", span_id=f"{self._events:016x}")
        receipt = await self.runtime.ingest.receive(
            body, headers={"outreach-webhook-signature": sign(body, SECRET)}, trace=trace
        )
        assert receipt.status == "accepted"

    async def _work(self, *, until: float | None = None) -> None:
        """Carry out what is in the queue, or what is there until then."""
        while (due := self.queue.next_at) is not None and (until is None or due <= until):
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            while (message := self.queue.take()) is not None:
                await self.runtime.carry_out(base64.b64decode(message))

    # What people and Dynamics do.

    def appointment(self, meeting: int) -> Row | None:
        """The appointment that the app says is this meeting's."""
        return self.crm.appointments.get(self._appointments().get(meeting, ""))

    def _appointments(self) -> dict[int, str]:
        """The appointment's id by meeting, as the app's rows have it; empty where none was chosen yet."""
        rows = (entity for entity, _ in self.tables[meetings.TABLE].rows.values())
        return {
            int(str(row["meeting"]).partition(":")[2]): str(row["appointment"])
            for row in rows
            if "appointment" in row and str(row["meeting"]).startswith("meeting:")
        }

    def _edit(self, edit: Edit) -> None:
        row = self.appointment(edit.meeting)
        if row is None:
            return
        if edit.state is not None:
            self._change(row.id, {"statecode": edit.state[0], "statuscode": edit.state[1]})
        if changes := _changes(edit, row):
            try:
                self._change(row.id, changes)
            except ODataError as error:
                if error.code not in {READ_ONLY_ROW, NO_ROLES}:  # nobody changes what is closed, or makes them an owner
                    raise

    def _change(self, row_id: str, changes: dict[str, Any]) -> None:
        people.edit(self.crm, {"id": row_id, "changes": changes, "user": APP_USER_ID})

    def _refuse(self, step: Refuse | Allow) -> None:
        if isinstance(step, Allow):
            self.crm.plugins.registered.clear()
            self.crm.rights.clear()
        elif step.what == "owner":
            self.crm.rights[USER_IDS[step.user - 1]] = Rights(roles=False)
        else:
            self.crm.plugins.registered.append(Plugin(LOGICAL[step.what]))

    def dead_letters(self) -> list[tuple[str, str]]:
        """The meeting of each, and why it is one."""
        return [(str(row["meeting"]), str(row["reason"])) for row, _ in self.tables[dead_letters.TABLE].rows.values()]

    def seen(self) -> dict[int, dict[str, Any] | None]:
        """What is in Dynamics, by meeting, in the words of the model."""
        return {
            number: None if (row := self.appointment(number)) is None else _shown(row)
            for number in self._appointments()
        }


def delivery(say: Say) -> dict[str, Any]:
    """The body of the webhook."""
    changed = EPOCH + timedelta(minutes=say.minute)
    related: dict[str, Any] = {}
    for name, told in say.related.items():
        kind = {"prospects": "prospect"}.get(name, name)
        if told is None:
            related[name] = {"id": None}
        elif isinstance(told, tuple):
            related[name] = [{"type": kind, "id": number} for number in told]
        else:
            related[name] = {"type": kind, "id": told}
    resource = "calendarEvent" if say.calendar else "meeting"
    if say.calendar:
        related["meeting"] = {"type": "meeting", "id": say.meeting}
    return {
        "data": {
            "type": resource,
            "id": say.calendar or say.meeting,
            "attributes": {**say.attributes, "updatedAt": say.claims or changed.isoformat()},
            "relationships": related,
        },
        "meta": {
            "deliveredAt": (changed + timedelta(seconds=1)).isoformat(),
            "eventName": f"{resource}.{say.action}",
        },
    }


def _changes(edit: Edit, row: Row) -> dict[str, Any]:
    names = {"start": "scheduledstart", "end": "scheduledend"}
    changes: dict[str, Any] = {names.get(name, name): value for name, value in edit.columns.items()}
    parties = _parties(row)
    now = dict(parties)
    for number, role in edit.roles.items():
        contact = CONTACT_IDS[number - 1]
        if contact in now and role is None:
            del now[contact]
        elif contact in now and role is not None:
            now[contact] = role
    if edit.guest:
        now.setdefault(CONTACT_IDS[edit.guest - 1], 5)
    if edit.owner:
        owner = USER_IDS[edit.owner - 1]
        changes["ownerid@odata.bind"] = f"/systemusers({owner})"
        now = {who: role for who, role in now.items() if role != 7} | {owner: 7}
    if now != parties:
        changes["appointment_activity_parties"] = [
            {"participationtypemask": role, "addressused": who}
            if "@" in who
            else {"participationtypemask": role, f"partyid_{KINDS[who]}@odata.bind": f"/{KINDS[who]}s({who})"}
            for who, role in now.items()
        ]
    return changes


def _parties(row: Row) -> dict[str, int]:
    """Everybody once with a role: organizer, required, optional. Raises where somebody is there twice."""
    found: dict[str, int] = {}
    for party in row.parties:
        role = int(str(party.values["participationtypemask"]))
        who = str(party.values["_partyid_value"] or party.values["addressused"])
        if role in {5, 6, 7}:
            assert who not in found, f"{who} takes part twice"
            found[who] = role
    return found


def _shown(row: Row) -> dict[str, Any]:
    values, parties = row.values, _parties(row)
    return {
        **{name: values[column] for name, column in COLUMNS.items()},
        "start": _moment(values["scheduledstart"]),
        "end": _moment(values["scheduledend"]),
        "regarding": values["_regardingobjectid_value"],
        "owner": values["_ownerid_value"],
        "created_on": _moment(values["createdon"]),
        "created_by": values["_createdby_value"],
        "state": (values["statecode"], values["statuscode"]),
        "organizer": next((who for who, role in parties.items() if role == 7), None),
        "parties": tuple(sorted((who, role) for who, role in parties.items() if role != 7)),
    }


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))


async def _played(history: History) -> World:
    loop = asyncio.get_running_loop()
    with patch.object(time, "monotonic", loop.time):
        world = World(history)
        await world.play(history)
    return world


def played(history: History) -> World:
    """The world after `history`, which is the same every time."""
    random.seed(0)
    return virtually(_played(history))

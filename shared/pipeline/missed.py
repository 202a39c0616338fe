"""What webhooks missed: entries of Outreach's events API since the last look, put into the queue as ordinary events.

Off unless the mapping file enables the resource `event`. Every look begins a little before the checkpoint that the last
one left, because entries may appear late; which entries of that overlap are in the queue already is remembered, and
anything that goes in twice all the same (a crash between queue and checkpoint) changes nothing when it is merged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.errors import BadDelivery, Permanent
from shared.meeting.delivery import RecordId, parse_delivery
from shared.meeting.mapping import MappingFile, Resource
from shared.meeting.patch import accepts
from shared.outreach.client import Outreach
from shared.outreach.events import RESOURCE, delivery_body
from shared.storage.checkpoints import Checkpoints
from shared.storage.envelope import Envelope, Trace
from shared.storage.outbox import Outbox
from shared.telemetry import line
from shared.timestamps import Clock, parse_time, sortable, whole_seconds

log = logging.getLogger("outreach_dynamics.missed")

CHECKPOINT = "missed"
# Between two looks.
REST = timedelta(minutes=5)
OVERLAP = timedelta(minutes=10)
# Where there is no checkpoint yet, the first look goes back this far.
FIRST_LOOK = timedelta(hours=1)
PAGE_SIZE = 100
# Per run; what is left waits for the next one, so that a long absence is caught up in steps.
MAX_PAGES = 10
# Within one second there may be more, and that is read to its end.
MOST_PAGES = 1000


class _Attributes(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: Any = None
    created_at: AwareDatetime = Field(alias="createdAt")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: RecordId
    attributes: _Attributes


class Missed:
    """Takes in what webhooks missed. `outreach` is for spare capacity."""

    def __init__(
        self,
        *,
        outreach: Outreach,
        outbox: Outbox,
        checkpoints: Checkpoints,
        mapping: MappingFile,
        now: Clock,
    ) -> None:
        self._outreach = outreach
        self._outbox = outbox
        self._checkpoints = checkpoints
        self._mapping = mapping
        self._now = now

    async def run(self) -> Mapping[str, int]:
        """One look. Counts what was read, sent on, left out for naming no meeting, and unreadable."""
        rule = self._mapping.resources.get(RESOURCE)
        if rule is None:
            return {}
        counts = {"read": 0, "sent": 0, "left_out": 0, "unreadable": 0}
        checkpoint = await self._checkpoint()
        through = parse_time(checkpoint["through"])
        seen: dict[str, str] = dict(checkpoint["seen"])
        # While there is more than one look can read, the overlap waits: it alone could fill every look.
        start = (through if checkpoint["behind"] else through - OVERLAP).replace(microsecond=0)
        pages = 0
        async for page in self._outreach.pages("events", params=_query(rule, start=start), limit=MOST_PAGES):
            pages += 1
            for record in page:
                counts["read"] += 1
                try:
                    entry = _Entry.model_validate(record)
                except ValidationError:
                    counts["unreadable"] += 1
                    _report(str(record.get("id"))[:20], "not_an_entry")
                    continue
                created = entry.attributes.created_at
                # A stamp from the future would make the next looks begin there.
                through = max(through, min(created, self._now()))
                if entry.id not in seen:
                    counts[await self._take(entry, record)] += 1
                    seen[entry.id] = sortable(created)
            seen = {number: at for number, at in seen.items() if at >= sortable(through - OVERLAP)}
            behind = len(page) == PAGE_SIZE
            await self._checkpoints.put(CHECKPOINT, {"through": sortable(through), "seen": seen, "behind": behind})
            # The next look begins with the second that this one ends in, so that must not be the one it began with.
            if pages >= MAX_PAGES and through >= start + timedelta(seconds=1):
                break
        return counts

    async def _checkpoint(self) -> dict[str, Any]:
        """What the last look left; at the very first one it is made and kept, should the look itself fail."""
        checkpoint = await self._checkpoints.get(CHECKPOINT)
        if not checkpoint:
            checkpoint = {"through": sortable(self._now() - FIRST_LOOK), "seen": {}, "behind": False}
            await self._checkpoints.put(CHECKPOINT, checkpoint)
        return checkpoint

    async def _take(self, entry: _Entry, record: Mapping[str, Any]) -> Literal["sent", "left_out", "unreadable"]:
        """Send on one entry, if it counts. One that cannot be is logged, and stops no other."""
        try:
            if not isinstance(entry.attributes.name, str):
                raise BadDelivery("no_name", "The entry has no name.")  # noqa: TRY301 - one way to log it
            body = delivery_body(record)
            if not accepts(parse_delivery(body), self._mapping):
                return "left_out"
            await self._send(entry, body)
        except (BadDelivery, Permanent) as error:
            _report(entry.id, error.code)
            return "unreadable"
        return "sent"

    async def _send(self, entry: _Entry, body: Mapping[str, Any]) -> None:
        correlation_id = uuid4().hex
        envelope = Envelope(
            correlation_id=correlation_id,
            traceparent=Trace.of(trace_id=correlation_id, span_id=uuid4().hex[:16]).traceparent,
            event_id=f"event-{entry.id}",
            event_name=f"{RESOURCE}.{entry.attributes.name}"[:200],
            received_at=sortable(self._now()),
            body=body,
        )
        await self._outbox.put(envelope)


def _report(entry: str, code: str) -> None:
    log.warning(line("entry_not_taken", entry=entry, code=code))


def _query(rule: Resource, *, start: datetime) -> dict[str, str]:
    query = {"filter[createdAt]": f"{whole_seconds(start)}..inf", "sort": "createdAt", "page[size]": str(PAGE_SIZE)}
    return query | ({"filter[name]": ",".join(sorted(rule.actions))} if rule.actions else {})

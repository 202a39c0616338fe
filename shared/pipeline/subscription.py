"""The subscription guard: are Outreach's webhooks to this app alive? If not: say so, and switch them on again.

Outreach switches a webhook off for a minute, an hour or for good when deliveries fail, and tells nobody
(https://developers.outreach.io/api/webhooks). Any update of a webhook takes the temporary kinds back. A webhook that
somebody switched off on purpose looks just like one that Outreach switched off, hence the setting
SYNC_SUBSCRIPTION_GUARD. Where it is `off` no webhook is used, and the sweep has no such part.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared import telemetry
from shared.errors import Permanent, Transient
from shared.labels import digest
from shared.meeting.delivery import RecordId
from shared.outreach.client import API, Outreach
from shared.storage.checkpoints import Checkpoints
from shared.timestamps import Clock, parse_time, sortable

log = logging.getLogger("outreach_dynamics.subscription")

CHECKPOINT = "subscription"
# Between two looks.
REST = timedelta(minutes=10)
EVENTS_PATH = "/api/outreach/events"
# Between two attempts to switch the same webhook on.
FIRST_PAUSE = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(hours=6)
PAGE_SIZE = 100
MAX_PAGES = 10
_LONGEST_REASON = 200
_QUERY = re.compile(r"(\?|%3F|code=)\S*", re.IGNORECASE)


# Only for people to read, so that any form will do.
_Text = Annotated[str | None, BeforeValidator(lambda value: None if value is None else str(value))]


class _Attributes(BaseModel):
    """What is read of a webhook; its `secret` and `cleanupToken` are not, so they can never be shown."""

    model_config = ConfigDict(extra="ignore")
    url: str = ""
    active: bool | None = None
    resource: _Text = None
    action: _Text = None
    disabled_reason: _Text = Field(default=None, alias="disabledReason")
    disabled_since: _Text = Field(default=None, alias="disabledSince")
    disabled_until: _Text = Field(default=None, alias="disabledUntil")

    @property
    def is_disabled(self) -> bool:
        """Switched off, or marked as having been."""
        return self.active is False or bool(self.disabled_reason or self.disabled_since)


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: RecordId
    attributes: _Attributes


@dataclass(frozen=True, slots=True)
class _Tries:
    """How often a webhook was switched on without staying so, and from when on it may be tried again."""

    count: int = 0
    after: str = ""


class Subscription:
    """Watches our webhooks in Outreach. `url` is the app's own address, empty where that is not known."""

    def __init__(
        self,
        *,
        outreach: Outreach,
        checkpoints: Checkpoints,
        url: str,
        guard: Literal["repair", "watch"],
        now: Clock,
    ) -> None:
        self._outreach = outreach
        self._checkpoints = checkpoints
        self._url = url
        self._guard = guard
        self._now = now

    async def run(self) -> Mapping[str, int]:
        """One look at the webhooks that point here. Counts them, the disabled ones, those switched on."""
        if not self._url:
            return {}
        before = {number: _Tries(**tries) for number, tries in (await self._checkpoints.get(CHECKPOINT)).items()}
        after: dict[str, _Tries] = {}
        counts = {"webhooks": 0, "disabled": 0, "repaired": 0}
        for webhook in await self._ours():
            counts["webhooks"] += 1
            tries = before.get(webhook.id, _Tries())
            if webhook.attributes.is_disabled:
                counts["disabled"] += 1
                after[webhook.id] = await self._deal_with(webhook, tries, counts)
            elif tries.after > sortable(self._now()):
                after[webhook.id] = tries  # not long enough alive to forget how often it was not
        if not counts["webhooks"]:
            sentence = f"No Outreach webhook points to {self._url}{EVENTS_PATH}; register one."
            log.error(telemetry.line("subscription", state="missing", sentence=sentence))
        if after != before:
            document = {number: {"count": tries.count, "after": tries.after} for number, tries in after.items()}
            await self._checkpoints.put(CHECKPOINT, document)
        telemetry.SUBSCRIPTION.record(float(counts["webhooks"] > 0 and counts["disabled"] == 0))
        return counts

    async def _ours(self) -> list[_Webhook]:
        found = []
        async for page in self._outreach.pages("webhooks", params={"page[size]": str(PAGE_SIZE)}, limit=MAX_PAGES):
            for record in page:
                try:
                    webhook = _Webhook.model_validate(record)
                except ValidationError:
                    continue
                if _is_same(webhook.attributes.url, self._url):
                    found.append(webhook)
        return found

    async def _deal_with(self, webhook: _Webhook, tries: _Tries, counts: dict[str, int]) -> _Tries:
        """Alert, and switch it on where that is wanted and due."""
        done = "watched"
        if self._guard == "repair":
            done = "waiting"
            if tries.after <= sortable(self._now()):
                done = await self._repair(webhook)
                counts["repaired"] += done == "repaired"
                pause = min(FIRST_PAUSE * 2 ** min(tries.count, 10), LONGEST_PAUSE)
                tries = _Tries(tries.count + 1, sortable(self._now() + pause))
        self._alert(webhook, done, tries)
        return tries

    async def _repair(self, webhook: _Webhook) -> Literal["repaired", "refused", "failed"]:
        number: int | str = int(webhook.id) if webhook.id.isdecimal() else webhook.id
        body = {"data": {"type": "webhook", "id": number, "attributes": {"active": True}}}
        try:
            answer = await self._outreach.request("PATCH", f"{API}webhooks/{webhook.id}", body=body)
        except Permanent:
            return "refused"
        except Transient:
            return "failed"
        return "repaired" if answer is not None else "refused"

    def _alert(self, webhook: _Webhook, done: str, tries: _Tries) -> None:
        attributes = webhook.attributes
        line = telemetry.line(
            "subscription",
            state="disabled",
            webhook=webhook.id,
            resource=attributes.resource,
            action=attributes.action,
            active=attributes.active,
            disabled_reason=without_key(attributes.disabled_reason or "")[:_LONGEST_REASON],
            disabled_since=_moment(attributes.disabled_since),
            disabled_until=_moment(attributes.disabled_until),
            done=done,
            tries=tries.count,
            next_try_after=tries.after or None,
        )
        log.error(line)


def _moment(text: str | None) -> str | None:
    """A time as Outreach wrote it; anything else is known by its digest."""
    try:
        parse_time(text)
    except ValueError:
        return digest(text) if text else None
    return text


def without_key(reason: str) -> str:
    """Outreach's `reason` without what may quote our address with its function key, escaped or not."""
    return _QUERY.sub("", reason)


def _is_same(url: str, ours: str) -> bool:
    """Whether a webhook's `url` leads to this app. Its query, which holds the function key, may be anything."""
    try:
        there, here = httpx.URL(url), httpx.URL(ours)
    except httpx.InvalidURL:
        return False
    return there.netloc == here.netloc and there.path.rstrip("/") == EVENTS_PATH

"""Webhooks in Outreach, as its API has them: read, told apart, and made. Secrets and tokens in them go no further.

https://developers.outreach.io/api/reference/tag/Webhook
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ops.columns import AREA
from ops.findings import Finding
from ops.report import Refused, camel
from shared.errors import Permanent
from shared.meeting.delivery import KNOWN_RESOURCES
from shared.meeting.mapping import MappingFile
from shared.outreach.client import API, Outreach
from shared.outreach.events import RESOURCE as EVENTS_API
from shared.pipeline.subscription import EVENTS_PATH, without_key

PATH = f"{API}webhooks"
_PAGE = "100"
_MAX_PAGES = 50
_MAX_URL = 1024
_MEETINGS = frozenset({"meeting", "calendarEvent"})


class ResourceRefused(Exception):
    """Outreach takes no webhook of this kind (422)."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook. `url` has no query, because the app's function key stands there; `address` has it, to compare."""

    id: str
    resource: str
    action: str
    url: str
    active: bool
    disabled_reason: str
    disabled_since: str
    has_our_secret: bool | None
    address: str = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return camel({name: value for name, value in asdict(self).items() if name != "address"})

    @property
    def is_to_this_app(self) -> bool:
        """Whether it leads to an app of this kind, wherever that is."""
        return urlsplit(self.url).path.rstrip("/") == EVENTS_PATH

    def leads_to(self, app: str) -> bool:
        """Whether it leads to `app`."""
        return self.url.rstrip("/").lower() == f"{app}{EVENTS_PATH}".lower()


async def read_webhooks(outreach: Outreach, *, secrets: Sequence[str]) -> list[Webhook]:
    """All webhooks. `secrets`: ours, to compare."""
    return [
        _webhook(record, secrets)
        async for page in outreach.pages("webhooks", params={"page[size]": _PAGE}, limit=_MAX_PAGES)
        for record in page
    ]


async def create_webhook(outreach: Outreach, *, resource: str, action: str, url: str, secret: str) -> Webhook:
    """Make one. Raises `ResourceRefused` where Outreach does not take this resource."""
    if len(url) > _MAX_URL:
        raise Refused(f"The address is longer than {_MAX_URL} characters.", code="url_too_long")
    attributes = {"resource": resource, "action": action, "url": url, "secret": secret, "payloadVersion": 1}
    try:
        response = await outreach.request("POST", PATH, body={"data": {"type": "webhook", "attributes": attributes}})
    except Permanent as error:
        if error.status == 422:
            raise ResourceRefused from error
        raise
    if response is None:
        raise Refused("Outreach has no webhooks at this address; check OUTREACH_API_URL.", code="not_found")
    return _webhook(response.json()["data"], [secret])


async def change_webhook(outreach: Outreach, webhook_id: str, attributes: Mapping[str, Any]) -> Webhook | None:
    """Change one, which also clears that it was disabled. None where there is none."""
    body = {"data": {"type": "webhook", "id": int(webhook_id), "attributes": dict(attributes)}}
    response = await outreach.request("PATCH", f"{PATH}/{int(webhook_id)}", body=body)
    return None if response is None else _webhook(response.json()["data"], [])


async def remove_webhook(outreach: Outreach, webhook_id: str) -> bool:
    """Remove one; False where there was none."""
    return await outreach.request("DELETE", f"{PATH}/{int(webhook_id)}") is not None


def instead_of(refused: Sequence[str], done: Sequence[str]) -> str:
    """What to do where Outreach took no webhook for `refused`, but for `done`."""
    others = f"Registered: {', '.join(done)}. " if done else ""
    if "*" in refused or not _MEETINGS & set(refused):
        return (
            f"{others}Outreach refuses the webhook for {', '.join(map(repr, refused))} (422). Is the resource one that "
            "it knows and the action one that this has, and is the address public and https? Outreach calls no private "
            "address."
        )
    return (
        f"{others}Outreach takes no webhook for {', '.join(map(repr, refused))} (422): its public list has none for "
        "meetings. Instead, one of:\n"
        "1. webhooks register --resource '*': Outreach then sends every change there is, and the app forgets what the "
        "mapping does not name.\n"
        "2. No webhook: in your own copy of the mapping file set resources.event.enabled to true, and the sweep reads "
        "Outreach's events every five minutes. Set SYNC_SUBSCRIPTION_GUARD to off, or its alerts never end.\n"
        "3. Ask Outreach's support to allow this resource for your organisation."
    )


def webhook_resources(mapping: MappingFile) -> list[str]:
    """The resources of the mapping that Outreach may send; the sweep reads the other one."""
    return [name for name in mapping.resources if name != EVENTS_API]


def unheard_of(mapping: MappingFile) -> Iterator[Finding]:
    """A note for each resource that nobody has heard of: what Outreach sends would be ignored, without a word."""
    known = {name.lower(): name for name in KNOWN_RESOURCES}
    for name in sorted(set(mapping.resources) - set(KNOWN_RESOURCES)):
        near = get_close_matches(name.lower(), known, n=1)
        fix = f"Is {known[near[0]]} meant?" if near else "Look at a delivery: it must be written as in data.type."
        what = f"Outreach is not known to have a resource {name}. Events count only if it is written just so."
        yield Finding(AREA, "warning", what, fix)


def _webhook(record: Mapping[str, Any], secrets: Sequence[str]) -> Webhook:
    attributes = record.get("attributes") or {}
    secret = attributes.get("secret")
    ours = None
    if isinstance(secret, str) and secret and secrets:
        ours = any(hmac.compare_digest(secret.encode(), own.encode()) for own in secrets)
    return Webhook(
        id=str(record.get("id")),
        resource=str(attributes.get("resource") or ""),
        action=str(attributes.get("action") or ""),
        url=without_query(str(attributes.get("url") or "")),
        active=attributes.get("active") is not False,
        disabled_reason=without_key(str(attributes.get("disabledReason") or "")),
        disabled_since=str(attributes.get("disabledSince") or ""),
        has_our_secret=ours,
        address=str(attributes.get("url") or ""),
    )


def without_query(url: str) -> str:
    """`url` up to its query, where the function key stands."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

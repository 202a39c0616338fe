"""Outreach: credentials, what they may read, and whether a webhook leads here and works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ops.findings import Finding
from ops.subscriptions import Webhook, read_webhooks, webhook_resources
from shared.errors import RemoteError, SyncError, Transient, describe
from shared.outreach.client import Outreach
from shared.outreach.events import RESOURCE as EVENTS_API
from shared.settings import Settings

AREA = "Outreach"
SCOPES: Mapping[str, str] = {
    "users": "users.read",
    "prospects": "prospects.read",
    "opportunities": "opportunities.read",
    "events": "events.read",
    "webhooks": "webhooks.all",
}
_NOT_USED = "No webhook is used (SYNC_SUBSCRIPTION_GUARD is off)"
_SETTINGS = "Check OUTREACH_API_URL and the Outreach credentials in the settings."


async def check_outreach(outreach: Outreach, settings: Settings, *, app: str) -> list[Finding]:
    """One small read per scope, then the webhooks. `app`: this app's address, empty where it was not given."""
    found: list[Finding] = []
    not_needed = set()
    if EVENTS_API not in settings.mapping.resources:
        not_needed.add("events")
    if settings.subscription_guard == "off":
        not_needed.add("webhooks")
    needed = {collection: scope for collection, scope in SCOPES.items() if collection not in not_needed}
    for collection, scope in needed.items():
        try:
            await outreach.look_at(collection)
        except RemoteError as error:
            if isinstance(error, Transient) or error.status != 403:
                # The shared access token lies in a table.
                fix = "See Storage above." if error.service == "storage" else _SETTINGS
                return [*found, Finding(AREA, "problem", error.reason, fix)]
            fix = f"Give the app the scope {scope} in Outreach's developer portal, then let it be authorised again."
            found.append(Finding(AREA, "problem", f"The credentials lack the scope {scope}.", fix))
    if not found:
        found.append(
            Finding(AREA, "ok", f"{settings.outreach.url} answers, with the scopes {', '.join(needed.values())}.")
        )
    found += _unsealed(settings)
    if settings.subscription_guard == "off":
        return [*found, _without_webhooks(settings)]
    if any("webhooks" in finding.what for finding in found if finding.state == "problem"):
        return found
    secrets = settings.ingest.secrets
    try:
        webhooks = await read_webhooks(outreach, secrets=() if secrets.unresolved else secrets.known)
    except SyncError as error:
        return [*found, Finding(AREA, "problem", f"The webhooks cannot be read: {describe(error).sentence}", _SETTINGS)]
    return found + _subscription(webhooks, settings, app)


def _unsealed(settings: Settings) -> list[Finding]:
    fix = "infra/hooks/secrets.sh SYNC_TOKEN_KEY puts one into the vault; the next token that is stored is sealed."
    return [Finding(AREA, "warning", settings.outreach.unsealed, fix)] if settings.outreach.unsealed else []


def _without_webhooks(settings: Settings) -> Finding:
    if EVENTS_API in settings.mapping.resources:
        return Finding(AREA, "ok", f"{_NOT_USED}; the sweep reads Outreach's events every five minutes.")
    fix = "Set resources.event.enabled to true in the mapping file; or the setting to repair, then webhooks register."
    return Finding(AREA, "problem", f"{_NOT_USED}, and the mapping does not read Outreach's events either.", fix)


def _subscription(webhooks: Sequence[Webhook], settings: Settings, app: str) -> list[Finding]:
    ours = [one for one in webhooks if (one.leads_to(app) if app else one.is_to_this_app)]
    if not ours:
        where = app or "an app of this kind"
        return [Finding(AREA, "problem", f"No webhook leads to {where}.", "webhooks register.")]
    found = [finding for one in ours for finding in _health(one)]
    wanted = webhook_resources(settings.mapping)
    if not any(one.resource == "*" or one.resource in wanted for one in ours):
        fix = f"webhooks register --resource {wanted[0]}, or --resource '*'."
        found.append(Finding(AREA, "problem", "No webhook is for a resource of the mapping.", fix))
    return found


def _health(one: Webhook) -> list[Finding]:
    name = f"Webhook {one.id} ({one.resource} {one.action})"
    found = []
    if not one.active:
        found.append(Finding(AREA, "problem", f"{name} is switched off.", "webhooks register switches it on again."))
    if one.disabled_reason:
        since = f" since {one.disabled_since}" if one.disabled_since else ""
        fix = "Mend the cause; then webhooks register clears it (the app's sweep does too)."
        found.append(Finding(AREA, "problem", f"{name} is disabled{since}: {one.disabled_reason}", fix))
    if one.has_our_secret is False:
        what = f"{name} has another secret than these settings. An app that has these refuses its deliveries."
        fix = "Set OUTREACH_WEBHOOK_SECRET to the webhook's, or webhooks rotate-secret."
        found.append(Finding(AREA, "problem", what, fix))
    return found or [Finding(AREA, "ok", f"{name} leads here and is active.")]

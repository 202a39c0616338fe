"""Settings and mapping file: every problem, and what is allowed but probably not meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ops.findings import Finding
from ops.subscriptions import unheard_of
from shared.errors import BadSettings
from shared.settings import Settings, read_settings, unknown_names

AREA = "Settings"
_SHORT_SECRET = 24
# What `local.settings.json.example` has where everybody has something else.
_PLACEHOLDERS: Mapping[str, str] = {
    "OUTREACH_WEBHOOK_SECRET": "the secret of your Outreach webhook",
    "DATAVERSE_URL": "https://YOUR-ORG.crm.dynamics.com",
}


def check_settings(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """The settings, or None where they cannot be used, and what was found."""
    noted = [*_left_from_the_example(environment), *_misspelt(environment)]
    try:
        settings = read_settings(environment)
    except BadSettings as error:
        return None, [*(Finding(AREA, "problem", problem) for problem in error.problems), *noted]
    secrets = settings.ingest.secrets.problems
    rows, resources = len(settings.mapping.rows), ", ".join(settings.mapping.resources)
    found = [
        *(Finding(AREA, "problem", problem) for problem in secrets),
        *([] if secrets else [Finding(AREA, "ok", "All settings are there and can be read.")]),
        Finding(AREA, "ok", f"The mapping file has {rows} rows, and reads deliveries of: {resources}."),
    ]
    return settings, [*found, *noted, *unheard_of(settings.mapping), *_doubtful(settings, environment)]


def _left_from_the_example(environment: Mapping[str, str]) -> Iterable[Finding]:
    for name, placeholder in _PLACEHOLDERS.items():
        if environment.get(name, "").strip().rstrip("/").lower() == placeholder.lower():
            fix = "Set it to your own."
            yield Finding(AREA, "problem", f"{name} still has the value of local.settings.json.example.", fix)


def _misspelt(environment: Mapping[str, str]) -> Iterable[Finding]:
    for sentence in unknown_names(environment):
        yield Finding(AREA, "warning", sentence, "Correct its name, or take it away. The settings are in README.md.")


def _doubtful(settings: Settings, environment: Mapping[str, str]) -> Iterable[Finding]:
    policy = settings.policy
    switches = {
        "SYNC_PUSHING": policy.pushing,
        "SYNC_OUTBOUND_CREATE": policy.create,
        "SYNC_OUTBOUND_UPDATE": policy.update,
    }
    for name, on in switches.items():
        if not on:
            fix = f"Events are kept meanwhile and go out when it is on: {name}=true."
            yield Finding(AREA, "warning", f"{name} is off.", fix)
    if environment.get("OUTREACH_WEBHOOK_SECRET_PREVIOUS", "").strip():
        fix = "Empty it when a day has passed since the rotation: webhooks rotate-secret."
        yield Finding(AREA, "warning", "OUTREACH_WEBHOOK_SECRET_PREVIOUS is set: the old secret counts too.", fix)
    if 0 < len(settings.ingest.secrets.current) < _SHORT_SECRET:
        fix = "Make a long random one and rotate to it: webhooks rotate-secret."
        yield Finding(AREA, "warning", f"OUTREACH_WEBHOOK_SECRET has fewer than {_SHORT_SECRET} characters.", fix)
    if settings.outreach.credentials.kind == "token" and settings.outreach.url.startswith("https:"):
        fix = "It ends within hours. Set OUTREACH_S2S_GUID, OUTREACH_S2S_INSTALL_ID and OUTREACH_S2S_PRIVATE_KEY."
        yield Finding(AREA, "warning", "OUTREACH_API_TOKEN is for development.", fix)

"""The settings: one table of all of them, and the environment read into types with every problem listed at once.

`SETTINGS` is what the README table, `local.settings.json.example` and the Bicep files are tested against.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import BadMapping, BadSettings
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.appointment import Policy
from shared.meeting.identity import guid
from shared.meeting.mapping import MappingFile

DEFAULT_QUEUE = "outreach-events"

Guard = Literal["repair", "watch", "off"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in the environment, its default (None: none), what it means, and whether it is secret."""

    name: str
    default: str | None
    meaning: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AzureWebJobsStorage", None, "Storage account: a connection string, or its identity form (`__accountName`, …)"
    ),
    Setting("SYNC_QUEUE_NAME", DEFAULT_QUEUE, "Queue between ingest and sync"),
    Setting("OUTREACH_WEBHOOK_SECRET", None, "Secret of the Outreach webhook, at least 16 characters", secret=True),
    Setting(
        "OUTREACH_WEBHOOK_SECRET_PREVIOUS",
        "",
        "The secret before, of any length, accepted too while you rotate",
        secret=True,
    ),
    Setting("OUTREACH_API_URL", "https://api.outreach.io", "Outreach API"),
    Setting("OUTREACH_ORG_ID", "", "Tells several Outreach organisations apart that write into one Dynamics"),
    Setting("OUTREACH_S2S_GUID", "", "S2S credentials: GUID of the app"),
    Setting("OUTREACH_S2S_INSTALL_ID", "", "S2S credentials: id of the installation"),
    Setting("OUTREACH_S2S_PRIVATE_KEY", "", "S2S credentials: RSA private key, PEM", secret=True),
    Setting("OUTREACH_CLIENT_ID", "", "OAuth credentials: client id"),
    Setting("OUTREACH_CLIENT_SECRET", "", "OAuth credentials: client secret", secret=True),
    Setting("OUTREACH_REFRESH_TOKEN", "", "OAuth credentials: the first refresh token", secret=True),
    Setting("OUTREACH_REDIRECT_URI", "", "OAuth credentials: redirect URI of the app"),
    Setting("OUTREACH_API_TOKEN", "", "Development only: an access token", secret=True),
    Setting(
        "SYNC_TOKEN_KEY",
        "",
        "32 random bytes in base64 that seal the tokens of Outreach in storage; without it they lie there as they are",
        secret=True,
    ),
    Setting("DATAVERSE_URL", None, "Dynamics organisation, for example https://contoso.crm.dynamics.com"),
    Setting("AZURE_CLIENT_ID", "", "Client id of the user-assigned identity"),
    Setting(
        "AZURE_TENANT_ID",
        "",
        "Tenant whose people App Service Authentication may sign in to the console; without it nobody",
    ),
    Setting("SYNC_PUSHING", "true", "Plugin setting Pushing: send anything at all"),
    Setting("SYNC_OUTBOUND_CREATE", "true", "Plugin setting Outbound Create: make new appointments"),
    Setting("SYNC_OUTBOUND_UPDATE", "true", "Plugin setting Outbound Update: change existing appointments"),
    Setting(
        "SYNC_ON_CANCEL", "ignore", "Declined, cancelled or deleted meetings: `ignore`, or `cancel` the appointment"
    ),
    Setting("SYNC_ON_COMPLETE", "complete", "Held meetings: `complete` the appointment, or `ignore`"),
    Setting("SYNC_ALL_DAY_TIME_ZONE", "UTC", "IANA zone in which all-day meetings begin at midnight"),
    Setting("MAPPING_FILE", "", "Your own mapping file; empty for the built-in mapping"),
    Setting(
        "SYNC_RETENTION_DAYS",
        "90",
        "Days that the journal is kept, a dead letter after its last failure, and which records in Dynamics people "
        "were whom Outreach has deleted",
    ),
    Setting(
        "SYNC_MEETING_RETENTION_DAYS",
        "400",
        "Days after its end that a meeting is remembered; then only its ids are",
    ),
    Setting(
        "SYNC_SUBSCRIPTION_GUARD",
        "repair",
        "A disabled Outreach webhook of this app: `repair` it and alert, or `watch`, which only alerts; `off` where no "
        "webhook is used",
    ),
    Setting(
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
        "4194304",
        "Bytes of a request that the Functions host takes in, from anybody; without this setting it is 100 MB",
    ),
    Setting("PUBLIC_URL", "", "Address of this app as Outreach calls it; empty in Azure without a domain of your own"),
)

_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}
_QUEUE_NAME = re.compile(r"[a-z0-9](?!.*--)[a-z0-9-]{1,54}[a-z0-9]")
_DATAVERSE_HOST = re.compile(
    r"[a-z0-9-]+\.(api\.)?crm[0-9]*\.(dynamics\.com|microsoftdynamics\.us|appsplatform\.us|dynamics\.cn)"
)
# Names that begin like this are meant for this app: nothing else on its machine has any.
_OURS = re.compile(r"(sync|outreach|dataverse)_", re.IGNORECASE)
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
# What Azure hands to the app where it could not resolve a reference: anybody can guess it. Azure itself does not mind
# letter case, and people quote it or leave spaces.
# https://learn.microsoft.com/azure/app-service/app-service-key-vault-references
_UNRESOLVED = re.compile(r"@\s*microsoft\s*\.\s*(keyvault|appconfiguration)\b", re.IGNORECASE)
_RESOLVE = "Check that the vault holds the secret and that the app's identity may read it (infra/README.md)."
_UNSEALED = "The tokens of Outreach lie unsealed in the app's storage: SYNC_TOKEN_KEY is not set."
TOKEN_KEY_BYTES = 32
SHORTEST_SECRET = 16
# The previous secret may be shorter: who rotates away from a short one loses nothing meanwhile.
_TOO_SHORT = (
    f"OUTREACH_WEBHOOK_SECRET has fewer than {SHORTEST_SECRET} characters: it could be guessed, so it does not count. "
    "Rotate to a long random one: `python -m ops webhooks rotate-secret` says how."
)
_MOST_DAYS = 3650
# Deliveries and the console's forms fit in; a stranger's bodies, held several times over each, do not fill an instance.
_LEAST_BODY_LIMIT, _MOST_BODY_LIMIT = 1024 * 1024, 4 * 1024 * 1024
_YES, _NO = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where Azure Storage is: a connection string, or account URLs for an identity."""

    connection_string: str = field(default="", repr=False)
    queue_url: str = ""
    table_url: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """What deliveries may be signed with; a secret that is not there, or not known, is empty.

    `unresolved` says whether one is set and not known yet: a reference that Azure could not resolve, or a current
    secret that anybody could guess. A signature that fits no known secret may still be right then. `problems` has what
    is wrong, one sentence each.
    """

    current: str = field(default="", repr=False)
    previous: str = field(default="", repr=False)
    unresolved: bool = False
    problems: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """What a signature is held against."""
        return tuple(secret for secret in (self.current, self.previous) if secret)

    @property
    def digest(self) -> str:
        """Names the known secrets, so that no delivery is tried with the same ones twice."""
        return hashlib.sha256("\n".join(sorted(self.known)).encode()).hexdigest()[:32]

    @property
    def none_set(self) -> bool:
        """Whether there is nothing that a delivery could ever be held against."""
        return not self.known and not self.unresolved


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """All that taking in an event needs. It is separate so that a mistake elsewhere never loses an event."""

    storage: StorageSettings
    queue_name: str
    secrets: WebhookSecrets


@dataclass(frozen=True, slots=True)
class OutreachCredentials:
    """How we prove who we are to Outreach. `kind` names the members that count."""

    kind: Literal["s2s", "oauth", "token", "none"]
    guid: str = ""
    install_id: str = ""
    private_key: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    redirect_uri: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OutreachSettings:
    """All that asking Outreach needs. `token_key`: seals the tokens in storage; empty: they lie there as they are."""

    url: str
    credentials: OutreachCredentials
    token_key: bytes = field(default=b"", repr=False)

    @property
    def unsealed(self) -> str:
        """What to say where tokens lie in storage as they are; empty where they do not."""
        return "" if self.token_key or self.credentials.kind not in {"s2s", "oauth"} else _UNSEALED


@dataclass(frozen=True, slots=True)
class Organisation:
    """Whom the app works for: the id of the Outreach organisation, the host of Dynamics; empty where unknown."""

    outreach: str = ""
    dataverse: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything, checked."""

    ingest: IngestSettings
    outreach: OutreachSettings
    org: str
    dataverse_url: str
    dataverse_needs_token: bool
    client_id: str
    policy: Policy
    mapping: MappingFile
    retention_days: int
    meeting_retention_days: int
    subscription_guard: Guard
    public_url: str

    @property
    def rules_fingerprint(self) -> str:
        """A short text that changes when settings or mapping do, so that parked meetings are looked at again."""
        return hashlib.sha256(f"{self.policy!r}\n{self.mapping!r}".encode()).hexdigest()[:16]


class _Reader:
    """Reads one environment and collects what is wrong with it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """The value, or the default; a setting without a default must be there."""
        value = self._environment.get(name, "").strip()
        if _UNRESOLVED.search(value):
            self.problems.append(_could_not_resolve(name))
            return ""
        if value:
            return value
        default = _DEFAULTS[name]
        if default is None:
            self.problems.append(_missing(name))
            return ""
        return default

    def boolean(self, name: str) -> bool:
        """True or false in the usual spellings."""
        value = self.text(name).lower()
        if value not in _YES | _NO:
            self.problems.append(f"{name} is neither true nor false.")
        return value in _YES

    def choice(self, name: str, *choices: str) -> str:
        """One of `choices`."""
        value = self.text(name).lower()
        if value not in choices:
            self.problems.append(f"{name} must be one of: {', '.join(choices)}.")
        return value

    def days(self, name: str) -> int:
        """A whole number of days, 1 to 3650."""
        value = self.text(name)
        if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= _MOST_DAYS):
            self.problems.append(f"{name} must be a whole number of days, 1 to {_MOST_DAYS}.")
            return 1
        return int(value)

    def url(self, name: str) -> str:
        """An https URL without path; plain http only to a loopback address."""
        value = self.text(name).rstrip("/")
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            self.problems.append(f"{name} is not a URL.")
            return ""
        if not parts.hostname or parts.path or set("?#@") & set(value):
            self.problems.append(f"{name} must be like https://host, without path or user.")
        elif parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            self.problems.append(f"{name} must begin with https:// (plain http only to a loopback address).")
        return value

    def client_id(self) -> str:
        """The id of an identity, or empty."""
        value = self.text("AZURE_CLIENT_ID")
        found = guid(value) or ""
        if value and not found:
            self.problems.append("AZURE_CLIENT_ID is not a GUID. Set the client id of the identity, not its name.")
        return found

    def storage(self) -> StorageSettings:
        """AzureWebJobsStorage in either of its forms."""
        name = "AzureWebJobsStorage"
        client_id = self._environment.get(f"{name}__clientId", "") or self._environment.get("AZURE_CLIENT_ID", "")
        connection_string = self._environment.get(name, "").strip()
        unresolved = _UNRESOLVED.search(connection_string)
        if connection_string and not unresolved:
            expanded = _expanded(connection_string)
            if not _is_connection_string(expanded):
                self.problems.append(
                    f"{name} is not a connection string of a storage account: it needs AccountName and AccountKey, or "
                    "QueueEndpoint, TableEndpoint and SharedAccessSignature."
                )
            return StorageSettings(connection_string=expanded)
        account = self._environment.get(f"{name}__accountName", "").strip()
        queue_url = self._environment.get(f"{name}__queueServiceUri", "").strip()
        table_url = self._environment.get(f"{name}__tableServiceUri", "").strip()
        if account and not _ACCOUNT.fullmatch(account):
            self.problems.append(
                f"{name}__accountName must be the account's name alone: 3 to 24 lower-case letters and digits."
            )
        elif account:
            queue_url = queue_url or f"https://{account}.queue.core.windows.net"
            table_url = table_url or f"https://{account}.table.core.windows.net"
        for suffix, url in (("queueServiceUri", queue_url), ("tableServiceUri", table_url)):
            if url and not re.match(r"https://\w", url):
                self.problems.append(
                    f"{name}__{suffix} must begin with https://, because the identity's token goes there."
                )
        if unresolved and not account and not (queue_url and table_url):
            self.problems.append(_could_not_resolve(name))
        elif not account and not (queue_url and table_url):
            self.problems.append(
                f"{name} is missing. Set a connection string, or {name}__accountName, "
                f"or both {name}__queueServiceUri and {name}__tableServiceUri."
            )
        return StorageSettings("", queue_url.rstrip("/"), table_url.rstrip("/"), client_id)

    def webhook_secrets(self) -> WebhookSecrets:
        """What deliveries may be signed with. Its problems stop nobody else, except where nothing is set."""
        current, previous = "OUTREACH_WEBHOOK_SECRET", "OUTREACH_WEBHOOK_SECRET_PREVIOUS"
        values = {name: self._environment.get(name, "").strip() for name in (current, previous)}
        problems = [_could_not_resolve(name) for name, value in values.items() if _UNRESOLVED.search(value)]
        known = {name: "" if _UNRESOLVED.search(value) else value for name, value in values.items()}
        if 0 < len(known[current]) < SHORTEST_SECRET:
            known[current] = ""
            problems.append(_TOO_SHORT)
        unresolved = bool(problems)
        if not values[current]:
            problems.append(_missing(current))
        secrets = WebhookSecrets(known[current], known[previous], unresolved=unresolved, problems=tuple(problems))
        if secrets.none_set:
            self.problems.extend(problems)
        return secrets

    def token_key(self) -> bytes:
        """The key that seals tokens, in either alphabet of base64; empty where there is none.

        One that cannot be read is a mistake: without it, a refresh token that is sealed already would be given up.
        """
        text = self.text("SYNC_TOKEN_KEY").rstrip("=").replace("-", "+").replace("_", "/")
        try:
            key = b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:
            key = b"?"
        if len(key) not in {0, TOKEN_KEY_BYTES}:
            self.problems.append(
                f"SYNC_TOKEN_KEY is not {TOKEN_KEY_BYTES} bytes in base64. `openssl rand -base64 32` makes one."
            )
        return key

    def credentials(self, *, needed: bool) -> OutreachCredentials:
        """Exactly one complete set of Outreach credentials."""
        sets: dict[Literal["s2s", "oauth", "token"], tuple[str, ...]] = {
            "s2s": ("OUTREACH_S2S_GUID", "OUTREACH_S2S_INSTALL_ID", "OUTREACH_S2S_PRIVATE_KEY"),
            "oauth": ("OUTREACH_CLIENT_ID", "OUTREACH_CLIENT_SECRET", "OUTREACH_REFRESH_TOKEN"),
            "token": ("OUTREACH_API_TOKEN",),
        }
        given = {kind: values for kind, names in sets.items() if any(values := [self.text(name) for name in names])}
        for kind, values in given.items():
            absent = [name for name, value in zip(sets[kind], values, strict=True) if not value]
            if absent:
                self.problems.append(f"{', '.join(absent)} missing: {', '.join(sets[kind])} belong together.")
        if len(given) > 1:
            names = "; ".join(", ".join(sets[kind]) for kind in given)
            self.problems.append(f"Several sets of Outreach credentials. Keep one of: {names}.")
        match list(given.items()):
            case [("s2s", [guid, install_id, key])]:
                return OutreachCredentials(
                    "s2s", guid=guid, install_id=install_id, private_key=key.replace("\\n", "\n")
                )
            case [("oauth", [client_id, client_secret, refresh_token])]:
                redirect = self.text("OUTREACH_REDIRECT_URI")
                return OutreachCredentials(
                    "oauth",
                    client_id=client_id,
                    client_secret=client_secret,
                    refresh_token=refresh_token,
                    redirect_uri=redirect,
                )
            case [("token", [token])]:
                return OutreachCredentials("token", token=token)
        if needed and not given:
            self.problems.append(
                "No Outreach credentials. Set OUTREACH_S2S_GUID, OUTREACH_S2S_INSTALL_ID and OUTREACH_S2S_PRIVATE_KEY."
            )
        return OutreachCredentials("none")


def read_ingest_settings(environment: Mapping[str, str]) -> IngestSettings:
    """The part that `POST /api/outreach/events` needs. Raises `BadSettings` with every problem."""
    reader = _Reader(environment)
    settings = _ingest(reader)
    if reader.problems:
        raise BadSettings(reader.problems)
    return settings


def read_storage_settings(environment: Mapping[str, str]) -> StorageSettings:
    """The part that looking at what there is needs. Raises `BadSettings` with every problem."""
    reader = _Reader(environment)
    storage = reader.storage()
    if reader.problems:
        raise BadSettings(reader.problems)
    return storage


def read_webhook_secrets(environment: Mapping[str, str]) -> WebhookSecrets:
    """What deliveries may be signed with. Raises `BadSettings` where nothing is set."""
    reader = _Reader(environment)
    secrets = reader.webhook_secrets()
    if reader.problems:
        raise BadSettings(reader.problems)
    return secrets


def read_organisation(environment: Mapping[str, str]) -> Organisation:
    """Whom the app works for, as far as the settings say it: one that is missing or wrong is unknown."""
    reader = _Reader(environment)
    outreach, url = reader.text("OUTREACH_ORG_ID"), reader.url("DATAVERSE_URL")
    host = "" if reader.problems else _host(url)
    if is_loopback(host):
        host = "localhost"
    elif not _DATAVERSE_HOST.fullmatch(host):
        host = ""
    return Organisation(outreach, host.replace(".api.", ".", 1))


def read_outreach_settings(environment: Mapping[str, str]) -> OutreachSettings:
    """The part that asking Outreach needs. Raises `BadSettings` with every problem.

    That is storage too where tokens are exchanged: all do it through one table (`shared/outreach/tokens.py`).
    """
    reader = _Reader(environment)
    settings = _outreach(reader)
    own = len(reader.problems)
    if settings.credentials.kind in {"s2s", "oauth"}:
        reader.storage()
    if len(reader.problems) > own:
        reader.problems.append(
            "These Outreach credentials need the app's storage account: the token lies there for whoever uses them, "
            "because one asked for beside it may cost the app its own."
        )
    if reader.problems:
        raise BadSettings(reader.problems)
    return settings


def read_settings(environment: Mapping[str, str]) -> Settings:
    """All settings. Raises `BadSettings` with every problem, one sentence each; no value is repeated in it.

    What is wrong with the webhook's secrets alone stops nothing that is accepted already: it is in `ingest.secrets`.
    """
    reader = _Reader(environment)
    ingest = _ingest(reader)
    outreach = _outreach(reader)
    dataverse_url = reader.url("DATAVERSE_URL")
    loopback = is_loopback(_host(dataverse_url))
    if dataverse_url and not loopback and not _DATAVERSE_HOST.fullmatch(_host(dataverse_url)):
        # A token for this host would be asked for and sent there.
        reader.problems.append("DATAVERSE_URL is not a Dynamics 365 host (such as https://NAME.crm.dynamics.com).")
    policy = Policy(
        pushing=reader.boolean("SYNC_PUSHING"),
        create=reader.boolean("SYNC_OUTBOUND_CREATE"),
        update=reader.boolean("SYNC_OUTBOUND_UPDATE"),
        on_cancel="cancel" if reader.choice("SYNC_ON_CANCEL", "ignore", "cancel") == "cancel" else "ignore",
        on_complete="ignore" if reader.choice("SYNC_ON_COMPLETE", "complete", "ignore") == "ignore" else "complete",
        zone=_zone(reader),
    )
    guard = reader.choice("SYNC_SUBSCRIPTION_GUARD", *get_args(Guard))
    retention_days = reader.days("SYNC_RETENTION_DAYS")
    meeting_retention_days = reader.days("SYNC_MEETING_RETENTION_DAYS")
    public_url = reader.url("PUBLIC_URL")
    if not public_url and (host := environment.get("WEBSITE_HOSTNAME", "").strip()):  # set by Azure
        public_url = f"https://{host}"
    client_id = reader.client_id()
    mapping: MappingFile | None = None
    try:
        mapping = load_mapping(Path(reader.text("MAPPING_FILE") or DEFAULT_MAPPING_FILE))
    except BadMapping as error:
        reader.problems.extend(error.problems)
    if reader.problems or mapping is None:
        raise BadSettings(list(dict.fromkeys([*reader.problems, *ingest.secrets.problems])))
    return Settings(
        ingest=ingest,
        outreach=outreach,
        org=reader.text("OUTREACH_ORG_ID"),
        dataverse_url=dataverse_url,
        dataverse_needs_token=not loopback,
        client_id=client_id,
        policy=policy,
        mapping=mapping,
        retention_days=retention_days,
        meeting_retention_days=meeting_retention_days,
        subscription_guard=cast("Guard", guard),
        public_url=public_url,
    )


def unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each variable that looks like a setting of ours and is none, and so does nothing."""
    unknown = sorted(name for name in environment if _OURS.match(name) and name not in _DEFAULTS)
    return tuple(f"{name} is no setting, so it does nothing.{_perhaps(name)}" for name in unknown)


def _body_limit_note(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Only the host reads this setting, so a wrong one is no reason to carry nothing out."""
    name = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
    value = environment.get(name, "").strip()
    if value.isascii() and value.isdecimal() and _LEAST_BODY_LIMIT <= int(value) <= _MOST_BODY_LIMIT:
        return ()
    return (f"{name} is not {_LEAST_BODY_LIMIT} to {_MOST_BODY_LIMIT}. Set it to {_DEFAULTS[name]}.",)


def platform_signs_in(environment: Mapping[str, str]) -> bool:
    """Whether App Service Authentication guards the app; Azure sets this."""
    return environment.get("WEBSITE_AUTH_ENABLED", "").strip().lower() == "true"


def notes(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What is allowed in the app's environment and hardly meant, a sentence each."""
    return (*unknown_names(environment), *_body_limit_note(environment), *_sign_in_note(environment))


def _sign_in_note(environment: Mapping[str, str]) -> tuple[str, ...]:
    if not platform_signs_in(environment) or guid(environment.get("AZURE_TENANT_ID", "")):
        return ()
    return ("AZURE_TENANT_ID is not the GUID of a tenant, so the platform's sign-in opens no console. Set it.",)


def _perhaps(name: str) -> str:
    near = get_close_matches(name.upper(), _DEFAULTS, n=1)
    return f" Is {near[0]} meant?" if near else ""


def queue_name(environment: Mapping[str, str]) -> str:
    """The queue's name for the trigger, which needs it before anything is checked."""
    return environment.get("SYNC_QUEUE_NAME", "").strip() or DEFAULT_QUEUE


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ingest(reader: _Reader) -> IngestSettings:
    storage = reader.storage()
    queue = reader.text("SYNC_QUEUE_NAME")
    if not _QUEUE_NAME.fullmatch(queue):
        reader.problems.append("SYNC_QUEUE_NAME must be 3 to 56 lower-case letters, digits and single hyphens.")
    return IngestSettings(storage, queue, reader.webhook_secrets())


def _outreach(reader: _Reader) -> OutreachSettings:
    url = reader.url("OUTREACH_API_URL")
    return OutreachSettings(url, reader.credentials(needed=not is_loopback(_host(url))), reader.token_key())


def _zone(reader: _Reader) -> ZoneInfo:
    try:
        return ZoneInfo(reader.text("SYNC_ALL_DAY_TIME_ZONE"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.problems.append("SYNC_ALL_DAY_TIME_ZONE is not an IANA time zone (such as Europe/Berlin).")
        return ZoneInfo("UTC")


def _expanded(connection_string: str) -> str:
    """The short form that Functions tools use for Azurite, written out: the SDK for Python does not know it."""
    if connection_string.rstrip(";").lower() != "usedevelopmentstorage=true":
        return connection_string
    name = "devstoreaccount1"
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    ends = ";".join(
        f"{kind}Endpoint=http://127.0.0.1:{port}/{name}" for kind, port in (("Queue", 10001), ("Table", 10002))
    )
    return f"DefaultEndpointsProtocol=http;AccountName={name};AccountKey={key};{ends};"


def _is_connection_string(text: str) -> bool:
    given = {name.strip().lower() for part in text.split(";") for name, _, value in [part.partition("=")] if value}
    by_key, by_signature = {"accountname", "accountkey"}, {"queueendpoint", "tableendpoint", "sharedaccesssignature"}
    return by_key <= given or by_signature <= given


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _could_not_resolve(name: str) -> str:
    return f"{name} is a Key Vault reference that Azure could not resolve. {_RESOLVE}"


def _missing(name: str) -> str:
    return f"{name} is missing. Set it: {_meaning(name)}."


def _meaning(name: str) -> str:
    return next(setting.meaning for setting in SETTINGS if setting.name == name)

"""The environment, read: every problem told, all at once, and no secret in any sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadSettings
from shared.settings import (
    SETTINGS,
    Settings,
    is_loopback,
    notes,
    queue_name,
    read_ingest_settings,
    read_settings,
    unknown_names,
)
from tests.samples import DEFAULT, law

KEY = "QUJDREVGR0g="
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={KEY};EndpointSuffix=core.windows.net"
GOOD = {
    "AzureWebJobsStorage": CONNECTION,
    "OUTREACH_WEBHOOK_SECRET": "a-webhook-secret",
    "OUTREACH_S2S_GUID": "guid",
    "OUTREACH_S2S_INSTALL_ID": "install",
    "OUTREACH_S2S_PRIVATE_KEY": "-----BEGIN\\nkey",
    "DATAVERSE_URL": "https://contoso.crm4.dynamics.com",
}
IDENTITY = "1b000000-0000-4000-8000-000000000000"
S2S = ("OUTREACH_S2S_GUID", "OUTREACH_S2S_INSTALL_ID", "OUTREACH_S2S_PRIVATE_KEY")
OAUTH = ("OUTREACH_CLIENT_ID", "OUTREACH_CLIENT_SECRET", "OUTREACH_REFRESH_TOKEN")
VAULT = "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/one)"
LOOPBACK = ("localhost", "127.0.0.1", "127.1.2.3", "[::1]")


def read(**changes: str | None) -> Settings:
    """The settings of a good environment with `changes`; None takes one away."""
    return read_settings(environment(**changes))


def environment(**changes: str | None) -> dict[str, str]:
    """That environment."""
    return {name: value for name, value in (GOOD | changes).items() if value is not None}


def problems(**changes: str | None) -> tuple[str, ...]:
    """What is wrong with it."""
    with pytest.raises(BadSettings) as caught:
        read(**changes)
    return caught.value.problems


def test_good() -> None:
    """A complete environment is read into types, with the plugin's meaning as default."""
    settings = read()
    assert settings.ingest.storage.connection_string == CONNECTION
    assert (settings.ingest.queue_name, settings.ingest.secrets.known) == ("outreach-events", ("a-webhook-secret",))
    assert settings.outreach.credentials.kind == "s2s"
    assert settings.outreach.credentials.private_key == "-----BEGIN\nkey"
    assert (settings.dataverse_url, settings.dataverse_needs_token) == (GOOD["DATAVERSE_URL"], True)
    assert settings.outreach.url == "https://api.outreach.io"
    policy = settings.policy
    assert (policy.pushing, policy.create, policy.update) == (True, True, True)
    assert (policy.on_complete, policy.on_cancel, str(policy.zone)) == ("complete", "ignore", "UTC")
    assert settings.mapping == DEFAULT


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.default is None])
def test_required_setting(name: str) -> None:
    """A setting without a default is asked for by name; white space is no value."""
    for value in (None, "", "  "):
        (problem,) = problems(**{name: value})
        assert problem.startswith(f"{name} is missing.")


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.default is not None])
def test_empty_setting_is_its_default(name: str) -> None:
    """An empty or blank value is as good as none."""
    if name not in S2S:
        assert read(**{name: " "}) == read()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AzureWebJobsStorage", "contoso", "not a connection string"),
        ("AzureWebJobsStorage", "AccountName=contoso", "needs AccountName and AccountKey"),
        ("AzureWebJobsStorage", "QueueEndpoint=https://q.example.com", "QueueEndpoint, TableEndpoint and"),
        ("SYNC_QUEUE_NAME", "Events", "3 to 56"),
        ("SYNC_QUEUE_NAME", "ab", "3 to 56"),
        ("SYNC_QUEUE_NAME", "a--b", "3 to 56"),
        ("SYNC_QUEUE_NAME", "-abc", "3 to 56"),
        ("SYNC_QUEUE_NAME", "abc-", "3 to 56"),
        ("SYNC_QUEUE_NAME", "a" * 57, "3 to 56"),
        ("OUTREACH_API_URL", "http://api.example.com", "https://"),
        ("OUTREACH_API_URL", "https://api.example.com/v2", "without path"),
        ("OUTREACH_API_URL", "api.example.com", "https://host"),
        ("DATAVERSE_URL", "https://[contoso", "not a URL"),
        ("DATAVERSE_URL", "https://contoso.crm.dynamics.com:99999", "not a URL"),
        ("DATAVERSE_URL", "https://contoso.crm.dynamics.com/api/data", "without path"),
        ("DATAVERSE_URL", "https://contoso.crm.dynamics.com?x=1", "without path"),
        ("DATAVERSE_URL", "https://contoso.crm.dynamics.com#x", "without path"),
        ("DATAVERSE_URL", "http://contoso.crm.dynamics.com", "https://"),
        ("SYNC_PUSHING", "perhaps", "neither true nor false"),
        ("SYNC_OUTBOUND_CREATE", "2", "neither true nor false"),
        ("SYNC_OUTBOUND_UPDATE", "ja", "neither true nor false"),
        ("SYNC_ON_CANCEL", "delete", "ignore, cancel"),
        ("SYNC_ON_COMPLETE", "cancel", "complete, ignore"),
        ("SYNC_ALL_DAY_TIME_ZONE", "Berlin", "IANA"),
        ("SYNC_ALL_DAY_TIME_ZONE", "../../etc/passwd", "IANA"),
        ("SYNC_ALL_DAY_TIME_ZONE", "Europe", "IANA"),
        ("SYNC_RETENTION_DAYS", "3651", "1 to 3650"),
        ("SYNC_SUBSCRIPTION_GUARD", "no", "repair, watch, off"),
        ("PUBLIC_URL", "http://app.example.com", "https://"),
        ("AZURE_CLIENT_ID", "id-outreach-sync", "not a GUID"),
        ("MAPPING_FILE", "no-such-file.json", "Set MAPPING_FILE"),
    ],
)
def test_each_problem(name: str, value: str, told: str) -> None:
    """Every wrong value is told in one sentence that names its setting or its file."""
    (problem,) = problems(**{name: value})
    assert told in problem
    assert problem.startswith(value if name == "MAPPING_FILE" else name)


def test_all_at_once() -> None:
    """Everything that is wrong is told in one go, the mapping file's mistakes included."""
    found = problems(
        AzureWebJobsStorage=None,
        OUTREACH_WEBHOOK_SECRET=None,
        OUTREACH_S2S_GUID=None,
        DATAVERSE_URL="http://example.com",
        SYNC_PUSHING="perhaps",
        SYNC_ON_CANCEL="x",
        SYNC_ALL_DAY_TIME_ZONE="x",
        SYNC_QUEUE_NAME="X",
        SYNC_RETENTION_DAYS="x",
        MAPPING_FILE="no-such-file.json",
    )
    for name in ("AzureWebJobsStorage", "OUTREACH_WEBHOOK_SECRET", "OUTREACH_S2S_GUID", "SYNC_PUSHING"):
        assert sum(problem.startswith(name) for problem in found) == 1
    for name in ("SYNC_ON_CANCEL", "SYNC_ALL_DAY_TIME_ZONE", "SYNC_QUEUE_NAME", "SYNC_RETENTION_DAYS"):
        assert sum(problem.startswith(name) for problem in found) == 1
    assert sum("no-such-file.json" in problem for problem in found) == 1
    assert sum(problem.startswith("DATAVERSE_URL") for problem in found) == 2


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYNC_ONCANCEL", "SYNC_ON_CANCEL"),
        ("SYNC_OUTBOUND_CREAT", "SYNC_OUTBOUND_CREATE"),
        ("sync_pushing", "SYNC_PUSHING"),
        ("OUTREACH_WEBHOOKSECRET", "OUTREACH_WEBHOOK_SECRET"),
        ("DATAVERSE_URI", "DATAVERSE_URL"),
    ],
)
def test_misspelt_name(name: str, meant: str) -> None:
    """A name that no setting has is told with the one that is meant, for it would silently do nothing."""
    assert unknown_names(environment(**{name: "false"})) == (
        f"{name} is no setting, so it does nothing. Is {meant} meant?",
    )


def test_names_that_are_nobodys_mistake() -> None:
    """Every setting is known, and what other software reads is none of ours."""
    assert unknown_names({setting.name: "" for setting in SETTINGS} | {"SYNCTHING": "1", "PATH": "/bin"}) == ()
    assert unknown_names({"SYNC_XYZZY": "1"}) == ("SYNC_XYZZY is no setting, so it does nothing.",)


def test_mapping_problems_are_all_listed(tmp_path: Path) -> None:
    """Each mistake in the mapping file is a sentence of its own."""
    path = tmp_path / "mine.json"
    path.write_text('{"version": 2, "resources": {}, "rows": []}', encoding="utf-8")
    assert len(problems(MAPPING_FILE=str(path))) == 3


SECRETS = [setting.name for setting in SETTINGS if setting.secret]
WEBHOOK_SECRETS = ("OUTREACH_WEBHOOK_SECRET", "OUTREACH_WEBHOOK_SECRET_PREVIOUS")
REFERENCES = [
    VAULT,
    VAULT.lower(),
    VAULT.upper(),
    "@microsoft.keyvault(VaultName=contoso;SecretName=one)",
    "@ Microsoft . KeyVault ( SecretUri=https://contoso.vault.azure.net/secrets/one )",
    f"  {VAULT}\n",
    f'"{VAULT}"',
    "@Microsoft.KeyVault",
    "@Microsoft.AppConfiguration(Endpoint=https://contoso.azconfig.io; Key=secret)",
]


@law
@given(
    st.dictionaries(
        st.sampled_from([setting.name for setting in SETTINGS]), st.from_regex(r"[zqx]{8,20}", fullmatch=True)
    )
)
def test_no_value_in_any_message(changes: dict[str, str]) -> None:
    """Whatever is set, no sentence repeats it: a secret may stand in the wrong place. A file is named by its path."""
    changes.pop("MAPPING_FILE", None)
    try:
        read_settings(GOOD | changes)
    except BadSettings as error:
        text = str(error)
        for value in [*changes.values(), KEY, GOOD["OUTREACH_WEBHOOK_SECRET"], GOOD["OUTREACH_S2S_PRIVATE_KEY"]]:
            assert value not in text


@pytest.mark.parametrize("url", ["https://user:hunter2@contoso.crm.dynamics.com", "https://[hunter2"])
def test_no_password_of_a_url(url: str) -> None:
    """Nor the password that somebody wrote into a URL."""
    assert all("hunter2" not in problem for problem in problems(DATAVERSE_URL=url))


class TestKeyVault:
    @pytest.mark.parametrize("name", [name for name in SECRETS if name not in WEBHOOK_SECRETS])
    @pytest.mark.parametrize("reference", REFERENCES)
    def test_literal_is_refused(self, name: str, reference: str) -> None:
        """A reference that Azure did not resolve is no secret, however it is written: anybody could guess it."""
        others = {} if name.startswith("OUTREACH_S2S") else dict.fromkeys(S2S)
        found = problems(**others, **{name: reference})
        assert any(problem.startswith(f"{name} is a Key Vault reference") for problem in found)
        assert all("vault.azure.net" not in problem for problem in found)

    @pytest.mark.parametrize("reference", REFERENCES)
    def test_connection_string(self, reference: str) -> None:
        """An unresolved connection string is none."""
        (problem,) = problems(AzureWebJobsStorage=reference)
        assert problem.startswith("AzureWebJobsStorage is a Key Vault reference")


class TestWebhookSecrets:
    @pytest.mark.parametrize("reference", [*REFERENCES, "fifteen letters"])
    def test_a_current_secret_that_is_none_is_not_known_yet(self, reference: str) -> None:
        """It is told, and no signature is held against it; what was accepted already is carried out."""
        secrets = read(OUTREACH_WEBHOOK_SECRET=reference).ingest.secrets
        assert (secrets.known, secrets.unresolved, secrets.none_set) == ((), True, False)
        (problem,) = secrets.problems
        assert problem.startswith("OUTREACH_WEBHOOK_SECRET ")
        assert reference not in problem

    @pytest.mark.parametrize("reference", REFERENCES)
    def test_a_previous_secret_that_is_none_takes_nothing_from_the_current(self, reference: str) -> None:
        """Deliveries signed with the current one are known to be right."""
        secrets = read(OUTREACH_WEBHOOK_SECRET_PREVIOUS=reference).ingest.secrets
        assert (secrets.known, secrets.unresolved) == (("a-webhook-secret",), True)
        (problem,) = secrets.problems
        assert problem.startswith("OUTREACH_WEBHOOK_SECRET_PREVIOUS is a Key Vault reference")

    def test_both_secrets(self) -> None:
        """While rotating both secrets count, the current one first; the one before may be a short one."""
        secrets = read(
            OUTREACH_WEBHOOK_SECRET_PREVIOUS="x", OUTREACH_WEBHOOK_SECRET=" sixteen letters. "
        ).ingest.secrets
        assert (secrets.known, secrets.unresolved, secrets.problems) == (("sixteen letters.", "x"), False, ())

    def test_previous_secret_alone(self) -> None:
        """It counts, so that nothing is turned away; that the current one is missing is told."""
        found = environment(OUTREACH_WEBHOOK_SECRET=None, OUTREACH_WEBHOOK_SECRET_PREVIOUS="older")
        secrets = read_ingest_settings(found).secrets
        assert (secrets.known, secrets.unresolved, secrets.none_set) == (("older",), False, False)
        assert [problem.split(".")[0] for problem in secrets.problems] == ["OUTREACH_WEBHOOK_SECRET is missing"]

    def test_none_at_all(self) -> None:
        """Without any secret nothing can be taken in."""
        with pytest.raises(BadSettings, match="OUTREACH_WEBHOOK_SECRET is missing"):
            read_ingest_settings(environment(OUTREACH_WEBHOOK_SECRET=None, OUTREACH_WEBHOOK_SECRET_PREVIOUS=" "))

    def test_told_with_all_the_rest(self) -> None:
        """Where other settings are wrong too, all is told at once."""
        found = problems(OUTREACH_WEBHOOK_SECRET="short", SYNC_PUSHING="perhaps")
        assert {problem.split()[0] for problem in found} == {"OUTREACH_WEBHOOK_SECRET", "SYNC_PUSHING"}

    def test_no_secret_is_printed(self) -> None:
        """Nobody who logs the settings logs a secret."""
        settings = read(OUTREACH_WEBHOOK_SECRET_PREVIOUS="an-older-secret")
        assert not [secret for secret in settings.ingest.secrets.known if secret in repr(settings)]


class TestIngest:
    def test_mistakes_elsewhere_lose_no_event(self) -> None:
        """Taking events in needs its own settings and no others."""
        bad = {"DATAVERSE_URL": "x", "SYNC_PUSHING": "x", "MAPPING_FILE": "none.json", "OUTREACH_S2S_GUID": ""}
        assert read_ingest_settings(GOOD | bad) == read().ingest

    def test_queue_name_for_the_trigger(self) -> None:
        """The trigger's queue is that of the settings."""
        assert queue_name({}) == queue_name({"SYNC_QUEUE_NAME": " "}) == "outreach-events"
        assert queue_name({"SYNC_QUEUE_NAME": " mine "}) == read(SYNC_QUEUE_NAME=" mine ").ingest.queue_name == "mine"


class TestStorage:
    def test_account_name(self) -> None:
        """The identity form by account name gives both addresses."""
        storage = read(
            AzureWebJobsStorage=None, AzureWebJobsStorage__accountName="contoso", AZURE_CLIENT_ID=IDENTITY
        ).ingest.storage
        assert storage.connection_string == ""
        assert storage.queue_url == "https://contoso.queue.core.windows.net"
        assert storage.table_url == "https://contoso.table.core.windows.net"
        assert storage.client_id == IDENTITY

    def test_service_addresses(self) -> None:
        """The identity form by addresses needs both of them."""
        queue = {"AzureWebJobsStorage": None, "AzureWebJobsStorage__queueServiceUri": "https://q.example.com/"}
        assert problems(**queue)[0].startswith("AzureWebJobsStorage is missing")
        both = queue | {"AzureWebJobsStorage__tableServiceUri": "https://t.example.com"}
        storage = read(**both).ingest.storage
        assert (storage.queue_url, storage.table_url) == ("https://q.example.com", "https://t.example.com")

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"accountName": "https://contoso.blob.core.windows.net"}, "AzureWebJobsStorage__accountName"),
            ({"queueServiceUri": "contoso", "tableServiceUri": "https://t.example.com"}, "AzureWebJobsStorage__queueS"),
            (
                {"queueServiceUri": "https://q.example.com", "tableServiceUri": "http://t"},
                "AzureWebJobsStorage__tableS",
            ),
        ],
    )
    def test_wrong_identity_form(self, given: dict[str, str], told: str) -> None:
        """A mistake in the identity form is told once, by the setting's full name."""
        found = problems(
            AzureWebJobsStorage=None, **{f"AzureWebJobsStorage__{name}": text for name, text in given.items()}
        )
        assert len(found) == 1
        assert found[0].startswith(told)

    def test_a_key_before_the_name(self) -> None:
        """The parts of a connection string have no order."""
        text = "AccountKey=a2V5;AccountName=contoso;EndpointSuffix=core.windows.net"
        assert read(AzureWebJobsStorage=text).ingest.storage.connection_string == text

    @pytest.mark.parametrize("text", ["UseDevelopmentStorage=true", "usedevelopmentstorage=TRUE;"])
    def test_short_form_for_azurite(self, text: str) -> None:
        """The short form is written out, which the SDK needs."""
        expanded = read(AzureWebJobsStorage=text).ingest.storage.connection_string
        assert "QueueEndpoint=http://127.0.0.1:10001/" in expanded
        assert "TableEndpoint=http://127.0.0.1:10002/" in expanded

    def test_shared_access_signature(self) -> None:
        """A connection string of endpoints with a signature instead of a key is one."""
        text = "QueueEndpoint=https://q.example.com;TableEndpoint=https://t.example.com;SharedAccessSignature=sig"
        assert read(AzureWebJobsStorage=text).ingest.storage.connection_string == text


class TestCredentials:
    none = dict.fromkeys(S2S)

    def test_oauth(self) -> None:
        """Client id, secret and refresh token are the second form."""
        given = dict.fromkeys(S2S) | {name: name.lower() for name in OAUTH} | {"OUTREACH_REDIRECT_URI": "https://x"}
        found = read(**given).outreach.credentials
        assert (found.kind, found.client_id, found.client_secret) == ("oauth", OAUTH[0].lower(), OAUTH[1].lower())
        assert (found.refresh_token, found.redirect_uri) == (OAUTH[2].lower(), "https://x")

    def test_token(self) -> None:
        """A token alone is the third."""
        found = read(**dict.fromkeys(S2S), OUTREACH_API_TOKEN="token").outreach.credentials
        assert (found.kind, found.token) == ("token", "token")

    @pytest.mark.parametrize("names", [S2S, OAUTH])
    def test_parts_of_a_set(self, names: tuple[str, ...]) -> None:
        """A set of which a part is missing is told with that part."""
        for missing in names:
            given = dict.fromkeys(S2S) | {name: "x" for name in names if name != missing}
            (problem,) = problems(**given)
            assert problem.startswith(f"{missing} missing")

    def test_none(self) -> None:
        """Without credentials the start stops, except where Outreach is a stand-in on this machine."""
        (problem,) = problems(**self.none)
        assert problem.startswith("No Outreach credentials")
        assert read(**self.none, OUTREACH_API_URL="http://127.0.0.1:8080").outreach.credentials.kind == "none"


class TestHosts:
    @pytest.mark.parametrize("host", LOOPBACK)
    def test_loopback(self, host: str) -> None:
        """Plain http is for this machine, and no token is asked for there."""
        settings = read(DATAVERSE_URL=f"http://{host}:5000", OUTREACH_API_URL=f"http://{host}")
        assert not settings.dataverse_needs_token
        assert settings.dataverse_url == f"http://{host}:5000"

    @pytest.mark.parametrize(
        "host",
        [
            "0.0.0.0",  # noqa: S104 - what must be refused
            "10.0.0.1",
            "128.0.0.1",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "[::]",
            "2130706433",
            "127.1",
        ],
    )
    def test_not_loopback(self, host: str) -> None:
        """What only looks like this machine is not."""
        assert any("loopback" in problem for problem in problems(OUTREACH_API_URL=f"http://{host}"))
        assert not is_loopback(host.strip("[]"))

    @pytest.mark.parametrize(
        "url",
        [
            "https://contoso.crm.dynamics.com",
            "https://contoso.crm11.dynamics.com/",
            "https://contoso.api.crm4.dynamics.com",
            "https://CONTOSO.crm.dynamics.com",
            "https://contoso.crm9.dynamics.com:443",
            "https://contoso.crm.microsoftdynamics.us",
            "https://contoso.crm.appsplatform.us",
            "https://contoso.crm.dynamics.cn",
        ],
    )
    def test_dataverse_hosts(self, url: str) -> None:
        """Every cloud's Dynamics hosts are taken, and get a token."""
        assert read(DATAVERSE_URL=url).dataverse_needs_token

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com",
            "https://crm.dynamics.com",
            "https://contoso.crm.dynamics.com.example.com",
            "https://contoso-crm.dynamics.com",
            "https://example.com\\.crm.dynamics.com",
            "https://contoso.crmx.dynamics.com",
            "https://a.b.crm.dynamics.com",
            "https://contoso.crm.dynamics.com@example.com",
            "https://contoso.crm.dynamics.com:pass@example.com",
            "ftp://contoso.crm.dynamics.com",
        ],
    )
    def test_other_hosts(self, url: str) -> None:
        """A token for another host would be asked for and sent there: refused."""
        assert any(problem.startswith("DATAVERSE_URL") for problem in problems(DATAVERSE_URL=url))

    @pytest.mark.parametrize("url", ["https://contoso.crm.dynamics.com?", "https://contoso.crm.dynamics.com#"])
    def test_empty_query(self, url: str) -> None:
        """A path would be joined behind the mark of an empty query or fragment: refused."""
        assert any(problem.startswith("DATAVERSE_URL must be like") for problem in problems(DATAVERSE_URL=url))


@pytest.mark.parametrize("text", ["", "4MB", "-1", "1048575", "4194305", "104857600", "4194304.0"])
def test_a_limit_on_bodies_that_protects_nobody_is_noted(text: str) -> None:
    """Too much fills the memory, too little turns deliveries away; it stops nothing, since only the host reads it."""
    name = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
    (note,) = notes({name: text})
    assert note.startswith(f"{name} is not 1048576 to 4194304.")
    assert notes({name: "4194304"}) == notes({name: " 1048576 "}) == ()
    assert read(**{name: text}) == read()


@pytest.mark.parametrize("tenant", ["", "common", "contoso.onmicrosoft.com", VAULT])
def test_a_sign_in_that_lets_nobody_in_is_noted(tenant: str) -> None:
    """Only the people of one tenant may come in, so there must be one; where nobody signs in, none is needed."""
    limit = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "4194304"}
    signing_in = limit | {"WEBSITE_AUTH_ENABLED": "True", "AZURE_TENANT_ID": tenant}
    assert [note.split(",")[0] for note in notes(signing_in)] == ["AZURE_TENANT_ID is not the GUID of a tenant"]
    assert notes(signing_in | {"AZURE_TENANT_ID": IDENTITY}) == notes(limit | {"AZURE_TENANT_ID": tenant}) == ()


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on", "false", "False", "0", "no", "OFF"])
def test_booleans(text: str) -> None:
    """The usual spellings, letter case aside."""
    expected = text.lower() in {"true", "1", "yes", "on"}
    policy = read(SYNC_PUSHING=text, SYNC_OUTBOUND_CREATE=text, SYNC_OUTBOUND_UPDATE=text).policy
    assert (policy.pushing, policy.create, policy.update) == (expected,) * 3


def test_choices() -> None:
    """The policies for held and called-off meetings, and the zone."""
    policy = read(SYNC_ON_CANCEL="Cancel", SYNC_ON_COMPLETE="IGNORE", SYNC_ALL_DAY_TIME_ZONE="Europe/Berlin").policy
    assert (policy.on_cancel, policy.on_complete, str(policy.zone)) == ("cancel", "ignore", "Europe/Berlin")


def test_table_of_settings() -> None:
    """Names are unique, meanings are told, and whatever is called a secret, key or token is marked as one."""
    names = [setting.name for setting in SETTINGS]
    assert len(set(names)) == len(names)
    assert all(setting.meaning for setting in SETTINGS)
    told = {name for name in names if any(word in name for word in ("SECRET", "PRIVATE_KEY", "TOKEN"))}
    assert told == set(SECRETS)

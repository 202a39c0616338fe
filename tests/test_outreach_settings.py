"""The settings of the Outreach side, read from an environment."""

from __future__ import annotations

import pytest

from shared.errors import BadSettings
from shared.settings import Settings, read_settings

COMPLETE = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "OUTREACH_WEBHOOK_SECRET": "a-secret-for-tests-only",
    "OUTREACH_API_TOKEN": "a-token-for-tests-only",
    "DATAVERSE_URL": "https://contoso.crm.dynamics.com",
}


def read(**changes: str) -> Settings:
    return read_settings(COMPLETE | changes)


def test_defaults() -> None:
    """Journals are kept for 90 days, dead webhooks are repaired, and nobody is called from a laptop."""
    settings = read()
    assert (settings.retention_days, settings.subscription_guard, settings.public_url) == (90, "repair", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"WEBSITE_HOSTNAME": "app.azurewebsites.net"}, "https://app.azurewebsites.net"),
        ({"PUBLIC_URL": "https://sync.example.com/"}, "https://sync.example.com"),
        (
            {"WEBSITE_HOSTNAME": "app.azurewebsites.net", "PUBLIC_URL": "https://sync.example.com"},
            "https://sync.example.com",
        ),
    ],
)
def test_where_the_app_is(given: dict[str, str], expected: str) -> None:
    """The address is Azure's own name for the app, unless the admin says another."""
    assert read(**given).public_url == expected


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"SYNC_RETENTION_DAYS": "0"}, "SYNC_RETENTION_DAYS"),
        ({"SYNC_RETENTION_DAYS": "-1"}, "SYNC_RETENTION_DAYS"),
        ({"SYNC_RETENTION_DAYS": "4000"}, "SYNC_RETENTION_DAYS"),
        ({"SYNC_RETENTION_DAYS": "ninety"}, "SYNC_RETENTION_DAYS"),
        ({"SYNC_RETENTION_DAYS": "²"}, "SYNC_RETENTION_DAYS"),
        ({"SYNC_TOKEN_KEY": "c2hvcnQ="}, "SYNC_TOKEN_KEY is not 32 bytes"),
        ({"SYNC_TOKEN_KEY": "no base64!"}, "SYNC_TOKEN_KEY is not 32 bytes"),
        ({"SYNC_TOKEN_KEY": "@Microsoft.KeyVault(VaultName=v;SecretName=s)"}, "SYNC_TOKEN_KEY"),
        ({"SYNC_SUBSCRIPTION_GUARD": "none"}, "SYNC_SUBSCRIPTION_GUARD"),
        ({"PUBLIC_URL": "http://sync.example.com"}, "PUBLIC_URL"),
        ({"OUTREACH_CLIENT_ID": "id", "OUTREACH_CLIENT_SECRET": "x", "OUTREACH_REFRESH_TOKEN": "y"}, "Keep one of"),
        ({"OUTREACH_CLIENT_ID": "id"}, "OUTREACH_CLIENT_SECRET, OUTREACH_REFRESH_TOKEN missing"),
        ({"PUBLIC_URL": "https://sync.example.com/api/outreach/events"}, "PUBLIC_URL"),
    ],
)
def test_mistakes_are_told(given: dict[str, str], problem: str) -> None:
    """A value that makes no sense stops the start with a sentence that names the setting."""
    with pytest.raises(BadSettings) as told:
        read(**given)
    assert any(problem in sentence for sentence in told.value.problems)


@pytest.mark.parametrize("text", ["+/" * 21 + "8=", "-_" * 21 + "8=", "+/" * 21 + "8"])
def test_a_key_in_either_alphabet(text: str) -> None:
    """What `openssl rand -base64 32` prints, what Python calls safe for a URL, and either without its padding."""
    key = read(SYNC_TOKEN_KEY=text).outreach.token_key
    assert (len(key), key[:2]) == (32, b"\xfb\xff")


def test_tokens_that_lie_unsealed_are_told() -> None:
    """Without a key, where there are tokens to store."""
    s2s = {"OUTREACH_S2S_GUID": "g", "OUTREACH_S2S_INSTALL_ID": "i", "OUTREACH_S2S_PRIVATE_KEY": "k"}
    assert "SYNC_TOKEN_KEY" in read(**s2s, OUTREACH_API_TOKEN="").outreach.unsealed
    assert read(**s2s, OUTREACH_API_TOKEN="", SYNC_TOKEN_KEY="+/" * 21 + "8=").outreach.unsealed == ""
    assert read().outreach.unsealed == ""

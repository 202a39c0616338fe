"""The script that fills the vault, run against an `az` that only writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infra/hooks/secrets.sh"

# One line for each call: the arguments, and what reached it by the environment.
AZ = """#!/bin/sh
echo "$* | ${SECRET_SETTING:-} ${SECRET_VALUE:-}" >> "$CALLS"
case "$*" in
"resource show"*) echo "/subscriptions/0/$8" ;;
"rest --method get"*)
    [ "$PRESENT" != forbidden ] || exit 1
    printf '%s' "$PRESENT" ;;
esac
"""


class Vault:
    """A vault that holds `present`, one name a line; `calls` is what `az` was asked."""

    def __init__(self, folder: Path) -> None:
        self._calls = folder / "calls"
        self._az = folder / "az"
        self._az.write_text(AZ)
        self._az.chmod(0o755)

    def run(self, *settings: str, present: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        self._calls.write_text("")
        shell = shutil.which("sh")
        assert shell
        return subprocess.run(  # noqa: S603 - our own script
            [shell, str(SCRIPT), *settings],
            env={
                "PATH": f"{self._az.parent}:{os.environ['PATH']}",
                "CALLS": str(self._calls),
                "PRESENT": present,
                "AZURE_RESOURCE_GROUP": "group",
                "KEY_VAULT_NAME": "vault",
                "FUNCTION_APP_NAME": "app",
                "VAULT_SETTINGS": "OUTREACH_WEBHOOK_SECRET OUTREACH_API_TOKEN",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def written(self) -> dict[str, str]:
        """Setting to value, as they reached the template."""
        pairs = [line.partition(" | ")[2].split(" ", 1) for line in self._calls.read_text().splitlines()]
        return {setting: value for setting, value in pairs if setting}

    @property
    def arguments(self) -> list[str]:
        return [line.partition(" | ")[0] for line in self._calls.read_text().splitlines()]

    @property
    def refreshed(self) -> bool:
        return any("configreferences/appsettings/refresh" in call for call in self.arguments)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Yield an empty vault."""
    return Vault(tmp_path)


def test_only_what_is_missing_is_put(vault: Vault) -> None:
    """A secret that is there keeps its value, however often the script runs."""
    done = vault.run(present="outreach-webhook-secret\n", OUTREACH_API_TOKEN="token-1")
    assert done.returncode == 0, done.stderr
    assert vault.written == {"OUTREACH_API_TOKEN": "token-1"}
    assert vault.refreshed


def test_nothing_missing_nothing_done(vault: Vault) -> None:
    """The app is not disturbed by a run without a change."""
    done = vault.run(present="outreach-api-token\noutreach-webhook-secret\n")
    assert done.returncode == 0, done.stderr
    assert vault.written == {}
    assert not vault.refreshed


def test_the_webhook_secret_is_made_up(vault: Vault) -> None:
    """256 random bits in hexadecimal, other ones each time."""
    made = set()
    for _ in range(2):
        assert vault.run(present="outreach-api-token").returncode == 0
        made.add(vault.written["OUTREACH_WEBHOOK_SECRET"])
    assert len(made) == 2
    assert all(len(bytes.fromhex(secret)) == 32 for secret in made)


def test_the_key_for_tokens_is_made_up(vault: Vault) -> None:
    """32 random bytes in base64, other ones each time; it comes from the environment too."""
    made = set()
    for _ in range(2):
        assert vault.run("SYNC_TOKEN_KEY").returncode == 0
        made.add(vault.written["SYNC_TOKEN_KEY"])
    assert len(made) == 2
    assert all(len(b64decode(key, validate=True)) == 32 for key in made)
    assert vault.run("SYNC_TOKEN_KEY", SYNC_TOKEN_KEY="mine").returncode == 0
    assert vault.written == {"SYNC_TOKEN_KEY": "mine"}


def test_a_webhook_secret_that_could_be_guessed_is_not_stored(vault: Vault) -> None:
    """The app takes none under 16 characters for a secret, so the vault never gets one."""
    done = vault.run(present="outreach-api-token", OUTREACH_WEBHOOK_SECRET="fifteen letters")
    assert done.returncode != 0
    assert "at least 16 characters" in done.stderr
    assert "fifteen" not in done.stderr
    assert vault.written == {}


def test_who_may_not_look_changes_nothing(vault: Vault) -> None:
    """A refusal is not an empty vault: the real webhook secret is not overwritten."""
    assert vault.run(present="forbidden", OUTREACH_API_TOKEN="token-1").returncode != 0
    assert vault.written == {}


def test_values_are_no_arguments(vault: Vault) -> None:
    """Arguments can be read in the list of processes and in a shell's trace."""
    assert vault.run(OUTREACH_WEBHOOK_SECRET="a-secret-of-ours-1", OUTREACH_API_TOKEN="token-1").returncode == 0
    assert vault.written == {"OUTREACH_WEBHOOK_SECRET": "a-secret-of-ours-1", "OUTREACH_API_TOKEN": "token-1"}
    assert not [call for call in vault.arguments if "a-secret-of-ours-1" in call or "token-1" in call]


def test_a_value_that_nobody_gives_is_named(vault: Vault) -> None:
    """Without a person to ask, the message says which variable to set."""
    done = vault.run(present="outreach-webhook-secret")
    assert done.returncode != 0
    assert "Put its value into the environment variable OUTREACH_API_TOKEN" in done.stderr
    assert vault.written == {}


def test_a_named_setting_is_put_anew(vault: Vault) -> None:
    """Rotation: the value there is replaced by a new version."""
    done = vault.run("OUTREACH_API_TOKEN", present="outreach-api-token", OUTREACH_API_TOKEN="token-2")
    assert done.returncode == 0, done.stderr
    assert vault.written == {"OUTREACH_API_TOKEN": "token-2"}
    assert vault.refreshed


def test_a_value_may_be_a_file(vault: Vault, tmp_path: Path) -> None:
    """A private key comes from the file that Outreach gave out."""
    key = tmp_path / "key.pem"
    key.write_text("one-line-key")
    assert vault.run("OUTREACH_S2S_PRIVATE_KEY", OUTREACH_S2S_PRIVATE_KEY=f"@{key}").returncode == 0
    assert vault.written == {"OUTREACH_S2S_PRIVATE_KEY": "one-line-key"}


def test_a_missing_output_is_named(vault: Vault) -> None:
    """Started outside azd, the script says what it needs."""
    done = vault.run(KEY_VAULT_NAME="")
    assert done.returncode != 0
    assert "KEY_VAULT_NAME is not set" in done.stderr

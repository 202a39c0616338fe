"""The app reads the same settings that Bicep sets, the example file shows and the README lists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shared.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS_BICEP = (ROOT / "infra/modules/settings.bicep").read_text()
APP_BICEP = (ROOT / "infra/modules/app.bicep").read_text()
MAIN_BICEP = (ROOT / "infra/main.bicep").read_text()

# Read by the Functions host and its Python worker, never by our code.
OF_THE_PLATFORM = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "AzureWebJobsDisableHomepage",
    "FUNCTIONS_WORKER_RUNTIME",  # only on a laptop: in Azure it is part of functionAppConfig
}
READ = {setting.name for setting in SETTINGS}


def block(text: str, start: str, end: str) -> str:
    """What stands between two marks, each of which must be there."""
    _, found, rest = text.partition(start)
    assert found, start
    inside, found, _ = rest.partition(end)
    assert found, end
    return inside


def keys(text: str) -> set[str]:
    return set(re.findall(r"^\s+(\w+): ", text, re.MULTILINE))


def without_form(name: str) -> str:
    """`AzureWebJobsStorage__queueServiceUri` is one of the forms of `AzureWebJobsStorage`."""
    return name.partition("__")[0]


def plain() -> set[str]:
    return keys(block(SETTINGS_BICEP, "type plainSettings = {", "\n}"))


def defaults() -> dict[str, str]:
    return dict(re.findall(r"^\s+(\w+): '(.*)'$", block(SETTINGS_BICEP, "var plainDefaults = {", "\n}"), re.MULTILINE))


def secret() -> set[str]:
    credentials = block(SETTINGS_BICEP, "var credentialSettings = {", "\n}")
    webhook = block(MAIN_BICEP, "var secretSettings = [", "]")
    previous = keys(block(MAIN_BICEP, "var previousWebhookSecret =", "\n    }"))
    return {*re.findall(r"'([A-Z][A-Z0-9_]+)'", credentials + webhook), *previous}


def of_the_app_itself() -> set[str]:
    return keys(block(APP_BICEP, "properties: union(settings, {", "\n    })"))


def set_by_bicep() -> set[str]:
    return {without_form(name) for name in plain() | secret() | of_the_app_itself()} - OF_THE_PLATFORM


def in_the_example() -> set[str]:
    values = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    return {without_form(name) for name in values} - OF_THE_PLATFORM


def in_the_readme() -> set[str]:
    rows = re.findall(r"^\| `([A-Za-z][A-Za-z0-9_]+)` ", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {without_form(name) for name in rows if name in READ or re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", name)}


@pytest.mark.parametrize("name", sorted(READ))
def test_every_setting_that_is_read_is_set_by_bicep(name: str) -> None:
    """A setting that the app reads can be given in Azure."""
    assert name in set_by_bicep()


@pytest.mark.parametrize("name", sorted(READ))
def test_every_setting_that_is_read_is_in_the_example(name: str) -> None:
    """A developer finds every setting in local.settings.json.example."""
    assert name in in_the_example()


@pytest.mark.parametrize("name", sorted(READ))
def test_every_setting_that_is_read_is_in_the_readme(name: str) -> None:
    """An admin finds every setting in the README's table."""
    assert name in in_the_readme()


@pytest.mark.parametrize("listed", [set_by_bicep, in_the_example, in_the_readme], ids=lambda listed: listed.__name__)
def test_nothing_is_listed_that_nobody_reads(listed: object) -> None:
    """A setting that the app stopped reading is gone everywhere."""
    assert callable(listed)
    assert listed() - READ == set()


def test_the_defaults_of_bicep_are_those_of_the_app() -> None:
    """Leaving a setting out means the same in Azure and on a laptop."""
    assert defaults() == {
        setting.name: setting.default for setting in SETTINGS if setting.name in plain() - {"DATAVERSE_URL"}
    }


def test_the_host_takes_in_as_much_in_azure_as_on_a_laptop() -> None:
    """The limit on bodies, which only the host reads, is the same number everywhere."""
    name = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
    (setting,) = [setting for setting in SETTINGS if setting.name == name]
    values = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    assert (re.findall(rf"{name}: '(\d+)'", APP_BICEP), values[name]) == ([setting.default], setting.default)


def test_secrets_come_from_the_vault_only() -> None:
    """A setting that is secret has no place among the plain ones."""
    secrets = {setting.name for setting in SETTINGS if setting.secret}
    assert secrets <= secret()
    assert secrets & (plain() | of_the_app_itself()) == set()


@pytest.mark.parametrize("name", sorted(plain() - {"DATAVERSE_URL"}))
def test_every_plain_setting_can_be_given_by_the_environment(name: str) -> None:
    """`azd env set NAME value` reaches the app under the same name."""
    parameters = (ROOT / "infra/main.bicepparam").read_text()
    assert f"{name}: readEnvironmentVariable('{name}', plainDefaults.{name})" in parameters

"""What the Bicep files promise that no compiler checks: least privilege, no keys, and sizes that fit Dataverse."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from shared.pipeline.held import BOUNDS
from tests.test_function_app import bindings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "infra").rglob("*.bicep"))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
MAIN = TEXTS["infra/main.bicep"]
STORAGE = TEXTS["infra/modules/storage.bicep"]
APP = TEXTS["infra/modules/app.bicep"]

# https://learn.microsoft.com/power-apps/developer/data-platform/api-limits
DATAVERSE_CONCURRENT_REQUESTS = 52

NEEDED_ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner: the host's leases, keys and package
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88",  # Storage Queue Data Contributor
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",  # Storage Table Data Contributor
    "3913510d-42f4-4e42-8a64-420c390055eb",  # Monitoring Metrics Publisher
    "4633458b-17de-408a-b874-0445c86b69e6",  # Key Vault Secrets User
}

# https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
REFUSED_BY_THE_PLAN = (
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENT",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_VNET_ROUTE_ALL",
    "alwaysOn",
    "cors",
    "ftpsState",
    "linuxFxVersion",
    "vnetRouteAllEnabled",
)


def default_of(parameter: str) -> str:
    found = re.search(rf"^param {parameter} \w+ = (.+)$", MAIN, re.MULTILINE)
    assert found, parameter
    return found[1].strip("'")


def test_all_instances_together_stay_below_dataverses_concurrency() -> None:
    """Every instance may work on a full batch at once without Dataverse turning one away."""
    queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
    at_once = int(default_of("maximumInstanceCount")) * (queues["batchSize"] + queues["newBatchThreshold"])
    assert at_once <= DATAVERSE_CONCURRENT_REQUESTS


def test_what_is_held_leaves_room_for_other_requests() -> None:
    """While storage is away health and console answer, whatever number is chosen."""
    least = re.search(r"^@minValue\((\d+)\)\n(?:@.*\n)*param httpConcurrency int", MAIN, re.MULTILINE)
    assert least
    assert BOUNDS.calls < int(least[1]) <= int(default_of("httpConcurrency"))


def test_the_pythons_agree() -> None:
    """The Makefile takes what the packages have, CI runs the oldest and the newest of these, Azure takes no others."""
    oldest, newest = map(int, re.findall(r"\(3, (\d+)\)", (ROOT / "Makefile").read_text()))
    taken = [f"3.{minor}" for minor in range(oldest, newest + 1)]
    allowed = re.search(r"@allowed\((.+)\)\n@description\(.+\)\nparam pythonVersion ", MAIN)
    assert allowed is not None
    assert re.findall(r"'(.+?)'", allowed[1]) == taken
    ran = re.findall(r'- python: "(.+?)"', (ROOT / ".github/workflows/ci.yml").read_text())
    assert ran == [taken[0], taken[-1]]


def test_the_oldest_python_is_the_one_that_is_deployed_and_checked() -> None:
    """What runs on it runs on every newer one; the type checker reads the code as the oldest does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    oldest = project["project"]["requires-python"].partition(">=")[2].partition(",")[0]
    assert default_of("pythonVersion") == project["tool"]["mypy"]["python_version"] == oldest
    assert project["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_scale_groups_name_functions_that_exist() -> None:
    """A warm instance is kept for a function of this app, not for a name of the past."""
    groups = set(re.findall(r"'function:(\w+)'", MAIN))
    assert groups
    assert groups <= bindings().keys()


def test_every_table_of_the_app_is_declared() -> None:
    """The app finds its tables there; it need not make them."""
    used = {
        name
        for path in (ROOT / "shared").glob("*/*.py")
        for name in re.findall(r'^_?TABLE = "(\w+)"$', path.read_text(), re.MULTILINE)
    }
    declared = re.search(r"^var tables = \[(.+)\]$", STORAGE, re.MULTILINE)
    assert declared
    assert used
    assert used <= set(re.findall(r"'(\w+)'", declared[1]))


def test_the_identity_gets_the_roles_it_needs_and_no_other() -> None:
    """Least privilege, held against a list with reasons."""
    guids = re.findall(r"'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'", "".join(TEXTS.values()))
    assert sorted(guids) == sorted(NEEDED_ROLES)


def test_role_assignments_are_named_by_scope_principal_and_role() -> None:
    """The same assignment has the same name in every deployment, and another one another name."""
    resources = [
        resource
        for text in TEXTS.values()
        for resource in re.split(r"^(?=resource )", text, flags=re.MULTILINE)
        if "Microsoft.Authorization/roleAssignments@" in resource
    ]
    assert resources
    for resource in resources:
        assert re.search(r"^ +scope: \w+$", resource, re.MULTILINE)
        assert re.search(r"^ +name: guid\(\w+\.id, principalId, [\w.]+\)$", resource, re.MULTILINE)


@pytest.mark.parametrize("path", TEXTS)
def test_a_second_deployment_changes_nothing(path: str) -> None:
    """No file asks for the time or for a new name."""
    assert not re.search(r"\b(utcNow|newGuid|deployment)\(", TEXTS[path])


@pytest.mark.parametrize("path", TEXTS)
def test_no_file_asks_for_a_key(path: str) -> None:
    """Identity everywhere: nothing lists keys or makes connection strings from them."""
    assert not re.search(r"\blist(Keys|AccountSas|ServiceSas|Secrets)?\(|AccountKey|SharedAccess", TEXTS[path])


@pytest.mark.parametrize("name", REFUSED_BY_THE_PLAN)
def test_nothing_is_set_that_the_plan_refuses(name: str) -> None:
    """Flex Consumption takes these elsewhere or not at all."""
    assert name not in APP


@pytest.mark.parametrize("path", [path for path in TEXTS if "output " in TEXTS[path]])
def test_outputs_tell_no_secret(path: str) -> None:
    """Outputs stay readable in the deployment's history for everybody with access to it."""
    values = re.findall(r"^output \w+ \S+ = (.+)$", TEXTS[path], re.MULTILINE)
    assert values
    assert not [value for value in values if re.search(r"properties\.value|listKeys|InstrumentationKey|code=", value)]


def test_one_name_in_the_vault_for_one_setting() -> None:
    """The reference, the template that writes the value and the script that looks for it name it alike."""
    rule = "toLower(replace(setting, '_', '-'))"
    assert rule in TEXTS["infra/modules/settings.bicep"]
    assert rule in TEXTS["infra/secret.bicep"]
    assert "tr 'A-Z_' 'a-z-'" in (ROOT / "infra/hooks/secrets.sh").read_text()

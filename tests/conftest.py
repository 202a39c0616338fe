"""What every test may ask for: real storage, and names in it that no other test uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_args

import pytest
from azure.data.tables.aio import TableServiceClient

from sandbox.azurite import Azurite, StorageNames
from sandbox.functions_host import HostNotAtHand, start_program
from sandbox.outreach.store import Store
from sandbox.stack import HostKind
from shared.storage.account import Table
from tests.clock import Clock
from tests.environment import forget_the_shell
from tests.outreach.support import outreach_stand_in
from tests.patience import be_patient, take_the_hurry_off
from tests.product.bench import Installation, installation
from tests.summary import SUMMARY
from tests.tools import odata

# Files of which each takes one process for minutes.
_LONGEST = {"test_all_schedules", "test_as_deployed", "test_azd_up", "test_bench_run", "test_stop_and_start"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--host=functions` is what `make test HOST=functions` hands on."""
    sentence = "what runs the app where a test starts it as a process; functions runs those tests alone"
    parser.addoption("--host", choices=get_args(HostKind), default="sandbox", help=sentence)
    sentence = "take the long way everywhere: deaths in the largest cases of the simulation, ten times the histories"
    parser.addoption("--all", action="store_true", dest="everything", help=sentence)


def pytest_configure(config: pytest.Config) -> None:
    """Keep only what tests may take from the environment, wait long, and give the lines of the end a place.

    In a worker of xdist the lines are part of what it hands over when it ends.
    """
    forget_the_shell(os.environ)
    be_patient()
    config.stash[SUMMARY] = getattr(config, "workeroutput", {}).setdefault("summary", [])
    if config.getoption("host") == "functions":
        try:
            start_program()
        except HostNotAtHand as error:
            raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process works on alone while the others have nothing left.

    On the real host leave out the tests that start no host: they would be the same on either.
    """
    items.sort(key=lambda item: item.path.stem not in _LONGEST)
    if config.getoption("host") == "functions":
        others = [item for item in items if not _starts_a_host(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _starts_a_host(item: pytest.Item) -> bool:
    """Whether the test takes its host from the option, or is, of a test on both hosts, the case for the real one."""
    case = getattr(item, "callspec", None)
    return "host_kind" in getattr(item, "fixturenames", ()) or (
        case is not None and "functions" in case.params.values()
    )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over a worker's lines; one that crashed has none."""
    node.config.stash[SUMMARY] += getattr(node, "workeroutput", {}).get("summary", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the lines."""
    for line in config.stash[SUMMARY]:
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On real storage, which may be slow, the product has time; where its limits are the subject, it has its own."""
    if "azurite" in request.fixturenames and request.node.get_closest_marker("in_time") is None:
        take_the_hurry_off(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def taken_by_dataverse() -> Iterator[odata.Taken]:
    """What the stand-in for Dataverse takes in this process; after the last test the real library reads all of it."""
    with odata.taking() as taken:
        yield taken
    if taken and odata.missing() is None:
        refused = taken.refused()
        assert not refused, refused


@pytest.fixture(scope="session")
def host_kind(pytestconfig: pytest.Config) -> HostKind:
    """What a test's `Stack` runs the app on."""
    kind: HostKind = pytestconfig.getoption("host")
    return kind


@pytest.fixture(scope="module", params=get_args(HostKind))
def either_host(request: pytest.FixtureRequest) -> HostKind:
    """One host after the other; the real one is skipped where it is not at hand, saying where it was looked for."""
    kind: HostKind = request.param
    if kind == "functions":
        try:
            start_program()
        except HostNotAtHand as error:
            pytest.skip(str(error))
    return kind


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Yield the connection string of the one Azurite that the whole test run shares."""
    with Azurite(persistence="memory") as running:
        yield running.connection_string


@pytest.fixture
def storage_names() -> StorageNames:
    """Names for queues and tables that no other test uses."""
    return StorageNames(f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until it is moved."""
    return Clock()


@pytest.fixture
async def tables(azurite: str, storage_names: StorageNames) -> AsyncIterator[Callable[[str], Table]]:
    """Tables by name, which no other test sees."""
    async with TableServiceClient.from_connection_string(azurite) as service:
        yield lambda name: Table(service, storage_names.table(name))


@pytest.fixture
async def stand_in() -> AsyncIterator[tuple[Store, str]]:
    """A fresh Outreach stand-in: its insides and its address."""
    async with outreach_stand_in() as made:
        yield made


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames) -> AsyncIterator[Installation]:
    """A fresh installation with default settings, in this process."""
    async with installation(azurite, storage_names.queue("events")) as made:
        yield made

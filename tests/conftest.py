"""What every test may ask for: real storage, and names in it that no other test uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.azurite import Azurite, StorageNames
from tests.summary import SUMMARY


def pytest_configure(config: pytest.Config) -> None:
    """In a worker of xdist the lines are part of what it hands over when it ends."""
    config.stash[SUMMARY] = getattr(config, "workeroutput", {}).setdefault("summary", [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over a worker's lines; one that crashed has none."""
    node.config.stash[SUMMARY] += getattr(node, "workeroutput", {}).get("summary", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the lines."""
    for line in config.stash[SUMMARY]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Yield the connection string of the one Azurite that the whole test run shares."""
    with Azurite(persistence="memory") as running:
        yield running.connection_string


@pytest.fixture
def storage_names() -> StorageNames:
    """Names for queues and tables that no other test uses."""
    return StorageNames(f"t{uuid.uuid4().hex[:12]}")

"""Two ways to try the command line: parts of the app in this process, and the whole stack as separate processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from sandbox.azurite import StorageNames
from sandbox.stack import Stack
from tests.ops.commands import Commands
from tests.product.bench import Installation, installation


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames) -> AsyncIterator[Installation]:
    """A fresh installation with default settings, in this process."""
    async with installation(azurite, storage_names.queue("events")) as made:
        yield made


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The app on its host, Azurite and both stand-ins, for all tests of the command line."""
    with Stack("ops", logs=tmp_path_factory.mktemp("ops-logs")) as running:
        yield running


@pytest.fixture
def ops(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """The command line with the stack's settings; what a test changes in the stand-ins is put back."""
    commands = Commands(stack, monkeypatch)
    commands.reset()
    yield commands
    commands.close()

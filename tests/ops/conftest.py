"""The whole stack as separate processes, for the command line to talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.stack import HostKind, Stack
from tests.ops.commands import Commands


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, host_kind: HostKind) -> Iterator[Stack]:
    """The app on its host, Azurite and both stand-ins, for all tests of the command line."""
    with Stack("ops", host=host_kind, logs=tmp_path_factory.mktemp("ops-logs")) as running:
        yield running


@pytest.fixture
def ops(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """The command line with the stack's settings; what a test changes in the stand-ins is put back."""
    commands = Commands(stack, monkeypatch)
    commands.reset()
    yield commands
    commands.close()

"""What every test may ask for: real storage, and names in it that no other test uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from sandbox.azurite import Azurite, StorageNames


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Yield the connection string of the one Azurite that the whole test run shares."""
    with Azurite(persistence="memory") as running:
        yield running.connection_string


@pytest.fixture
def storage_names() -> StorageNames:
    """Names for queues and tables that no other test uses."""
    return StorageNames(f"t{uuid.uuid4().hex[:12]}")

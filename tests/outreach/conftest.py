"""What a test of the Outreach side may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from azure.data.tables.aio import TableServiceClient

from sandbox.azurite import StorageNames
from sandbox.outreach.store import Store
from shared.adapters.storage import Table
from tests.outreach.support import Clock, standing_in
from tests.product.bench import Installation, installation


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
    async with standing_in() as made:
        yield made


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames) -> AsyncIterator[Installation]:
    """A fresh installation with default settings."""
    async with installation(azurite, storage_names.queue("events")) as made:
        yield made

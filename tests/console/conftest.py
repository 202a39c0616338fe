"""The console of an installation in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.azurite import StorageNames
from tests.product.bench import Installation, installation


@pytest.fixture
async def product(azurite: str, storage_names: StorageNames) -> AsyncIterator[Installation]:
    """A fresh installation with default settings."""
    async with installation(azurite, storage_names.queue("events")) as made:
        yield made

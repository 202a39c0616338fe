from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp.test_utils import TestServer

from sandbox.dataverse import Store, create_app
from sandbox.dataverse.seed import seed
from tests.sandbox.dataverse.org import AT, Org


@pytest.fixture
async def org() -> AsyncIterator[Org]:
    """Serve a freshly seeded organisation whose clock stands still."""
    store = Store(clock=lambda: AT)
    seed(store)
    headers = {"OData-Version": "4.0", "OData-MaxVersion": "4.0"}
    async with TestServer(create_app(store)) as server:
        base = str(server.make_url("/api/data/v9.2"))
        async with httpx.AsyncClient(base_url=base, headers=headers) as api:
            yield Org(store, api, str(server.make_url("/__sandbox")))

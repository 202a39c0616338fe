"""Clients of the account: how they find their way out of the machine."""

from __future__ import annotations

import pytest

from shared.settings import StorageSettings
from shared.storage.account import queue_service, table_service


@pytest.mark.parametrize("service", [table_service, queue_service])
@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
async def test_a_proxy_is_looked_for_only_where_one_is_set(
    service: type, proxy: str | None, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that looks for one starts a thread for it, which is half of what the call costs."""
    monkeypatch.delenv("https_proxy", raising=False)
    if proxy:
        monkeypatch.setenv("https_proxy", proxy)
    async with service(StorageSettings(azurite), None) as client:
        transport = (
            client._client._client._pipeline._transport if service is table_service else client._pipeline._transport
        )
        await transport.open()
        assert transport.session.trust_env is (proxy is not None)

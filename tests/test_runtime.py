"""The parts of the app, made once and closed together."""

from __future__ import annotations

import pytest
from azure.core.credentials import AccessToken

from shared import runtime


async def test_identities_are_closed_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity keeps connections of its own; left open, a command ends with complaints about them."""

    class Identity:
        async def get_token(self, *_: str) -> AccessToken:
            return AccessToken("a-token", 2_000_000_000)

        async def close(self) -> None:
            closed.append(self)

    made: list[Identity] = []
    closed: list[Identity] = []

    def make(*_: object) -> Identity:
        made.append(Identity())
        return made[-1]

    monkeypatch.setattr(runtime, "azure_credential", make)
    settings = {
        "AzureWebJobsStorage__accountName": "contoso",
        "OUTREACH_WEBHOOK_SECRET": "a-webhook-secret",
        "OUTREACH_API_TOKEN": "a-token",
        "DATAVERSE_URL": "https://contoso.crm.dynamics.com",
    }
    parts = runtime.Runtime(settings)
    _ = parts.queue, parts.dataverse, parts.meetings
    await parts.aclose()
    assert len(made) == 2
    assert closed == made

"""An app that runs on its host: send it an event, and look up what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from sandbox.outreach.deliveries import Delivery
from sandbox.stack import EVENTS_ROUTE, Stack
from shared.pipeline.signature import sign
from tests.patience import PATIENCE

ANSWER_SECONDS: Final = PATIENCE


@dataclass(frozen=True)
class RunningApp:
    """The app of a stack that is up."""

    stack: Stack

    @property
    def admin(self) -> dict[str, str]:
        """The admin's key."""
        return {"x-functions-key": self.stack.access.admin_key}

    def get(self, path: str) -> httpx.Response:
        """What an admin is answered."""
        return httpx.get(f"{self.stack.host_url}/api/{path}", headers=self.admin, timeout=ANSWER_SECONDS)

    def post(self, path: str, document: Any) -> httpx.Response:
        """What an admin is answered to this document."""
        url = f"{self.stack.host_url}/api/{path}"
        return httpx.post(url, json=document, headers=self.admin, timeout=ANSWER_SECONDS)

    def deliver(self, delivery: Delivery | bytes, **headers: str) -> httpx.Response:
        """The answer to an event, signed and sent with the function key, however long it takes."""
        body = delivery if isinstance(delivery, bytes) else delivery.body
        url = f"{self.stack.host_url}{EVENTS_ROUTE}"
        return httpx.post(url, content=body, headers=self._signed(body) | headers, timeout=ANSWER_SECONDS)

    def deliver_at_once(self, deliveries: Iterable[Delivery]) -> list[str]:
        """Send events side by side; returns their correlation ids. Each must be accepted."""

        async def send() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=self.stack.host_url, timeout=ANSWER_SECONDS) as client:
                posts = (
                    client.post(EVENTS_ROUTE, content=one.body, headers=self._signed(one.body)) for one in deliveries
                )
                return await asyncio.gather(*posts)

        answers = asyncio.run(send())
        assert {answer.status_code for answer in answers} == {202}
        return [str(answer.json()["correlationId"]) for answer in answers]

    def _signed(self, body: bytes) -> dict[str, str]:
        access = self.stack.access
        signature = sign(body, access.webhook_secret)
        return {"x-functions-key": access.function_key, "outreach-webhook-signature": signature}

    def journal(self, correlation_id: str, *, until: tuple[str, ...] = ()) -> dict[str, Any]:
        """The journal of an event, as soon as it is carried out, or has one of the outcomes in `until`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.get(f"correlations/{correlation_id}")
            if found.status_code == 200 and (not until or found.json()["outcome"] in until):
                entry: dict[str, Any] = found.json()
                if entry["outcome"] != "retrying":
                    return entry
            time.sleep(0.1)
        raise AssertionError(f"{correlation_id} was not carried out: {found.text}")

    def carry_out(self, delivery: Delivery | bytes, **headers: str) -> dict[str, Any]:
        """Send an event and wait for its journal."""
        answer = self.deliver(delivery, **headers)
        assert answer.status_code == 202, answer.text
        return self.journal(str(answer.json()["correlationId"]))

    def wait_for_a_worker(self) -> None:
        """Return when the app itself answers: after a kill the host answers 500 until its new worker has loaded it."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self.deliver(b"", **{"outreach-webhook-signature": "-"})).status_code != 401:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)

    def sweep(self) -> None:
        """Let the timer run once more, now."""
        url = f"{self.stack.host_url}/admin/functions/sweep"
        httpx.post(url, json={}, headers=self.admin, timeout=ANSWER_SECONDS).raise_for_status()

    def dataverse(self, lever: str, document: Any = None) -> Any:
        """Move a lever of the Dataverse stand-in, or look (without `document`)."""
        url = f"{self.stack.dataverse.url}/__sandbox/{lever}"
        response = httpx.get(url) if document is None else httpx.post(url, json=document)
        return response.raise_for_status().json()

"""Runs the commands as an admin would type them, and reaches into the stand-ins behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from ops.cli import app
from sandbox.outreach.sender import SIGNATURE, signature
from sandbox.stack import Stack
from tests.patience import PATIENCE

WIDTH = 100


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


def problems(result: Result) -> list[str]:
    """What `doctor --json` or `mapping check --json` found to mend, each with its fix."""
    return [f"{one['what']} {one['fix']}" for one in result.document["findings"] if one["state"] == "problem"]


class Commands:
    """`run("status", "5")` is `python -m ops status 5` with the stack's settings in the environment."""

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self._monkeypatch = monkeypatch
        self._http = httpx.Client(timeout=PATIENCE)
        self.environment: dict[str, str] = {
            **stack.app_settings(),
            "OPS_APP_URL": stack.host_url,
            "OPS_APP_KEY": stack.access.admin_key,
            "OPS_FUNCTION_KEY": stack.access.function_key,
            "COLUMNS": str(WIDTH),
            "NO_COLOR": "1",
        }

    def run(self, *arguments: str, given: str | None = None, **changes: str | None) -> Result:
        """Run one command; `given`: standard input; `changes` to the environment, None to take a variable away."""
        environment = {**self.environment, **changes}
        with self._monkeypatch.context() as patch:
            for name, value in environment.items():
                if value is None:
                    patch.delenv(name, raising=False)
                else:
                    patch.setenv(name, value)
            done = CliRunner().invoke(app, list(arguments), input=given, prog_name="python -m ops")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def dataverse(self, lever: str, given: Mapping[str, Any] | None = None) -> Any:
        """Move a lever of the Dataverse stand-in, or look (without `given`)."""
        return self._control(self.stack.dataverse.url, lever, given)

    def outreach(self, lever: str, given: Mapping[str, Any] | None = None) -> Any:
        """Move a lever of the Outreach stand-in, or look (without `given`)."""
        return self._control(self.stack.outreach.url, lever, given)

    def forge(self, content: str) -> int:
        """Send a delivery that is signed with another secret; returns the status of the answer."""
        body = content.encode()
        headers = {SIGNATURE: signature(body, "another-secret-than-ours")}
        return self._http.post(self.stack.webhook_url, content=body, headers=headers).status_code

    def reset(self) -> None:
        """Put both stand-ins back to their beginning."""
        self.dataverse("reset", {})
        self.outreach("reset", {})

    def close(self) -> None:
        """Let go."""
        self._http.close()

    def _control(self, url: str, lever: str, given: Mapping[str, Any] | None) -> Any:
        address = f"{url}/__sandbox/{lever}"
        response = self._http.get(address) if given is None else self._http.post(address, json=dict(given))
        response.raise_for_status()
        return response.json()


def booked(meeting: int, **attributes: Any) -> dict[str, Any]:
    """A delivery that makes an appointment."""
    return {
        "data": {
            "type": "meeting",
            "id": meeting,
            "attributes": {
                "title": "Intro call",
                "startTime": "2026-03-02T15:00:00.000Z",
                "endTime": "2026-03-02T15:30:00.000Z",
                "bookedAt": "2026-02-20T09:00:00.000Z",
                "updatedAt": "2026-02-20T09:00:00.000Z",
                **attributes,
            },
            "relationships": {
                "user": {"type": "user", "id": 1},
                "booker": {"type": "user", "id": 2},
                "prospects": [{"type": "prospect", "id": 101}, {"type": "prospect", "id": 108}],
            },
        },
        "meta": {"eventName": "meeting.created", "deliveredAt": "2026-02-20T09:00:01.000Z"},
    }


def saved(folder: Path, document: Mapping[str, Any], name: str = "delivery.json") -> str:
    """The path of a file with `document` in it."""
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)

"""The host's own routes: its state, a run by hand, and what only this host has, counts for tests.

https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http. Who may not call them hears the same
as in Azure of all of them; to an admin, those that this host does not have are not found.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any, Final

from sandbox.host.invoke import Counts, Invoker
from sandbox.host.keys import Keys, presented_key
from sandbox.host.load import AppFunction, HttpTrigger
from sandbox.host.queues import QueueListener
from sandbox.host.server import Answer, BodyUnreadable, Request
from sandbox.host.timers import TimerListener

# Method and path of what the real host has for admins.
_FOR_ADMINS: Final = re.compile(
    r"GET /admin/(?:functions|functions/[^/]+/status|instance/info|host/(?:status|keys|systemkeys|config))"
    r"|\S+ /admin/functions/[^/]+"
    r"|\S+ /runtime/webhooks/[^/]+(?:/.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
# The app's files: closed, to an admin too.
_FILES: Final = re.compile(r"\S+ /admin/vfs(?:/.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_RUN: Final = re.compile(r"POST /admin/functions/([^/]+)", re.IGNORECASE | re.ASCII)
_BEARER: Final = (("WWW-Authenticate", "Bearer"),)
_UNCACHED: Final = (("Cache-Control", "no-store,no-cache"), ("Pragma", "no-cache"))


class AdminRoutes:
    """`/admin/...` and `/runtime/...` as in the real host, and `/__sandbox/host`."""

    def __init__(
        self,
        functions: Mapping[str, AppFunction],
        *,
        invoker: Invoker,
        keys: Keys,
        listeners: Mapping[str, QueueListener | TimerListener],
    ) -> None:
        """`functions` and `listeners` by function name; both are read at every request."""
        self._functions = functions
        self._invoker = invoker
        self._keys = keys
        self._listeners = listeners
        self._started = time.monotonic()
        self._by_hand: set[asyncio.Task[None]] = set()
        self._open: Mapping[str, Callable[[], Answer]] = {
            "get /__sandbox/host": self._report,
            "get /admin/host/ping": _ping,
            "post /admin/host/ping": _ping,
            "get /admin/warmup": _nothing,
        }

    def has(self, request: Request) -> bool:
        """Whether this request is for one of these routes."""
        asked = _asked(request)
        return asked.lower() in self._open or any(kind.fullmatch(asked) for kind in (_FOR_ADMINS, _FILES))

    async def finish(self) -> None:
        """Wait for runs that were begun by hand."""
        await asyncio.gather(*self._by_hand, return_exceptions=True)

    async def answer(self, request: Request) -> Answer:
        """Answer one request for these routes."""
        asked = _asked(request)
        if asked.lower() in self._open:
            return self._open[asked.lower()]()
        key = presented_key(request.head)
        if _FILES.fullmatch(asked):
            return Answer(403 if self._keys.allow("ADMIN", presented=key) else 401)
        if not self._keys.allow("FUNCTION", presented=key):
            return Answer(401, _BEARER)
        if not self._keys.allow("ADMIN", presented=key):
            return Answer(403)
        if asked.lower() == "get /admin/host/status":
            return self._status()
        run = _RUN.fullmatch(asked)
        return await self._run(request, self._functions.get(run[1].lower())) if run else Answer(404)

    def _status(self) -> Answer:
        uptime = int((time.monotonic() - self._started) * 1000)
        return _json({"id": "sandbox", "state": "Running", "processUptime": uptime})

    async def _run(self, request: Request, function: AppFunction | None) -> Answer:
        if function is None:
            return Answer(404)
        if (request.head.header("content-type") or "").partition(";")[0].strip().lower() != "application/json":
            return Answer(415)
        if isinstance(function.trigger, HttpTrigger):
            return Answer(400, body=b"Call an HTTP function by its own route.")
        try:
            content = json.loads(await request.body())
        except ValueError:
            return Answer(400)
        except BodyUnreadable:
            return Answer(500)
        if not isinstance(content, dict):
            return Answer(400)
        task = asyncio.create_task(self._invoke(function.name, str(content.get("input") or "")))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return Answer(202)

    def _invoke(self, name: str, text: str) -> Coroutine[Any, Any, None]:
        listener = self._listeners[name]
        return listener.invoke_by_hand() if isinstance(listener, TimerListener) else listener.invoke_by_hand(text)

    def _report(self) -> Answer:
        functions = {
            function.name: {
                "trigger": type(function.trigger).__name__,
                **asdict(self._invoker.counts.get(function.name, Counts())),
            }
            for function in self._functions.values()
        }
        queues = {
            name: asdict(listener.state)
            for name, listener in self._listeners.items()
            if isinstance(listener, QueueListener)
        }
        return _json({"state": "running", "functions": functions, "queues": queues})


def _asked(request: Request) -> str:
    return f"{request.head.method.upper()} {request.head.path.removesuffix('/')}"


def _ping() -> Answer:
    return Answer(200, _UNCACHED)


def _nothing() -> Answer:
    return Answer(200)


def _json(content: object) -> Answer:
    return Answer(200, (("Content-Type", "application/json; charset=utf-8"),), json.dumps(content).encode())

"""The host's own routes: its state, a run by hand, and what only this host has, counts for tests.

https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox.host.invoke import Counts, Invoker
from sandbox.host.keys import Keys
from sandbox.host.load import AppFunction, HttpTrigger
from sandbox.host.queues import QueueListener
from sandbox.host.timers import TimerListener
from sandbox.host.web import presented_key


class AdminRoutes:
    """`/admin/...` as in the real host, and `/__sandbox/host`."""

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

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the routes; they must come before the catch-all of the functions."""
        router.add_get("/admin/host/status", self._status)
        router.add_post("/admin/functions/{name}", self._run)
        router.add_get("/__sandbox/host", self._report)

    async def finish(self) -> None:
        """Wait for runs that were begun by hand."""
        await asyncio.gather(*self._by_hand, return_exceptions=True)

    async def _status(self, request: web.Request) -> web.Response:
        if not self._keys.allow("ADMIN", presented=presented_key(request)):
            return web.Response(status=401)
        uptime = int((time.monotonic() - self._started) * 1000)
        return web.json_response({"id": "sandbox", "state": "Running", "processUptime": uptime})

    async def _run(self, request: web.Request) -> web.Response:
        if not self._keys.allow("ADMIN", presented=presented_key(request)):
            return web.Response(status=401)
        function = self._functions.get(request.match_info["name"].lower())
        if function is None:
            return web.Response(status=404)
        if isinstance(function.trigger, HttpTrigger):
            return web.Response(status=400, text="Call an HTTP function by its own route.")
        try:
            content = await request.json() if request.can_read_body else {}
        except ValueError:
            return web.Response(status=400, text='Send JSON: {"input": "..."}.')
        text = str(content.get("input") or "") if isinstance(content, dict) else ""
        task = asyncio.create_task(self._invoke(function.name, text))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return web.Response(status=202)

    def _invoke(self, name: str, text: str) -> Coroutine[Any, Any, None]:
        listener = self._listeners[name]
        return listener.invoke_by_hand() if isinstance(listener, TimerListener) else listener.invoke_by_hand(text)

    async def _report(self, _request: web.Request) -> web.Response:
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
        return web.json_response({"state": "running", "functions": functions, "queues": queues})

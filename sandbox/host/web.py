"""The HTTP side of the host: finds the function for a request, checks its key, runs it, answers.

An aiohttp server stands where Kestrel and the host's middleware stand in Azure. Admin routes are in `admin.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import azure.functions as func
from aiohttp import web

from sandbox.host.context import continue_trace
from sandbox.host.errors import InvocationFailed
from sandbox.host.invoke import Invoker
from sandbox.host.keys import Keys
from sandbox.host.load import AppFunction, HttpTrigger
from sandbox.host.routes import RouteTemplate, parse_template
from sandbox.host.settings import HttpSettings
from sandbox.host.web_messages import to_function_request, to_web_response

_log = logging.getLogger("Host.Http")


@dataclass(frozen=True, slots=True)
class _Route:
    template: RouteTemplate
    trigger: HttpTrigger
    function: AppFunction


class HttpFront:
    """Serves the HTTP-triggered functions of an app."""

    def __init__(
        self, functions: Iterable[AppFunction], *, invoker: Invoker, settings: HttpSettings, keys: Keys, body_limit: int
    ) -> None:
        """`body_limit` in bytes, for every request."""
        self._invoker = invoker
        self._keys = keys
        self._body_limit = body_limit
        self._requests: set[asyncio.Task[object]] = set()
        self._most_outstanding = settings.max_outstanding_requests
        concurrent = settings.max_concurrent_requests
        self._slots = asyncio.Semaphore(concurrent) if concurrent > 0 else None
        prefix = settings.route_prefix.strip("/")
        routes = [
            _Route(parse_template(f"{prefix}/{function.trigger.template.text.strip('/')}"), function.trigger, function)
            for function in functions
            if isinstance(function.trigger, HttpTrigger)
        ]
        # As the host does: the first route that fits wins, by the functions' names, however literal another one is.
        # https://github.com/Azure/azure-functions-host/issues/9876
        self._routes = sorted(routes, key=lambda route: route.function.name.upper())

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; what goes wrong inside shows as a status with an empty body."""
        if 0 <= self._most_outstanding <= len(self._requests):
            return web.Response(status=429)
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        try:
            if self._slots is None:
                return await self._answer(request)
            async with self._slots:
                return await self._answer(request)
        finally:
            self._requests.discard(task)

    def cancel(self) -> None:
        """Give up on what is still being answered: its connections close without an answer."""
        for task in self._requests:
            task.cancel()

    async def _answer(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return web.Response(status=404)
        route, values = found
        if not self._keys.allow(route.trigger.auth_level, presented=presented_key(request)):
            return web.Response(status=401)
        if any(_has_undecodable_bytes(value) for value in request.headers.values()):
            return web.Response(status=400)
        try:
            body = await self._read_body(request)
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413)
        return await self._run(route, request, body, values)

    def _find(self, request: web.Request) -> tuple[_Route, dict[str, str]] | None:
        path = request.raw_path.partition("?")[0]
        for route in self._routes:
            if route.trigger.methods and request.method not in route.trigger.methods:
                continue
            values = route.template.match(path)
            if values is not None:
                return route, values
        return None

    async def _read_body(self, request: web.Request) -> bytes:
        """Read the body as far as the host hands it on: without a Content-Length it arrives empty."""
        if not request.content_length:
            return b""
        if request.content_length > self._body_limit:
            raise web.HTTPRequestEntityTooLarge(self._body_limit, request.content_length)
        return await request.read()

    async def _run(self, route: _Route, request: web.Request, body: bytes, values: dict[str, str]) -> web.Response:
        trace = continue_trace(request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))
        made = to_function_request(request, body, values)

        def arguments() -> dict[str, func.HttpRequest]:
            return {route.trigger.argument: made}

        try:
            return await self._invoker.run(route.function, arguments, convert=to_web_response, trace=trace)
        except InvocationFailed:
            return web.Response(status=500)


def presented_key(request: web.BaseRequest) -> str:
    """The key that came with a request: the header wins over `?code=`."""
    return request.headers.get("x-functions-key") or request.query.get("code", "")


def _has_undecodable_bytes(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)

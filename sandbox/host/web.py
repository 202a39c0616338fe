"""The HTTP side of the host: finds the function for a request, checks its key, runs it, answers.

It stands where the host's own middleware stands in Azure. Admin routes are in `admin.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import azure.functions as func

from sandbox.host.errors import InvocationFailed
from sandbox.host.invoke import Invoker
from sandbox.host.keys import Keys, presented_key
from sandbox.host.load import AppFunction, HttpTrigger
from sandbox.host.routes import RouteTemplate, parse_template
from sandbox.host.server import Answer, BodyUnreadable, Request
from sandbox.host.settings import HttpSettings
from sandbox.host.web_messages import to_answer, to_function_request

_HOME_PAGE = b"<!DOCTYPE html><title>Functions</title><p>Your app is up and running.</p>"


@dataclass(frozen=True, slots=True)
class _Route:
    template: RouteTemplate
    trigger: HttpTrigger
    function: AppFunction


class HttpFront:
    """Serves the HTTP-triggered functions of an app, and at `/` the host's own page."""

    def __init__(
        self,
        functions: Iterable[AppFunction],
        *,
        invoker: Invoker,
        settings: HttpSettings,
        keys: Keys,
        home_page: bool,
    ) -> None:
        self._invoker = invoker
        self._keys = keys
        self._home_page = home_page
        self._outstanding = 0
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

    async def answer(self, request: Request) -> Answer:
        """Answer one request; what goes wrong inside shows as a status with an empty body."""
        if 0 <= self._most_outstanding <= self._outstanding:
            return Answer(429)
        self._outstanding += 1
        try:
            if self._slots is None:
                return await self._answer(request)
            async with self._slots:
                return await self._answer(request)
        finally:
            self._outstanding -= 1

    async def _answer(self, request: Request) -> Answer:
        found = self._find(request)
        if found is None:
            return self._without_function(request.head.path)
        route, values = found
        if not self._keys.allow(route.trigger.auth_level, presented=presented_key(request.head)):
            return Answer(401)
        try:
            return await self._run(route, request, values)
        except (InvocationFailed, BodyUnreadable):
            return Answer(500)

    def _without_function(self, path: str) -> Answer:
        if path != "/":
            return Answer(404)
        return Answer(200, (("Content-Type", "text/html"),), _HOME_PAGE) if self._home_page else Answer(204)

    def _find(self, request: Request) -> tuple[_Route, dict[str, str]] | None:
        for route in self._routes:
            if route.trigger.methods and request.head.method.upper() not in route.trigger.methods:
                continue
            values = route.template.match(request.head.path)
            if values is not None:
                return route, values
        return None

    async def _run(self, route: _Route, request: Request, values: dict[str, str]) -> Answer:
        body = await request.body()
        head = request.head

        def arguments() -> dict[str, func.HttpRequest]:
            return {route.trigger.argument: to_function_request(head, body, values)}

        return await self._invoker.run(
            route.function,
            arguments,
            convert=to_answer,
            trace_parent=head.header("traceparent") or "",
            trace_state=head.header("tracestate") or "",
        )

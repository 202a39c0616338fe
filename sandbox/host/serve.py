"""Putting the host together: load the app, open the storage, listen, and stop in good order.

SIGTERM and SIGINT stop the polling and the listening. As in the real host, calls in work are answered for half a
minute; then their connections are cut, and the functions run on. Ten seconds after the last answer the host goes, and
what still runs goes with it; a message in work then comes back when its lease ends. A second signal does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Self

import azure.functions as func

from sandbox.host.admin import AdminRoutes
from sandbox.host.errors import HostError
from sandbox.host.invoke import Invoker
from sandbox.host.load import AppFunction, QueueTrigger, TimerTrigger, import_app, load_functions
from sandbox.host.logs import install_logging
from sandbox.host.queues import QueueListener, QueueState
from sandbox.host.server import Answer, HttpServer, Request
from sandbox.host.settings import HostSettings, read_settings
from sandbox.host.storage import open_queue_service, read_connection
from sandbox.host.timers import TimerListener
from sandbox.host.web import HttpFront

_log = logging.getLogger("Host")
# The real host answers for 30 seconds and waits for functions for 10 more.
_ANSWERING_PER_GRACE = 3


class Host:
    """One running app: an async context manager, so that tests can have it in their own process.

    async with Host(app, settings, environ=os.environ, port=0) as host:
        print(host.url)
    """

    def __init__(
        self, app: func.FunctionRegister, settings: HostSettings, *, environ: MutableMapping[str, str], port: int = 0
    ) -> None:
        """Load the app. Raises `HostError`."""
        self._settings = settings
        self._environ = environ
        self._port = port
        self._functions = {function.name.lower(): function for function in load_functions(app, environ)}
        host_json = settings.host_json
        self.invoker = Invoker(timeout=host_json.function_timeout, threads=settings.threads, traced=settings.traced)
        self._timers = {
            function.name: TimerListener(
                function, function.trigger, invoker=self.invoker, state_folder=settings.state_folder
            )
            for function in self._functions.values()
            if isinstance(function.trigger, TimerTrigger)
        }
        self._listeners: dict[str, QueueListener | TimerListener] = dict(self._timers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._resources = contextlib.AsyncExitStack()
        self._admin = AdminRoutes(self._functions, invoker=self.invoker, keys=settings.keys, listeners=self._listeners)
        self._front = HttpFront(
            self._functions.values(),
            invoker=self.invoker,
            settings=host_json.extensions.http,
            keys=settings.keys,
            home_page=settings.home_page,
        )
        self._server = HttpServer(self._handle, body_limit=settings.body_limit)
        self._no_patience = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def queues(self) -> dict[str, QueueState]:
        """How the queue listeners are, by function name."""
        return {name: it.state for name, it in self._listeners.items() if isinstance(it, QueueListener)}

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._server.listening

    async def _handle(self, request: Request) -> Answer:
        return await (self._admin if self._admin.has(request) else self._front).answer(request)

    async def start(self) -> None:
        """Listen and poll. Raises `HostError`, or `OSError` for a port that is taken."""
        try:
            await self._open_queues()
            self._port = await self._server.start(self._port)
        except BaseException:
            await self._close()
            raise
        self._tasks = {asyncio.create_task(listener.run()) for listener in self._listeners.values()}
        for task in self._tasks:
            task.add_done_callback(_report_crash)

    async def _open_queues(self) -> None:
        functions = [(f, f.trigger) for f in self._functions.values() if isinstance(f.trigger, QueueTrigger)]
        if functions and not self._settings.host_json.extension_bundle and (self._settings.root / "host.json").exists():
            raise HostError(['host.json has no "extensionBundle"; without it no queue trigger loads in Azure.'])
        neighbours: dict[str, QueueListener] = {}
        for function, trigger in functions:
            listener = await self._open_queue(function, trigger, neighbours)
            neighbours[trigger.queue] = listener
            self._listeners[function.name] = listener

    async def _open_queue(
        self, function: AppFunction, trigger: QueueTrigger, neighbours: dict[str, QueueListener]
    ) -> QueueListener:
        try:
            service = await self._resources.enter_async_context(
                open_queue_service(read_connection(trigger.connection, self._environ))
            )
            return QueueListener(
                function,
                trigger,
                service=service,
                invoker=self.invoker,
                settings=self._settings.host_json.extensions.queues,
                lease=self._settings.queue_lease,
                neighbours=neighbours,
            )
        except ValueError as error:
            raise HostError([f"{function.name}: {error}."]) from error

    def lose_patience(self) -> None:
        """Wait no longer in a stop."""
        self._no_patience.set()

    async def stop(self) -> None:
        """Stop in good order. Threads of the app may be left, which nobody can end."""
        for listener in self._listeners.values():
            listener.stop()
        self._server.stop_listening()
        grace = self._settings.shutdown_grace
        calls = asyncio.create_task(self._server.finish())
        await self._wait_for({calls}, seconds=_ANSWERING_PER_GRACE * grace)
        self._server.reset()
        by_hand = asyncio.create_task(self._admin.finish())
        work = {calls, by_hand, *self._tasks}
        await self._wait_for(work, seconds=grace)
        self._server.cancel()
        for task in work - {calls}:
            task.cancel()
        await asyncio.wait(work)
        await self._close()

    async def _wait_for(self, work: set[asyncio.Task[None]], *, seconds: float) -> None:
        patience = asyncio.create_task(self._no_patience.wait())
        everything = asyncio.create_task(_finish(work))
        await asyncio.wait({everything, patience}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()

    async def _close(self) -> None:
        self._server.stop_listening()
        await self._resources.aclose()
        self.invoker.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _finish(work: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(work)


def _report_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.critical("A listener of the host crashed; this is an error in the host.", exc_info=task.exception())


async def serve(
    spec: str = "function_app:app",
    *,
    port: int = 7071,
    root: Path | None = None,
    environ: MutableMapping[str, str] = os.environ,
    announce: Callable[[str], None] = lambda line: print(line, flush=True),
) -> None:
    """Run the app at `root` until SIGTERM or SIGINT; `announce` gets one line when it is ready. Raises `HostError`."""
    folder = (root or Path.cwd()).resolve()
    settings = read_settings(folder, environ)
    install_logging(settings.host_json.logging.log_level, logging.DEBUG if settings.worker_debug else logging.INFO)
    if not settings.keys.checked:
        print("No SANDBOX_FUNCTION_KEY or SANDBOX_ADMIN_KEY is set: keys are not checked.", file=sys.stderr)
    host = Host(import_app(spec, folder), settings, environ=environ, port=port)
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            host.lose_patience()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await host.start()
    announce(f"listening on {host.url}")
    await stopping.wait()
    await host.stop()

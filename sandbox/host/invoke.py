"""Running one function once: its context, its thread or task, its time limit, and the counts that tests ask for.

What triggers it, and what becomes of its result, is up to the trigger modules.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.host.context import Context, TraceContext, continue_trace
from sandbox.host.errors import InvocationFailed, InvocationTimedOut
from sandbox.host.load import AppFunction

# So that the host's log handler knows whose line it prints.
current_invocation: contextvars.ContextVar[Context | None] = contextvars.ContextVar("invocation", default=None)

_UNWIND_SECONDS = 1.0
_HOST_MODULES = ("sandbox.host", "concurrent.futures", "asyncio")

Result = TypeVar("Result")


def no_result(value: object) -> None:
    """What a trigger without a `$return` binding accepts. Raises `RuntimeError` for anything but None."""
    if value is not None:
        raise RuntimeError("a function without a $return binding returned a non-None value")


@dataclass(slots=True)
class Counts:
    """How often a function ran, failed, was cancelled at a stop, and how many runs are under way."""

    invocations: int = 0
    failures: int = 0
    cancelled: int = 0
    in_flight: int = 0


class Invoker:
    """Runs functions as the Python worker does: `async def` on this loop, `def` in a pool of threads."""

    def __init__(self, *, timeout: float | None = None, threads: int | None = None, traced: bool = False) -> None:
        """`timeout` in seconds; `threads` None means Python's default, as in the worker; `traced` for telemetry."""
        self.counts: dict[str, Counts] = {}
        self._timeout = timeout
        self._traced = traced
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="function")
        self._thread_local = threading.local()

    async def run(
        self,
        function: AppFunction,
        arguments: Callable[[], Mapping[str, Any]],
        *,
        convert: Callable[[Any], Result],
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Invoke `function`: `arguments` makes its input, `convert` takes what it returns; the traces are its caller's.

        Raises `InvocationFailed`, already counted and logged, where any of the three raises or takes too long.
        """
        counts = self.counts.setdefault(function.name, Counts())
        trace = continue_trace(trace_parent, trace_state) if self._traced else TraceContext("")
        context = Context(function.name, function.folder, trace, self._thread_local)
        counts.invocations += 1
        counts.in_flight += 1
        try:
            return convert(await self._limited(function, arguments, context))
        except asyncio.CancelledError:
            counts.cancelled += 1
            raise
        except Exception as error:
            counts.failures += 1
            self._log_failure(context, error)
            if isinstance(error, InvocationFailed):
                raise
            raise InvocationFailed(str(error)) from error
        finally:
            counts.in_flight -= 1

    def close(self) -> None:
        """Let go of the threads; one that is busy nobody can end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _limited(
        self, function: AppFunction, arguments: Callable[[], Mapping[str, Any]], context: Context
    ) -> Any:
        started = time.monotonic()
        task = asyncio.create_task(self._call(function, arguments, context))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout)
            if done and not task.cancelled():
                return task.result()
            if done:
                # The worker never answers when a function lets its own CancelledError escape: only the limit ends it.
                logging.getLogger(f"Function.{function.name}").error("CancelledError escaped: no answer will come.")
                left = None if self._timeout is None else self._timeout - (time.monotonic() - started)
                await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=left)
        finally:
            await _end(task)
        raise InvocationTimedOut(f"Timeout value of {self._timeout} s was exceeded by function {function.name}.")

    async def _call(self, function: AppFunction, arguments: Callable[[], Mapping[str, Any]], context: Context) -> Any:
        current_invocation.set(context)
        values = dict(arguments())
        if function.wants_context:
            values["context"] = context
        if function.is_async:
            self._thread_local.invocation_id = context.invocation_id
            return await function.handler(**values)
        run = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, run, self._call_in_thread, function, values, context
        )

    def _call_in_thread(self, function: AppFunction, values: Mapping[str, Any], context: Context) -> Any:
        self._thread_local.invocation_id = context.invocation_id
        return function.handler(**values)

    @staticmethod
    def _log_failure(context: Context, error: Exception) -> None:
        token = current_invocation.set(context)
        logging.getLogger(f"Function.{context.function_name}").error(
            "Executed 'Functions.%s' (Failed, Id=%s)",
            context.function_name,
            context.invocation_id,
            exc_info=_users_part(error),
        )
        current_invocation.reset(token)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel what is still under way and give it a moment to unwind; what it raises then is nobody's answer."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_UNWIND_SECONDS)
    if task.done() and not task.cancelled():
        task.exception()


def _users_part(error: Exception) -> Exception:
    """Leave the host's own frames out of the traceback that is logged."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(_HOST_MODULES):
        frames = frames.tb_next
    return error.with_traceback(frames)

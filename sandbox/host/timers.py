"""Timer triggers: on schedule, at the start where asked for, and once after a run that was missed.

The real host remembers a timer's next run in a blob; this one in a file, if SANDBOX_STATE_FOLDER says where. Only
timers whose runs are a minute or more apart are remembered. https://github.com/Azure/azure-webjobs-sdk-extensions
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import azure.functions as func
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

from sandbox.host.errors import InvocationFailed
from sandbox.host.invoke import Invoker, no_result
from sandbox.host.load import AppFunction, TimerTrigger

_log = logging.getLogger("Host.Timers")
_SHORTEST_REMEMBERED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """When a timer last ran and is next due."""

    last: datetime
    next: datetime

    def to_json(self) -> dict[str, str]:
        """In the host's own names."""
        return {"Last": self.last.isoformat(), "Next": self.next.isoformat(), "LastUpdated": self.last.isoformat()}

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The remembered status, if there is a readable one."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            content = json.loads(path.read_text())
            return cls(datetime.fromisoformat(content["Last"]), datetime.fromisoformat(content["Next"]))
        return None


class TimerListener:
    """The trigger of one timer function."""

    def __init__(
        self,
        function: AppFunction,
        trigger: TimerTrigger,
        *,
        invoker: Invoker,
        state_folder: Path | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`state_folder`: where the next run is remembered; None remembers nothing."""
        self.function = function
        self._trigger = trigger
        self._invoker = invoker
        self._now = now
        self._stopping = asyncio.Event()
        self._file = state_folder / f"{function.name}.timer.json" if state_folder and self._is_remembered() else None
        self._status: ScheduleStatus | None = ScheduleStatus.read(self._file) if self._file else None

    def _is_remembered(self) -> bool:
        first = self._trigger.schedule.after(self._now())
        return self._trigger.monitored and self._trigger.schedule.after(first) - first >= _SHORTEST_REMEMBERED

    def stop(self) -> None:
        """Begin no further run."""
        self._stopping.set()

    async def run(self) -> None:
        """Run the function whenever it is due, until `stop()`."""
        if self._status is not None and self._status.next <= self._now():
            await self._fire(past_due=True)
        elif self._trigger.run_on_startup:
            await self._fire(past_due=False)
        while await self._wait_until(self._trigger.schedule.after(self._now())):
            await self._fire(past_due=False)

    async def invoke_by_hand(self) -> None:
        """Run the function once, outside its schedule."""
        await self._invoke(past_due=False)

    async def _wait_until(self, due: datetime) -> bool:
        """Wait; tells whether the timer is due rather than stopped."""
        while not self._stopping.is_set() and (left := (due - self._now()).total_seconds()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stopping.wait()
        return not self._stopping.is_set()

    async def _fire(self, *, past_due: bool) -> None:
        started = self._now()
        await self._invoke(past_due=past_due)
        self._status = ScheduleStatus(started, self._trigger.schedule.after(max(started, self._now())))
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._status.to_json()))

    async def _invoke(self, *, past_due: bool) -> None:
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status.to_json() if self._status else None,
            "IsPastDue": past_due,
        }

        def arguments() -> dict[str, func.TimerRequest]:
            return {
                self._trigger.argument: TimerRequestConverter.decode(
                    Datum(json.dumps(info), "json"), trigger_metadata={}
                )
            }

        with contextlib.suppress(InvocationFailed):
            await self._invoker.run(self.function, arguments, convert=no_result)

"""Fresh worker processes, one after the other: how long until they can work, and how much memory they take."""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azure.storage.queue.aio import QueueClient

from bench.laboratory import Laboratory
from bench.report import Measure
from sandbox.azurite import ROOT
from sandbox.child import ChildFailed
from sandbox.environment import machine_environment

_MB = 1024 * 1024
_QUEUE = "bench-processes"
# The smallest instance of Flex Consumption; the platform's own part is not in it.
INSTANCE_MB = 512


@dataclass(frozen=True, slots=True)
class Starts:
    """Medians in seconds."""

    baseline: float
    imported: float
    naive_imported: float
    accepted: float
    applied: float
    naive_applied: float


def time_starts(laboratory: Laboratory, *, imports: int, starts: int, report: Callable[[str], None]) -> Starts:
    """Every kind takes its turn in every round, so that a busy minute touches all of them."""
    environment = laboratory.installation(_QUEUE)
    asyncio.run(laboratory.clean())
    found: dict[str, list[float]] = {}

    def probe(mode: str, *, text: str = "") -> None:
        found.setdefault(mode, []).append(float(run_probe(environment, mode, text=text)["seconds"]))

    run_probe(environment, "import")  # writes the byte code that the first import would have to make
    for number in range(imports):
        report(f"import {number + 1} of {imports}")
        for mode in ("baseline", "import", "naive-import"):
            probe(mode)
    for number in range(starts):
        report(f"first event {number + 1} of {starts}")
        asyncio.run(laboratory.clean())
        probe("naive-apply")
        probe("accept")
        probe("apply", text=asyncio.run(_message(environment)))
    middle = {mode: statistics.median(times) for mode, times in found.items()}
    return Starts(
        middle["baseline"],
        middle["import"],
        middle["naive-import"],
        middle["accept"],
        middle["apply"],
        middle["naive-apply"],
    )


def start_measures(found: Starts) -> list[Measure]:
    """The table's lines. The naive build has accepted its first event when it has applied it."""
    base, section = found.baseline, "a fresh worker process"
    times, naive = found.imported / base, found.naive_imported / base
    return [
        Measure(section, "import azure.functions alone", base, "s"),
        Measure(section, "import function_app", found.imported, "s", naive=found.naive_imported),
        Measure(section, "import function_app ÷ azure.functions alone", times, naive=naive, budget=2),
        Measure(section, "import and accept the first event", found.accepted, "s", naive=found.naive_applied),
        Measure(section, "import and apply the first event", found.applied, "s", naive=found.naive_applied),
    ]


def measure_memory(laboratory: Laboratory, *, events: int, report: Callable[[str], None]) -> list[Measure]:
    """Resident memory of one worker process; empty where the system does not report."""
    environment = laboratory.installation(_QUEUE)
    asyncio.run(laboratory.clean())
    base = run_probe(environment, "baseline")["resident"]
    found = run_probe(environment, "memory", str(events), report=report)
    if base is None or None in found.values():
        return []
    section = "memory of one worker, without the host's own part of it"
    return [
        Measure(section, "azure.functions alone", base / _MB, "MB"),
        Measure(section, "function_app imported", found["imported"] / _MB, "MB"),
        Measure(section, "after the first event", found["first"] / _MB, "MB"),
        Measure(section, f"after {events:,} events", found["many"] / _MB, "MB", budget=INSTANCE_MB, counted=True),
    ]


def run_probe(
    environment: Mapping[str, str], *arguments: str, text: str = "", report: Callable[[str], object] = len
) -> dict[str, Any]:
    """What the probe printed; `report` gets each line that it says on the way.

    Raises `ChildFailed` with its last words where it failed.
    """
    command = [sys.executable, "-m", "bench.probe", *arguments]
    said: deque[str] = deque(maxlen=40)
    with subprocess.Popen(  # noqa: S603 - our own code
        command,
        cwd=ROOT,
        env={**machine_environment(), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError  # they are pipes
        process.stdin.write(text)
        process.stdin.close()
        for line in process.stderr:
            said.append(line)
            report(line.strip())
        printed = process.stdout.read()
    if process.returncode != 0:
        raise ChildFailed(f"bench.probe {' '.join(arguments)} failed.\n{''.join(said)}")
    found: dict[str, Any] = json.loads(printed)
    return found


async def _message(environment: Mapping[str, str]) -> str:
    """The message that the `accept` just before has put into the queue."""
    storage, name = environment["AzureWebJobsStorage"], environment["SYNC_QUEUE_NAME"]
    async with QueueClient.from_connection_string(storage, name) as queue:
        message = await queue.receive_message()
        if message is None:
            raise RuntimeError("The first event was accepted, but its message is not in the queue.")
        await queue.delete_message(message)
        content = str(message.content)
    base64.b64decode(content, validate=True)
    return content

"""Fresh worker processes, one after the other: how long until they can work, and how much memory they take."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azure.storage.queue.aio import QueueClient

from bench.builds import Product
from bench.laboratory import Laboratory
from bench.report import Measure
from bench.workload import in_turn, warming
from sandbox.azurite import ROOT

_MB = 1024 * 1024
_SECONDS = 600
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


def time_starts(laboratory: Laboratory, *, imports: int, starts: int, tell: Callable[[str], None]) -> Starts:
    """Every kind takes its turn in every round, so that a busy minute touches all of them."""
    environment = laboratory.settings(_QUEUE)
    asyncio.run(_make_tables(laboratory, environment))
    found: dict[str, list[float]] = {}

    def probe(mode: str, *, text: str = "") -> None:
        found.setdefault(mode, []).append(float(run_probe(environment, mode, text=text)["seconds"]))

    run_probe(environment, "import")  # writes the byte code that the first import would have to make
    for number in range(imports):
        tell(f"import {number + 1} of {imports}")
        for mode in ("baseline", "import", "naive-import"):
            probe(mode)
    for number in range(starts):
        tell(f"first event {number + 1} of {starts}")
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
    """The table's lines, all as multiples of importing `azure.functions` alone."""
    base = found.baseline
    section = "a fresh worker, in imports of azure.functions"
    return [
        Measure(section, "import function_app", found.imported / base, naive=found.naive_imported / base, budget=2),
        Measure(section, "until the first event is accepted", found.accepted / base, naive=found.naive_applied / base),
        Measure(section, "until the first event is applied", found.applied / base, naive=found.naive_applied / base),
    ]


def measure_memory(laboratory: Laboratory, *, events: int) -> list[Measure]:
    """Resident memory of one worker process; empty where the system does not tell."""
    environment = laboratory.settings(_QUEUE)
    asyncio.run(laboratory.clean())
    base = run_probe(environment, "baseline")["resident"]
    found = run_probe(environment, "memory", str(events))
    if base is None or None in found.values():
        return []
    section = "memory of one worker, without the host's own part of it"
    return [
        Measure(section, "azure.functions alone", base / _MB, "MB"),
        Measure(section, "function_app imported", found["imported"] / _MB, "MB"),
        Measure(section, "after the first event", found["first"] / _MB, "MB"),
        Measure(section, f"after {events:,} events", found["many"] / _MB, "MB", budget=INSTANCE_MB, counted=True),
    ]


def run_probe(environment: Mapping[str, str], *arguments: str, text: str = "") -> dict[str, Any]:
    """What the probe printed. Raises `RuntimeError` with its words where it failed."""
    command = [sys.executable, "-m", "bench.probe", *arguments]
    given = {**_clean_environment(), **environment}
    done = subprocess.run(  # noqa: S603 - our own code
        command, cwd=ROOT, env=given, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"bench.probe {' '.join(arguments)} failed.\n{done.stderr[-2000:]}")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _clean_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


async def _make_tables(laboratory: Laboratory, environment: Mapping[str, str]) -> None:
    """In Azure they are declared; here the first event of the run makes them, and that is no part of a start."""
    await laboratory.clean()
    product = Product(environment)
    try:
        await product.run(in_turn(warming(1_000_000)))
    finally:
        await product.aclose()


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

"""A cold start on Microsoft's Functions host, beside one of an app of a single empty function: how much of it is ours.

Outreach waits five seconds for its answer, and the host's own start comes before. The worker imports the app with the
first call of a function, so that call is measured apart from being ready.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx

from bench.laboratory import SECRET, Laboratory
from bench.report import Measure
from sandbox.azurite import ROOT
from sandbox.environment import machine_environment
from sandbox.functions_host import SETTINGS, FunctionsHost, HostNotAtHand
from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.sender import headers
from sandbox.patience import PATIENCE
from sandbox.service import Service
from sandbox.stack import ADMIN_KEY, EVENTS_ROUTE, FUNCTION_KEY

_QUEUE: Final = "bench-cold-start"
_LOOK_SECONDS: Final = 0.02
_SECTION: Final = "a cold start on Microsoft's Functions host"
# One function that does nothing, with the product's own host.json: the difference is the app alone.
_EMPTY_APP: Final = """\
import azure.functions as func

app = func.FunctionApp()


@app.route(route="empty", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def empty(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=202)
"""


def time_cold_starts(laboratory: Laboratory, *, starts: int, report: Callable[[str], None]) -> list[Measure]:
    """Medians of `starts` starts of each app, in turn; nothing for 0.

    Nothing either where the host is not at hand, which is reported.
    """
    if not starts:
        return []
    with tempfile.TemporaryDirectory(prefix="bench-host-") as temporary:
        folder = Path(temporary)
        try:
            ours = _host_of(folder / "ours")
            empty = _host_of(folder / "empty")
        except HostNotAtHand as missing:
            report(str(missing))
            return []
        _put_the_empty_app_into(folder / "empty" / "app")
        found: dict[str, list[float]] = {}
        # The first round writes byte code and unpacks the host.
        for number in range(starts + 1):
            report(f"start {number} of {starts}")
            times = _start_empty(laboratory, empty, folder)
            times |= _start_ours(laboratory, ours, folder, meeting=number + 1)
            for what, seconds in times.items():
                found.setdefault(what, []).append(seconds)
    return [Measure(_SECTION, what, statistics.median(times[1:]), "s") for what, times in found.items()]


def _host_of(folder: Path) -> FunctionsHost:
    return FunctionsHost.prepare(folder, function_key=FUNCTION_KEY, admin_key=ADMIN_KEY)


def _put_the_empty_app_into(folder: Path) -> None:
    for link in folder.iterdir():
        link.unlink()
    (folder / "function_app.py").write_text(_EMPTY_APP)
    shutil.copy(ROOT / "host.json", folder)


def _start_empty(laboratory: Laboratory, host: FunctionsHost, logs: Path) -> dict[str, float]:
    settings = {"AzureWebJobsStorage": laboratory.azurite.connection_string}
    service, ready = _started(host, settings, log=logs / "empty.log")
    try:
        answered = _seconds_of_a_call(f"{service.url}/api/empty", body=b"{}", also={})
    finally:
        service.kill()
    return {"an app of one empty function: process start until ready": ready, "the same: its first answer": answered}


def _start_ours(laboratory: Laboratory, host: FunctionsHost, logs: Path, *, meeting: int) -> dict[str, float]:
    asyncio.run(laboratory.clean())
    service, ready = _started(host, laboratory.installation(_QUEUE), log=logs / "ours.log")
    delivery = MeetingScript(meeting).booked()
    sent = time.monotonic()
    try:
        signed = headers(delivery, secret=SECRET)
        answered = _seconds_of_a_call(f"{service.url}{EVENTS_ROUTE}", body=delivery.body, also=signed)
        asyncio.run(_applied(laboratory))
        applied = time.monotonic() - sent
    finally:
        service.kill()
    return {
        "ours: process start until ready": ready,
        "ours: the first delivery's answer": answered,
        "ours: from sending it until it is applied": applied,
    }


def _started(host: FunctionsHost, settings: Mapping[str, str], *, log: Path) -> tuple[Service, float]:
    service = Service(host, log=log, environment={**machine_environment(), **SETTINGS, **settings})
    begun = time.monotonic()
    service.start()
    return service, time.monotonic() - begun


def _seconds_of_a_call(url: str, *, body: bytes, also: Mapping[str, str]) -> float:
    key = {"x-functions-key": FUNCTION_KEY}
    begun = time.monotonic()
    answer = httpx.post(url, content=body, headers={**key, **also}, timeout=PATIENCE)
    seconds = time.monotonic() - begun
    if answer.status_code != 202:
        raise RuntimeError(f"{url} answered {answer.status_code}: {answer.text[:200]}")
    return seconds


async def _applied(laboratory: Laboratory) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await laboratory.appointments():  # noqa: ASYNC110 - HTTP cannot call back
            await asyncio.sleep(_LOOK_SECONDS)

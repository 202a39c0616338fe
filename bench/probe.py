"""One fresh worker process, as the host would start it: what it takes until it can work, and how much memory.

`python -m bench.probe MODE` prints one JSON object. Nothing but the standard library may load before the clock starts,
so everything is imported where it is measured.

| mode | does |
|---|---|
| `baseline` | imports `azure.functions` alone |
| `import` | imports `function_app` |
| `naive-import` | imports `azure.functions` and the naive build |
| `accept` | imports the app and has its first event accepted |
| `apply` | imports the app and has the queue message on standard input (base64) applied |
| `naive-apply` | imports the naive build and has its first event applied |
| `memory N` | imports, applies one event, applies N events; resident memory after each, progress on standard error |
"""

from __future__ import annotations

# Every import below is part of what is measured.
# ruff: noqa: PLC0415
import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Handlers = Mapping[str, Callable[..., Awaitable[Any]]]
ACCEPTED = 202
# A laptop that is busy with something else may be too slow for an event; how much memory it takes is then still open.
_TRIES = 5


def main() -> None:
    """Carry out the mode on the command line."""
    mode, *rest = sys.argv[1:]
    started = time.perf_counter()
    match mode:
        case "baseline":
            import azure.functions
        case "import":
            import function_app  # noqa: F401 - what it takes is the question
        case "naive-import":
            import azure.functions  # noqa: F401 - its function would need it

            import bench.naive  # noqa: F401 - what it takes is the question
        case "accept":
            if (status := asyncio.run(_answer(_handlers(), 1))) != ACCEPTED:
                sys.exit(f"The event was not accepted: HTTP {status}.")
        case "apply":
            message = base64.b64decode(sys.stdin.read())
            started = time.perf_counter()
            asyncio.run(_apply(_handlers(), message))
        case "naive-apply":
            asyncio.run(_naive_apply())
        case "memory":
            _print(asyncio.run(_memory(int(rest[0]))))
            return
        case _:
            sys.exit(f"There is no mode {mode}.\n{__doc__}")
    _print({"seconds": time.perf_counter() - started, "resident": resident()})


def resident() -> int | None:
    """Bytes of memory that the process has now; None where the system does not report."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _print(found: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")


def _handlers() -> Handlers:
    import function_app

    return {str(found.get_function_name()): found.get_user_function() for found in function_app.app.get_functions()}


async def _answer(handlers: Handlers, number: int) -> int:
    """The HTTP status that `ingest` answers to the first delivery of meeting `number`."""
    import azure.functions as func

    body, headers = _delivery(number)
    request = func.HttpRequest(method="POST", url="/api/outreach/events", headers=headers, body=body)
    context = SimpleNamespace(trace_context=SimpleNamespace(trace_parent=None))
    status: int = (await handlers["ingest"](request, context)).status_code
    return status


async def _accept(handlers: Handlers, number: int) -> None:
    for _ in range(_TRIES):
        if (status := await _answer(handlers, number)) == ACCEPTED:
            return
    sys.exit(f"The event was not accepted: HTTP {status}.")


async def _apply(handlers: Handlers, message: bytes) -> None:
    import azure.functions as func

    await handlers["sync"](func.QueueMessage(body=message))


async def _naive_apply() -> None:
    import azure.functions  # noqa: F401 - its function would need it

    from bench.naive import NaiveSync

    sync = NaiveSync(
        dataverse_url=os.environ["DATAVERSE_URL"],
        outreach_url=os.environ["OUTREACH_API_URL"],
        token=os.environ["OUTREACH_API_TOKEN"],
        secret=os.environ["OUTREACH_WEBHOOK_SECRET"],
    )
    body, headers = _delivery(1)
    if (status := await sync.deliver(body, headers)) != 200:
        sys.exit(f"The event was not applied: HTTP {status}.")
    await sync.aclose()


def _delivery(number: int) -> tuple[bytes, dict[str, str]]:
    """Written by hand: the sandbox's scripts would load libraries and so spoil what is measured."""
    import hashlib
    import hmac

    document = {
        "data": {
            "type": "meeting",
            "id": number,
            "attributes": {
                "title": f"Meeting {number}",
                "startTime": "2026-03-02T15:00:00.000Z",
                "endTime": "2026-03-02T15:30:00.000Z",
                "bookedAt": "2026-02-01T09:00:00.000Z",
                "isOrganizer": True,
                "updatedAt": "2026-02-01T09:00:00.000Z",
            },
            "relationships": {
                "prospects": [{"type": "prospect", "id": 101}],
                "user": {"type": "user", "id": 1},
            },
        },
        "meta": {"eventName": "meeting.created", "deliveredAt": "2026-02-01T09:00:01.000Z"},
    }
    body = json.dumps(document).encode()
    signature = hmac.new(os.environ["OUTREACH_WEBHOOK_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    return body, {"outreach-webhook-signature": signature}


async def _memory(many: int) -> dict[str, int | None]:
    """Deliveries go through the app's own functions; its queue is read here, as the host would."""
    found = {}
    handlers = _handlers()
    found["imported"] = resident()
    await _accept(handlers, 1)
    from azure.storage.queue.aio import QueueClient

    storage = os.environ["AzureWebJobsStorage"]  # noqa: SIM112 - the platform's name
    name = os.environ["SYNC_QUEUE_NAME"]
    async with QueueClient.from_connection_string(storage, name) as queue:
        await _work_off(handlers, queue)
        found["first"] = resident()
        for first in range(2, many + 1, 100):
            for number in range(first, min(first + 100, many + 1)):
                await _accept(handlers, number)
            await _work_off(handlers, queue)
            sys.stderr.write(f"{min(first + 99, many):,} of {many:,}\n")
    found["many"] = resident()
    return found


async def _work_off(handlers: Handlers, queue: Any) -> None:
    async def one(message: Any) -> None:
        await _apply(handlers, base64.b64decode(message.content))
        await queue.delete_message(message)

    while taken := [message async for message in queue.receive_messages(messages_per_page=12, max_messages=12)]:
        await asyncio.gather(*map(one, taken))


if __name__ == "__main__":
    main()

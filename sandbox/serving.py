"""How a stand-in is served: on a loopback port, and behind TLS on the next one where it has certificates."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from sandbox.certificates import Certificates

HOST: Final = "127.0.0.1"

# Makes the application; the certificates are those of the run, if it has any.
Maker = Callable[[Certificates | None], web.Application]


def run(name: str, make: Maker, *, description: str | None) -> None:
    """`python -m sandbox.NAME --port N [--certificates FOLDER]`, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog=f"python -m sandbox.{name}", description=description)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--certificates", type=Path, help="their folder: TLS on the port after --port")
    options = parser.parse_args()
    certificates = Certificates(options.certificates) if options.certificates else None
    asyncio.run(serve(make(certificates), port=options.port, certificates=certificates))


async def serve(app: web.Application, *, port: int, certificates: Certificates | None = None) -> None:
    """Serve until SIGTERM or SIGINT; prints one line with `listening` when it is ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        taken: int = runner.addresses[0][1]
        if certificates is not None:
            await web.TCPSite(runner, HOST, taken + 1, ssl_context=certificates.server_context()).start()
        print(f"listening on http://{HOST}:{taken}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()

from __future__ import annotations

import asyncio
import signal
import sys

import httpx

from tests.patience import PATIENCE


async def test_it_runs_as_a_process_and_stops_cleanly() -> None:
    """`python -m sandbox.dataverse` says where it listens, serves, and exits 0 on SIGTERM without a word more."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox.dataverse",
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:")
        async with httpx.AsyncClient() as client:
            response = await client.get(f"{line.split()[-1]}/api/data/v9.2/WhoAmI")
        assert response.status_code == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert (process.returncode, out, err) == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

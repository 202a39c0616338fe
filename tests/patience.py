"""How long tests wait for what must come.

It bounds how long a test hangs that fails anyway, and nothing else: no test may fail because a machine is slow. So it
is far beyond what anything takes, and no test asks whether something was done within it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import httpx
import pytest

from shared.http import client
from shared.storage import account, outbox

# Seconds. The app's timer and the delays of its queue come within a minute or two, on a slow machine in some more.
PATIENCE: Final = 300.0


def be_patient() -> None:
    """Clients of tests wait so long unless they are told otherwise; httpx alone would wait for five seconds.

    They also share the certificates that they trust.
    """
    for wait in ("connect", "read", "write", "pool"):
        setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, wait, PATIENCE)
    # Each `httpx.get` would read all authorities of the world, which is 40 ms of processor time, for a plain address.
    httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)  # type: ignore[attr-defined]


def take_the_hurry_off(patch: pytest.MonkeyPatch) -> None:
    """The product itself waits so long for storage and services: what it does when they are late is tested apart."""
    for seconds in ("QUEUE_SECONDS", "ALL_SECONDS"):
        patch.setattr(outbox, seconds, PATIENCE)
    for patience in ("_TABLE_PATIENCE", "_QUEUE_PATIENCE"):
        longer = {"connection_timeout": PATIENCE, "read_timeout": PATIENCE}
        patch.setattr(account, patience, {**getattr(account, patience), **longer})
    patch.setattr(client, "_TIMEOUT", httpx.Timeout(PATIENCE))
    patch.setattr(client, "ANSWER_SECONDS", PATIENCE)

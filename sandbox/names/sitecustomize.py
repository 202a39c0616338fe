"""Lets one process find hosts that no name server knows: Python imports this at its start if its folder is on the path.

SANDBOX_NAMES holds the names, separated by commas; each is this machine. Every other name is looked up as ever.
"""

from __future__ import annotations

import os
import socket
from typing import Any

_NAMES = frozenset(filter(None, os.environ.get("SANDBOX_NAMES", "").split(",")))
_look_up = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    return _look_up("127.0.0.1" if name in _NAMES else host, *arguments, **options)


if _NAMES:
    socket.getaddrinfo = _getaddrinfo

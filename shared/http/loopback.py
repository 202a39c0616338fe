"""This machine is never asked for through a proxy.

A laptop behind a company's proxy reaches Azure, Dynamics and Outreach through it. Azurite, the stand-ins, the app and
the endpoint that hands out an identity's tokens are on the laptop itself, where the proxy cannot reach them. Every HTTP
library here (httpx, aiohttp, requests, urllib) reads `no_proxy`, and knows nothing else that they have in common.
"""

from __future__ import annotations

from collections.abc import Mapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EXCEPTIONS = "no_proxy"


def past_the_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """What to add to `environ` so that no proxy is asked for this machine; nothing where it names no proxy."""
    if not any(name.lower().endswith("_proxy") and name.lower() != _EXCEPTIONS for name in environ):
        return {}
    # As the libraries read it: where both are set, the lower-case name counts.
    named = environ.get(_EXCEPTIONS) or environ.get(_EXCEPTIONS.upper()) or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    if "*" in hosts:
        return {}
    exceptions = ",".join(dict.fromkeys((*hosts, *LOOPBACK)))
    return {_EXCEPTIONS: exceptions, _EXCEPTIONS.upper(): exceptions}

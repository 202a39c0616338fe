"""Run the stand-in as a process of its own, on the loopback address."""

from __future__ import annotations

from aiohttp import web

from sandbox.certificates import Certificates
from sandbox.identity.app import create_app
from sandbox.serving import run


def _with_key(certificates: Certificates | None) -> web.Application:
    if certificates is None:
        raise SystemExit("It signs its tokens with the key of a run; give --certificates.")
    return create_app(certificates.private_key())


if __name__ == "__main__":
    run("identity", _with_key, description=__doc__)

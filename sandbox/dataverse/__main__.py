"""Run the stand-in as a process of its own, on the loopback address."""

from __future__ import annotations

from sandbox.dataverse.app import create_app
from sandbox.serving import run

if __name__ == "__main__":
    run("dataverse", lambda certificates: create_app(certificates=certificates), description=__doc__)

"""A strict stand-in for the Dataverse Web API, for demos, tests and benchmarks on one machine.

It serves what a meeting sync needs and refuses what the real service refuses, in its shape. `create_app` gives the
application; `python -m sandbox.dataverse --port N` runs it; `/__sandbox/…` holds its own levers (`control`).
"""

from __future__ import annotations

from sandbox.dataverse.app import create_app
from sandbox.dataverse.store import Store, Switches

__all__ = ["Store", "Switches", "create_app"]

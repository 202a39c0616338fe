"""A small local Azure Functions host, faithful to the real one where an app can notice.

`python -m sandbox.host --port N` runs `function_app.app` with the settings in the environment; `check_app` tells what
the Python worker would refuse. Only HTTP, storage queue and timer triggers; no output bindings but the HTTP answer.
"""

from __future__ import annotations

from sandbox.host.check import check_app, check_module_names
from sandbox.host.errors import HostError
from sandbox.host.serve import Host, serve

__all__ = ["Host", "HostError", "check_app", "check_module_names", "serve"]

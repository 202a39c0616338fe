"""The environment of the tests themselves: what they name, and nothing that a shell happens to hold.

Without this a setting of the app that somebody has exported, or a proxy, would decide which tests pass.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

from sandbox.environment import OF_THE_MACHINE

# Of our own: whether a browser must be there, whether pages of the docs are to be written, and where a host is.
OF_THE_TESTS: Final = ("CI", "OPS_WRITE_DOCS", "FUNCTIONS_HOST_START")
# Of pytest and its plugins, and of the terminal that they write to.
OF_THE_RUNNER: Final = ("PYTEST_", "COV_", "COVERAGE_", "TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")


def forget_the_shell(environ: MutableMapping[str, str]) -> None:
    """Take everything else out of `environ`."""
    for name in list(environ):
        if name not in OF_THE_MACHINE and name not in OF_THE_TESTS and not name.startswith(OF_THE_RUNNER):
            del environ[name]

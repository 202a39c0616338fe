"""What a program gets of the machine that it runs on: these names and no others.

A shell may hold settings of a real organisation, a proxy, or options for Python and Node. None of it is meant for the
sandbox, and no list of what to leave out would ever be complete.
"""

from __future__ import annotations

import os
from typing import Final

# How to find programs and their libraries, where one's own files are, and the letters of a language.
OF_THE_MACHINE: Final = ("PATH", "LD_LIBRARY_PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR", "LANG", "LC_ALL")


def machine_environment() -> dict[str, str]:
    """The environment of a program that needs nothing else. What a Python program prints is there at once."""
    taken = {name: os.environ[name] for name in OF_THE_MACHINE if name in os.environ}
    return {**taken, "PYTHONUNBUFFERED": "1"}

"""`python -m ops`."""

from __future__ import annotations

import os
import sys

from shared.http.loopback import past_the_proxy

INTERRUPTED = 130

if __name__ == "__main__":
    os.environ |= past_the_proxy(os.environ)
    try:
        from ops.cli import app  # takes a second, and Ctrl-C may come before Typer is there to see it

        app(prog_name="python -m ops")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)

"""`python -m ops`."""

from __future__ import annotations

import sys

INTERRUPTED = 130

if __name__ == "__main__":
    try:
        from ops.cli import app  # takes a second, and Ctrl-C may come before Typer is there to see it

        app(prog_name="python -m ops")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)

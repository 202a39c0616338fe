"""`python -m sandbox.host --port N [--app module:attribute] [--root FOLDER]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from sandbox.host.errors import HostError
from sandbox.host.serve import serve
from shared.http.loopback import past_the_proxy


def main() -> int:
    """Run the host until it is told to stop; 0 for a clean stop, 1 where it could not start."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.host", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="0 takes a free one (default: 7071)")
    parser.add_argument("--app", default="function_app:app", help="module:attribute (default: function_app:app)")
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="the app's folder, with host.json (default: here)"
    )
    options = parser.parse_args()
    os.environ |= past_the_proxy(os.environ)
    try:
        asyncio.run(serve(options.app, port=options.port, root=options.root))
    except (HostError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    # The process just ends, as in Azure: Python would wait for threads of the app, and complain of what it left open.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

"""The browser that the console is tested in. `python -m tests.console.chromium` installs one where it can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Final

NAMES: Final = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
INSTALL: Final = "apt-get install chromium"
# The first alone fails on a machine that has never asked what there is.
STEPS: Final = (("apt-get", "update"), ("apt-get", "install", "--yes", "--no-install-recommends", "chromium"))
INSTALL_SECONDS: Final = 300.0


def chromium() -> str | None:
    """The path of a Chromium or Chrome that runs, if there is one: Ubuntu's package is a notice without its snap."""
    return next(filter(_runs, filter(None, map(shutil.which, NAMES))), None)


def _runs(executable: str) -> bool:
    try:
        done = subprocess.run([executable, "--version"], capture_output=True, timeout=30, check=False)  # noqa: S603 - found on the path
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def required() -> bool:
    """Whether tests without a browser count as failed: where nobody reads what was skipped."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def missing() -> str:
    """What to tell whoever has no browser."""
    return f"no Chromium or Chrome that runs; install one (Debian: {INSTALL}) to test the console in a browser"


def provide(tell: Callable[[str], None]) -> None:
    """Install a browser where none is and that can be done without asking; whatever happens, say it and go on."""
    if chromium() is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        tell(f"==> Browser: {missing()}")
        return
    tell(f"==> Browser: {INSTALL}")
    with tempfile.NamedTemporaryFile("w+", prefix="chromium-", suffix=".log", delete=False) as log:
        for step in STEPS:
            try:
                subprocess.run(  # noqa: S603 - the commands above
                    step,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    timeout=INSTALL_SECONDS,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                tell(f"    {step[0]} {step[1]}: {error}")
    if chromium() is None:
        tell(f"    That did not work ({log.name}): {missing()}")


if __name__ == "__main__":
    provide(lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - it talks to a terminal

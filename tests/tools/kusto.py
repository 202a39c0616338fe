"""Microsoft's language service for Kusto, installed once into `.sandbox`: it parses and binds our queries.

What holds a query against the tables of Application Insights is `../shared/tools/kql/check.js`. `python -m
tests.tools.kusto` installs the service where that is at hand; whatever happens, it says so and goes on.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.azurite import ROOT, SANDBOX_FOLDER
from sandbox.npm import InstallFailed, NpmPackage, find_node, say
from sandbox.npm import install as install_package

PACKAGE: Final = NpmPackage("Kusto", "@kusto/language-service-next", "12.4.1", brings=1)
CHECK: Final = ROOT.parent / "shared/tools/kql/check.js"
_FOLDER: Final = SANDBOX_FOLDER / PACKAGE.folder_name


def missing() -> str | None:
    """What is not here and is needed, or None."""
    if not CHECK.is_file():
        return f"{CHECK} is not here"
    if not PACKAGE.is_in(_FOLDER):
        return f"npm's {PACKAGE.name} {PACKAGE.version} is not here; `make tools` installs it"
    return None


def install() -> None:
    """Install the service where it is not yet. Raises `InstallFailed`."""
    install_package(PACKAGE, SANDBOX_FOLDER)


def refused(files: Sequence[Path]) -> str:
    """What the service has against the queries in these files, a line each; nothing where it takes them all."""
    done = subprocess.run(  # noqa: S603 - the checker, on our own files
        [str(find_node().program), str(CHECK), *map(str, files)],
        env={"KUSTO": str(_FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    return said if done.returncode or f"{len(files)} files, 0 refused" not in said else ""


def main() -> None:
    """Install the service where it is of use."""
    if not CHECK.is_file():
        say(f"==> Kusto: skipped, {CHECK} is not here")
        return
    try:
        install()
    except InstallFailed as error:
        say(f"==> Kusto: queries are not held against its language service. {error}")


if __name__ == "__main__":
    main()

"""Microsoft's Bicep compiler over `infra/`: one word of it, be it a warning, and the exit status is 1.

`python -m tests.tools.bicep` builds and lints every template and builds every parameter file. The compiler is the one
in `../shared/tools`, else `bicep` on the path; with none, one line says what was skipped. Needs nothing but Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AT_HAND = ROOT.parent / "shared/tools/bicep"

# The compiler's own needs. All else is left out, so that a developer's settings decide nothing.
_INHERITED = ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME")


def compiler() -> str | None:
    """The compiler's program, or None where there is none."""
    return str(AT_HAND) if AT_HAND.is_file() else shutil.which("bicep")


def said_about(folder: Path, program: str) -> str:
    """All that the compiler says about the files below `folder`; nothing where they are right."""
    parameters = sorted(folder.rglob("*.bicepparam"))
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {name: "for-the-compiler" for path in parameters for name in variables_needed(path.read_text())}
    with tempfile.TemporaryDirectory() as output:
        commands = [
            ["build", "--pattern", f"{folder}/**/*.bicep", "--outdir", output],
            ["lint", "--pattern", f"{folder}/**/*.bicep"],
            ["build-params", "--pattern", f"{folder}/**/*.bicepparam", "--outdir", output],
        ]
        return "".join(_said([program, *command], environment) for command in commands)


def variables_needed(parameters: str) -> list[str]:
    """The environment variables that a parameter file reads and has no default for."""
    return re.findall(r"readEnvironmentVariable\('(\w+)'\)", parameters)


def _said(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - the compiler, on our own files
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).strip()
    if said or done.returncode:
        return f"{command[1]}: exit status {done.returncode}\n{said}\n"
    return ""


def main() -> int:
    """Compile `infra/`."""
    folder = ROOT / "infra"
    templates, parameters = (len(list(folder.rglob(f"*.{kind}"))) for kind in ("bicep", "bicepparam"))
    files = f"{templates} templates and {parameters} parameter files"
    program = compiler()
    if program is None:
        print(f"skipped {files}: neither {AT_HAND} nor bicep on the path")
        return 0
    said = said_about(folder, program)
    print(said or f"{files}: not a word from {program}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())

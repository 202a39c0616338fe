"""`python -m tests.tools` installs what our texts and queries are held against: the Azure CLI and Kusto's service."""

from __future__ import annotations

import sys

from sandbox.npm import InstallFailed, say
from tests.tools import azure_cli, kusto

try:
    azure_cli.install()
    kusto.install()
except InstallFailed as error:
    say(str(error))
    sys.exit(1)

"""The Azure CLI's own parser, without what follows it. Run by the CLI's Python (see `azure_cli.py`), not by ours.

Standard input: a JSON list of command lines, each a list of words after `az`. Standard output: a JSON list with the
parser's objection to each, or null. Nothing is sent, and no login is needed. The CLI has no option to parse only, so
the step after its parser is made to stop.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from azure.cli.core import get_default_cli
from azure.cli.core.commands import AzCliCommandInvoker


class Parsed(Exception):
    """The parser is through."""


def stop(*_: object, **__: object) -> None:
    """Take the place of the step after the parser."""
    raise Parsed


def objection(words: list[str]) -> str | None:
    """What the parser has against a command line."""
    cli = get_default_cli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            cli.invocation.execute(words)
    except Parsed:
        return None
    except SystemExit as ended:
        return told.getvalue() or f"exit status {ended.code}"
    return "it was carried out, not only parsed"


if __name__ == "__main__":
    AzCliCommandInvoker.resolve_warnings = stop
    json.dump([objection(words) for words in json.load(sys.stdin)], sys.stdout)

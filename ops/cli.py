"""The list of commands."""

from __future__ import annotations

import typer

from ops import deadletters, mapping, storage, webhooks
from ops.backfill import backfill
from ops.doctor import doctor
from ops.erase import erase
from ops.preview import preview
from ops.send_test import send_test
from ops.status import status
from ops.unverified import unverified

app = typer.Typer(
    help=(
        "Look after the Outreach to Dynamics 365 sync. Settings come from the environment and from --settings; keys "
        "and secrets never from an option. Exit codes: 0 all is well, 1 something was found or went wrong, 2 usage."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)
app.command()(doctor)
app.add_typer(webhooks.commands, name="webhooks")
app.command()(preview)
app.command("send-test")(send_test)
app.command()(status)
app.add_typer(deadletters.commands, name="deadletters")
app.command()(unverified)
app.command()(erase)
app.add_typer(storage.commands, name="storage")
app.command()(backfill)
app.add_typer(mapping.commands, name="mapping")

"""`storage`: whose the storage account is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from ops.report import FOUND, AsJson, Refused, reporting
from ops.settings import SettingsFile, environment, running
from shared.settings import Organisation, read_organisation

commands = typer.Typer(help="Whose the storage account is.", no_args_is_help=True)


@commands.callback()
def _storage() -> None:
    """A group, although it has one command only."""


@commands.command()
def claim(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it only says what is noted.")] = False,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Confirm that an installation has moved: the account is that of these settings from now on.

    The first start notes OUTREACH_ORG_ID and the host of DATAVERSE_URL in the account. An app with others takes
    nothing in until this was said. The meetings there keep their appointments: do not claim the account of another
    organisation, whose meetings would be taken for yours. It needs the app's settings, and reaches for the storage
    account only. Exit code 1: something differs, and --yes was not given.
    """
    with reporting(as_json=as_json) as report:
        values = environment(settings)
        ours = read_organisation(values)
        if ours == Organisation():
            raise Refused("Neither OUTREACH_ORG_ID nor DATAVERSE_URL is set and valid.", code="nothing_to_claim")
        noted, differs = asyncio.run(_claim(values, yes=yes))
        document = {
            "noted": asdict(noted) if noted else None,
            "settings": asdict(ours),
            "differs": differs,
            "claimed": yes,
        }
        report.show(document, lambda console: _say(document, console))
        if differs and not yes:
            raise typer.Exit(FOUND)


async def _claim(values: Mapping[str, str], *, yes: bool) -> tuple[Organisation | None, bool]:
    async with running(values) as runtime:
        noted, differs = await runtime.owner.noted(), bool(await runtime.owner.compare())
        if yes:
            await runtime.owner.claim()
        return noted, differs


def _say(document: Mapping[str, Any], console: Console) -> None:
    for what, one in (("The account notes", document["noted"]), ("The settings say", document["settings"])):
        told = (
            f"Outreach {one['outreach'] or 'unknown'}, Dynamics {one['dataverse'] or 'unknown'}" if one else "nothing"
        )
        console.print(f"{what}: {told}.")
    if document["claimed"]:
        console.print("The account is that of these settings now. Apps that stopped for it go on within ten seconds.")
    elif document["differs"]:
        console.print("Add --yes to claim it.")
    else:
        console.print("Nothing differs.")

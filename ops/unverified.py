"""`unverified`: deliveries that are kept until a secret fits them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from ops.report import FOUND, AsJson, camel, reporting
from ops.settings import SettingsFile, environment, running
from shared.admin.unverified import in_words
from shared.storage.unverified import Totals


def unverified(
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Forget all of them: none of them is yours.")] = False,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Count the deliveries that could not be verified.

    They came while the webhook's secret was not known, or fitted no secret. What fits once the secret is right is
    applied by itself, the rest goes after seven days; nobody sees what is in them. It needs the app's settings, and
    reaches for the storage account only. Exit code 1: there are some.
    """
    with reporting(as_json=as_json) as report:
        totals, forgotten = asyncio.run(_look(environment(settings), forget=forget))
        document = camel(asdict(totals)) | ({"forgotten": forgotten} if forget else {})
        report.show(document, lambda console: _say(totals, console, forgotten if forget else None))
        if totals.rows and not forget:
            raise typer.Exit(FOUND)


async def _look(settings: Mapping[str, str], *, forget: bool) -> tuple[Totals, int]:
    async with running(settings) as runtime:
        await runtime.owner.insist()
        totals = await runtime.unverified.look()
        return totals, await runtime.unverified.forget_all() if forget else 0


def _say(totals: Totals, console: Console, forgotten: int | None) -> None:
    console.print(in_words(totals) or "There are none.")
    if forgotten is not None:
        console.print(f"Forgotten: {forgotten:,}.")

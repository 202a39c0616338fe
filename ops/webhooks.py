"""`webhooks`: Outreach's subscriptions to this app."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ops.probe import accepts
from ops.report import FOUND, USAGE, AsJson, Refused, Report, reporting, visible
from ops.settings import (
    AppUrl,
    SettingsFile,
    app_url,
    current_secret,
    environment,
    mapping_path,
    running,
    secret_in,
)
from ops.subscriptions import (
    ResourceRefused,
    Webhook,
    change_webhook,
    create_webhook,
    instead_of,
    read_webhooks,
    remove_webhook,
    webhook_resources,
    without_query,
)
from shared.errors import BadSettings
from shared.mapping_file import load_mapping
from shared.outreach.client import Outreach
from shared.pipeline.subscription import EVENTS_PATH
from shared.settings import read_webhook_secrets

commands = typer.Typer(help="Outreach's subscriptions to this app. Secrets are never printed.", no_args_is_help=True)

FunctionKeyEnv = Annotated[
    str,
    typer.Option(
        "--function-key-env", help="Name of the environment variable that holds the function key of the ingest route."
    ),
]
_DEFAULT_FUNCTION_KEY_ENV = "OPS_FUNCTION_KEY"


@commands.command("list")
def list_(*, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Show every webhook of the organisation."""

    async def read() -> list[Webhook]:
        values = environment(settings)
        secrets = read_webhook_secrets(values)
        async with running(values) as runtime:
            return await read_webhooks(runtime.outreach, secrets=() if secrets.unresolved else secrets.known)

    with reporting(as_json=as_json) as report:
        found = asyncio.run(read())
        report.show({"webhooks": [one.to_json() for one in found]}, lambda console: _say(found, console))


@commands.command()
def register(
    *,
    url: AppUrl = "",
    resource: Annotated[
        list[str] | None, typer.Option(help="May be given several times. [default: the mapping file's resources]")
    ] = None,
    action: Annotated[str, typer.Option(help="created, updated, destroyed, or * for all.")] = "*",
    function_key_env: FunctionKeyEnv = _DEFAULT_FUNCTION_KEY_ENV,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Subscribe the app to a resource.

    A webhook that exists stays; it gets the function key if that is a new one, and is switched on again where it was
    disabled. The secret is OUTREACH_WEBHOOK_SECRET of the settings; it must be the one that the app has.
    """

    async def do(address: str) -> list[dict[str, Any]]:
        done, refused = [], []
        values = environment(settings)
        secret = current_secret(values)
        resources = resource or webhook_resources(load_mapping(mapping_path(values)))
        async with running(values) as runtime:
            for one in resources:
                try:
                    done.append(await _register(runtime.outreach, one, action, address, secret))
                except ResourceRefused:
                    refused.append(one)
        if refused:
            raise Refused(instead_of(refused, [str(one["resource"]) for one in done]), code="resource_refused")
        return done

    with reporting(as_json=as_json) as report:
        base = app_url(url)
        key = secret_in(function_key_env, what="the function key of the ingest route")
        done = asyncio.run(do(f"{base}{EVENTS_PATH}?code={quote(key, safe='')}"))
        report.show({"webhooks": done}, lambda console: _say_registered(done, console))


@commands.command()
def remove(
    ids: Annotated[list[str], typer.Argument(help="Ids as webhooks list shows them.", metavar="ID...")],
    *,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove webhooks; Outreach then sends nothing more to them."""

    async def do() -> dict[str, bool]:
        async with running(environment(settings)) as runtime:
            return {one: await remove_webhook(runtime.outreach, one) for one in ids}

    with reporting(as_json=as_json) as report:
        _check_ids(ids)
        removed = asyncio.run(do())

        def say(console: Console) -> None:
            for one, was_there in removed.items():
                console.print(f"Webhook {one}: {'removed' if was_there else 'there is none'}.")

        report.show({"removed": [one for one, was_there in removed.items() if was_there]}, say)
        if not all(removed.values()):
            raise typer.Exit(FOUND)


@commands.command("rotate-secret")
def rotate_secret(
    *,
    url: AppUrl = "",
    function_key_env: FunctionKeyEnv = _DEFAULT_FUNCTION_KEY_ENV,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Give the webhooks a new secret without losing a delivery.

    First, in the app's settings: OUTREACH_WEBHOOK_SECRET_PREVIOUS = the present secret, OUTREACH_WEBHOOK_SECRET = a
    new long random one. Then this command, with the same two settings: it makes sure that the app accepts both, and
    only then tells Outreach. A day later, empty OUTREACH_WEBHOOK_SECRET_PREVIOUS.
    """
    with reporting(as_json=as_json) as report:
        base = app_url(url)
        key = secret_in(function_key_env, what="the function key of the ingest route")
        values = environment(settings)
        new, old = _both_secrets(values)
        for name, secret in (("OUTREACH_WEBHOOK_SECRET", new), ("OUTREACH_WEBHOOK_SECRET_PREVIOUS", old)):
            if not accepts(base, secret=secret, key=key):
                raise Refused(
                    f"The app does not accept the {name} of these settings yet. Set both in the app, wait until it has "
                    "restarted, and run this again. Nothing was changed.",
                    code="app_not_ready",
                )
        changed = asyncio.run(_rotate(values, base, new))
        _tell_rotated(report, changed)


_FIRST_STEP = (
    "First set two settings, in the app and here: OUTREACH_WEBHOOK_SECRET_PREVIOUS to the present secret, and "
    "OUTREACH_WEBHOOK_SECRET to a new one (such as `openssl rand -hex 32` makes). Then run this again."
)


def _both_secrets(values: dict[str, str]) -> tuple[str, str]:
    """The new secret and the one before. Raises `Refused`, or `BadSettings` for one that the app would not take."""
    secrets = read_webhook_secrets(values)
    if secrets.unresolved:
        raise BadSettings(secrets.problems)
    if not secrets.current or not secrets.previous or secrets.current == secrets.previous:
        raise Refused(_FIRST_STEP, code="first_step_missing")
    return secrets.current, secrets.previous


async def _rotate(values: dict[str, str], base: str, secret: str) -> list[Webhook]:
    async with running(values) as runtime:
        ours = [one for one in await read_webhooks(runtime.outreach, secrets=[]) if one.leads_to(base)]
        if not ours:
            raise Refused(f"No webhook leads to {base}. webhooks register makes one.", code="no_webhook")
        for one in ours:
            await change_webhook(runtime.outreach, one.id, {"secret": secret})
        return ours


def _tell_rotated(report: Report, changed: Sequence[Webhook]) -> None:
    def say(console: Console) -> None:
        for one in changed:
            console.print(f"Webhook {one.id} ({one.resource} {one.action}): has the new secret.")
        console.print("Keep OUTREACH_WEBHOOK_SECRET_PREVIOUS for a day, then empty it in the app.")

    report.show({"rotated": [one.id for one in changed]}, say)


async def _register(outreach: Outreach, resource: str, action: str, address: str, secret: str) -> dict[str, Any]:
    base = without_query(address).removesuffix(EVENTS_PATH)
    for one in await read_webhooks(outreach, secrets=[secret]):
        if one.leads_to(base) and (one.resource, one.action) == (resource, action):
            on = one.active and not one.disabled_reason
            if on and one.address == address:
                return {**one.to_json(), "done": "was there already"}
            await change_webhook(outreach, one.id, {"active": True, "url": address})
            done = "has the new function key" if on else "switched on again"
            return {**one.to_json(), "active": True, "disabledReason": "", "done": done}
    made = await create_webhook(outreach, resource=resource, action=action, url=address, secret=secret)
    return {**made.to_json(), "done": "registered"}


def _check_ids(ids: Sequence[str]) -> None:
    wrong = [one for one in ids if not (one.isascii() and one.isdigit())]
    if wrong:
        raise Refused(f"{wrong[0]!r} is not the id of a webhook, which is a number.", code="bad_id", exit_code=USAGE)


def _say(webhooks: Sequence[Webhook], console: Console) -> None:
    if not webhooks:
        console.print("Outreach has no webhooks. webhooks register makes one.")
        return
    table = Table("id", "resource", "action", Column("leads to", overflow="fold"), "state", box=None, pad_edge=False)
    for one in webhooks:
        table.add_row(one.id, one.resource, one.action, one.url, _state(one))
    console.print(table)


def _state(one: Webhook) -> Text:
    if one.disabled_reason:
        return Text(f"disabled: {visible(one.disabled_reason)}", style="red")
    if not one.active:
        return Text("off", style="red")
    if one.is_to_this_app and one.has_our_secret is False:
        return Text("active, but with another secret", style="red")
    return Text("active", style="green")


def _say_registered(done: Sequence[dict[str, Any]], console: Console) -> None:
    for one in done:
        console.print(f"Webhook {one['id']} ({one['resource']} {one['action']}) to {one['url']}: {one['done']}.")

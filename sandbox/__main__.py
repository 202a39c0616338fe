"""`python -m sandbox`: the laptop stack's commands."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sandbox.azurite import Azurite
from sandbox.backfill import Form
from sandbox.backfill import Plan as BackfillPlan
from sandbox.backfill import backfill as run_backfill
from sandbox.child import ChildFailed, interruptible
from sandbox.gate import How
from sandbox.npm import InstallFailed
from sandbox.outage import Plan as OutagePlan
from sandbox.outage import outage as run_outage
from sandbox.outreach.deliveries import delivery_of
from sandbox.outreach.sender import Sender, Sent
from sandbox.soak import Plan as SoakPlan
from sandbox.soak import soak as run_soak
from sandbox.stack import HostKind
from sandbox.story import demo as tell_demo
from sandbox.up import read_addresses
from sandbox.up import up as run_up
from shared.errors import BadSettings
from shared.http.loopback import past_the_proxy
from shared.settings import read_settings

app = typer.Typer(
    help="The product on one laptop: real storage, stand-ins for Dataverse and Outreach.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
OnHost = Annotated[HostKind, typer.Option("--host", help="what runs the app; functions: Microsoft's own host")]
Port = Annotated[int, typer.Option(help="port on 127.0.0.1; 0 takes a free one", min=0, max=65535)]


@app.command()
def demo(on: OnHost = "sandbox") -> None:
    """Run the main job once, show what happened, check every appointment."""
    raise typer.Exit(tell_demo(host=on))


@app.command()
def up(
    port: Annotated[int, typer.Option(help="where the app listens, if it is free", min=0, max=65535)] = 7071,
    on: OnHost = "sandbox",
) -> None:
    """Start everything and leave it running until Ctrl-C."""
    raise typer.Exit(run_up(Console(), port=port, host=on))


@app.command()
def soak(
    events: Annotated[int, typer.Option(help="how many deliveries, about")] = 20_000,
    kill_every: Annotated[float, typer.Option(help="seconds between two kills of the app on our own host")] = 5.0,
    seed: Annotated[int, typer.Option(help="another seed is another run")] = 1,
    calm: Annotated[bool, typer.Option("--calm", help="nothing breaks; events come twice, in any order")] = False,  # noqa: FBT002 - a flag of the command line
    refused: Annotated[float, typer.Option(help="share of the writes that are refused for one column")] = 0.0,
    refused_owner: Annotated[float, typer.Option(help="share of the writes that are refused for the owner")] = 0.0,
    for_good: Annotated[float, typer.Option(help="share of these refusals that stay")] = 0.5,
    on: OnHost = "sandbox",
) -> None:
    """Thousands of events while everything breaks; 0 only if nothing is lost, twice or stale."""
    plan = SoakPlan(
        events=events, host=on, kill_every=kill_every, seed=seed, refused=refused, refused_owner=refused_owner
    )
    plan = replace(plan, for_good=for_good)
    raise typer.Exit(run_soak(replace(plan, trouble=False, disorder=0) if calm else plan))


@app.command()
def outage(
    seconds: Annotated[float, typer.Option(help="how long storage is away")] = 8.0,
    how: Annotated[How, typer.Option(help="what its clients meet: no answer, no connection, or 503")] = "hangs",
    share: Annotated[float, typer.Option(help="of the requests that a busy account turns away")] = 1.0,
    deliveries: Annotated[int, typer.Option(help="how many deliveries")] = 16,
    spread: Annotated[float, typer.Option(help="over how many seconds they come; 0: all at once")] = 0.0,
    size: Annotated[int, typer.Option(help="characters of each meeting's description")] = 0,
    host: OnHost = "sandbox",
    stop: Annotated[bool, typer.Option("--stop", help="end the app in the middle, and start it again")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Storage goes away and comes back; 0 only if every delivery is in Dynamics and none was answered no."""
    plan = OutagePlan(
        seconds=seconds,
        how=how,
        share=share,
        deliveries=deliveries,
        spread=spread,
        size=size,
        host=host,
        stop=stop,
    )
    raise typer.Exit(run_outage(plan))


@app.command()
def backfill(
    rows: Annotated[int, typer.Option(help="how many rows the file has")] = 50_000,
    rate: Annotated[float, typer.Option(help="rows a second at most")] = 50,
    ahead: Annotated[int, typer.Option(help="rows wait while this many messages are in the queue")] = 200,
    form: Annotated[Form, typer.Option(help="what the file is")] = "csv",
) -> None:
    """Back-fill a file, killed and taken up again; 0 only if every row became what it must."""
    raise typer.Exit(run_backfill(BackfillPlan(rows=rows, rate=rate, ahead=ahead, form=form)))


@app.command()
def host(port: Port = 7071) -> None:
    """Run only the app, with the settings in the environment."""
    try:
        read_settings(os.environ)
    except BadSettings as error:
        # The app starts all the same, as in Azure: it keeps events until its settings are mended.
        print("Settings to mend:", *error.problems, sep="\n  ", file=sys.stderr)
    _run_module("sandbox.host", port)


@app.command()
def dataverse(port: Port = 0) -> None:
    """Run only the Dataverse stand-in."""
    _run_module("sandbox.dataverse", port)


@app.command()
def outreach(port: Port = 0) -> None:
    """Run only the Outreach stand-in."""
    _run_module("sandbox.outreach", port)


@app.command()
def azurite(
    folder: Annotated[Path | None, typer.Option(help="keep the data here; without it nothing is kept")] = None,
) -> None:
    """Run only Azurite, and print its connection string."""
    with interruptible():
        try:
            with Azurite(folder) as running:
                print(running.connection_string, flush=True)
                while running.running:
                    time.sleep(0.5)
        except KeyboardInterrupt:
            return
    raise ChildFailed("Azurite has ended by itself.")


@app.command()
def send(
    file: Annotated[Path, typer.Argument(help="the body as JSON; - reads it from standard input")],
    url: Annotated[str, typer.Option(help="webhook address with its ?code=; default: the stack of `up`")] = "",
    secret: Annotated[
        str, typer.Option(help="webhook secret; default: that of `up`", envvar="OUTREACH_WEBHOOK_SECRET")
    ] = "",
) -> None:
    """Send one delivery, signed and delivered as Outreach does it."""
    running = read_addresses()
    url = url or (running.webhook_url if running else "")
    secret = secret or (running.webhook_secret if running else "")
    if not url or not secret:
        _fail("Where to? Start `make up` in another terminal, or give --url and --secret.")
    try:
        document = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
    except (OSError, ValueError) as error:
        _fail(f"{file} cannot be read as JSON: {error}")
    if not isinstance(document, dict):
        _fail(f"{file} must hold a JSON object.")
    sent = asyncio.run(_send(document, url=url, secret=secret))
    if sent.status is None:
        _fail(f"No answer in {sent.attempts} attempts. Is the app running at that address?")
    print(f"HTTP {sent.status} {sent.body.decode(errors='replace')}")
    raise typer.Exit(0 if sent.status < 400 else 1)


async def _send(document: dict[str, object], *, url: str, secret: str) -> Sent:
    async with Sender(url, secret=secret) as sender:
        return await sender.send(delivery_of(document))


def _run_module(module: str, port: int) -> None:
    """As `python -m MODULE --port PORT`, in this very process, so that signals and exit code are the module's own."""
    sys.argv = [module, "--port", str(port)]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    os.environ |= past_the_proxy(os.environ)
    try:
        app(prog_name="python -m sandbox")
    except (ChildFailed, InstallFailed) as failed:
        print(failed, file=sys.stderr)
        sys.exit(1)

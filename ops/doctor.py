"""`doctor`: is everything as the sync needs it? Green or red, with the fix beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from ops.checks.configuration import check_settings
from ops.checks.dynamics import check_dynamics
from ops.checks.outreach import check_outreach
from ops.checks.storage import check_storage
from ops.columns import Columns, read_file
from ops.findings import Finding, has_problems, say, to_json
from ops.report import FOUND, AsJson, reporting
from ops.settings import DEFAULT_KEY_ENV, AppUrl, KeyEnv, SettingsFile, app_url, environment, running

Metadata = Annotated[
    Path | None,
    typer.Option(
        help="Hold the mapping against this saved metadata ($metadata or EntityDefinitions) and not the live one.",
        exists=True,
        dir_okay=False,
    ),
]


def doctor(
    *,
    settings: SettingsFile = None,
    url: AppUrl = "",
    key_env: KeyEnv = DEFAULT_KEY_ENV,
    metadata: Metadata = None,
    as_json: AsJson = False,
) -> None:
    """Check that all is as the sync needs it.

    Settings, storage, Dynamics, Outreach, the mapping and, with --url (or PUBLIC_URL), the running app. What it
    finds is what your own sign-in sees; with --url the app tells what its identity sees, and with its admin key also
    why not. It writes a probe into the queue and each table and takes it away again, and changes nothing else.
    """
    with reporting(as_json=as_json) as report:
        values = environment(settings)
        app = app_url(url) if url else ""
        saved = read_file(metadata) if metadata else None
        with report.progress.status("Looking …"):
            findings = asyncio.run(_examine(values, app, key_env, saved))
        report.show(to_json(findings), lambda console: say(findings, console))
        if has_problems(findings):
            raise typer.Exit(FOUND)


async def _examine(values: Mapping[str, str], app: str, key_env: str, saved: Columns | None) -> list[Finding]:
    settings, findings = check_settings(values)
    if settings is None:
        what = "Not looked at before the settings are right."
        findings += [Finding(area, "skipped", what) for area in ("Storage", "Dynamics", "Mapping", "Outreach")]
        return findings + (await _the_app(app, key_env) if app else [])
    if not app and settings.public_url:
        app = app_url(settings.public_url)
    async with running(values) as runtime:
        findings += await check_storage(settings.ingest, values)
        findings += await check_dynamics(runtime.dataverse, settings, saved=saved)
        findings += await check_outreach(runtime.outreach, settings, app=app)
    return findings + (await _the_app(app, key_env, looked_at=("unverified",)) if app else [])


async def _the_app(app: str, key_env: str, looked_at: Collection[str] = ()) -> list[Finding]:
    """What the running app says of itself: the only word on what its own identity may do.

    `looked_at`: the parts whose state a reader has from storage already, with what to do about it.
    """
    area = "The app"
    key = os.environ.get(key_env, "").strip()
    path = "/api/status" if key else "/api/health"
    try:
        async with httpx.AsyncClient(base_url=app, timeout=30) as client:
            answer = await client.get(path, headers={"x-functions-key": key} if key else {})
        if answer.status_code == 401:
            fix = f"Put the admin (master) key of this app into {key_env}, or empty it: then reasons are left out."
            return [Finding(area, "problem", "The app does not accept the key.", fix)]
        parts = dict(answer.json()["parts"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        fix = "Check --url. An app that has just been deployed needs a minute."
        return [Finding(area, "problem", f"{app}{path} does not answer as this app does.", fix)]
    why = "" if key else f"Put the app's admin (master) key into {key_env}, and the app says why."
    return [_part(area, name, part, why) for name, part in parts.items() if name not in looked_at]


def _part(area: str, name: str, part: Mapping[str, Any], why: str) -> Finding:
    reason = str(part.get("reason") or "")
    if part.get("status") != "ok":
        return Finding(area, "problem", f"{name}: {reason or 'not ok.'}", "" if reason else why)
    return Finding(area, "warning" if reason else "ok", f"{name}: {reason or 'ok.'}")

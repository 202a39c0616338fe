"""Registers the blueprints; the Python v2 model wants this file at the root."""

from __future__ import annotations

import azure.functions as func

from functions.admin import blueprint as admin
from functions.console import blueprint as console
from functions.health import blueprint as health
from functions.ingest import blueprint as ingest
from functions.preview import blueprint as preview
from functions.sweep import blueprint as sweep
from functions.sync import blueprint as sync

app = func.FunctionApp()
for blueprint in (ingest, sync, sweep, health, admin, preview, console):
    app.register_functions(blueprint)

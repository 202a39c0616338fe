"""The timer: send on what no event will send on."""

from __future__ import annotations

import logging

import azure.functions as func

blueprint = func.Blueprint()
log = logging.getLogger("outreach_dynamics.sweep")


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False, use_monitor=True)
async def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding needs it
    """Judge what could not be verified, then run every part; whatever becomes of it, the backlog is reported.

    In another organisation's storage account nothing is looked at.
    """
    from shared.errors import BadSettings
    from shared.runtime import runtime
    from shared.telemetry import line

    try:
        await runtime().check_owner()
    except BadSettings as error:
        log.error(line("settings", part="sweep", problems=error.problems))  # noqa: TRY400 - the sentences say it all
        return
    try:
        await runtime().judge.run()
        await runtime().sweep.run()
    except BadSettings as error:
        log.error(line("settings", part="sweep", problems=error.problems))  # noqa: TRY400 - the sentences say it all
    finally:
        await runtime().backlog.report()

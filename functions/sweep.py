"""The timer: send on what no event will send on."""

from __future__ import annotations

import azure.functions as func

blueprint = func.Blueprint()


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False, use_monitor=True)
async def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding needs it
    """One run of every part; whatever becomes of it, how things stand is told."""
    from shared.runtime import runtime

    try:
        await runtime().sweep.run()
    finally:
        await runtime().standing.report()

"""The queue triggers: carry out an event, and record what the trigger gave up on."""

from __future__ import annotations

import asyncio
import os

import azure.functions as func

blueprint = func.Blueprint()

# Read here and not through a %NAME% binding: that would have no default, and without the setting nothing would start.
_QUEUE = os.environ.get("SYNC_QUEUE_NAME", "").strip() or "outreach-events"


@blueprint.function_name("sync")
@blueprint.queue_trigger(arg_name="message", queue_name=_QUEUE, connection="AzureWebJobsStorage")
async def sync(message: func.QueueMessage) -> None:
    """Carry out one event. An error that escapes makes the queue deliver the message again."""
    from shared.runtime import runtime

    try:
        await runtime().carry_out(message.get_body())
    except asyncio.CancelledError as error:
        # The worker gets no answer from a cancelled task; an ordinary error gives the message back.
        raise RuntimeError("The worker is stopping; the message goes back to the queue.") from error


@blueprint.function_name("poison")
@blueprint.queue_trigger(arg_name="message", queue_name=f"{_QUEUE}-poison", connection="AzureWebJobsStorage")
async def poison(message: func.QueueMessage) -> None:
    """Make a dead letter of a message that the trigger itself gave up on."""
    from shared.runtime import runtime

    await runtime().carry_out_poisoned(message.get_body())

"""`POST /api/outreach/events`: Outreach's webhook."""

from __future__ import annotations

import logging
import time

import azure.functions as func

from functions.answers import answer, refusal
from functions.bodies import body_of

blueprint = func.Blueprint()
log = logging.getLogger("outreach_dynamics.ingest")


@blueprint.function_name("ingest")
@blueprint.route("outreach/events", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def ingest(req: func.HttpRequest, context) -> func.HttpResponse:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the worker refuses an annotated context
    """Store the delivery durably, then answer 202; while that cannot be done, do not answer."""
    from shared.errors import BadDelivery, BadSettings, NotStored
    from shared.runtime import new_trace, runtime
    from shared.storage.envelope import Trace
    from shared.telemetry import DELIVERIES, line

    started = time.monotonic()
    called, hosted = req.headers.get("traceparent"), context.trace_context.trace_parent
    trace = Trace.of_call(called=called, hosted=hosted) or new_trace()
    try:
        receipt = await runtime().ingest.receive(body_of(req, "ingest"), headers=dict(req.headers), trace=trace)
    except BadDelivery as error:
        DELIVERIES.record(1, status="refused", way="none")
        log.warning(line("refused", correlation_id=trace.correlation_id, code=error.code, kept=error.kept))
        return refusal(error.status, error.code, error.message)
    except BadSettings as error:
        DELIVERIES.record(1, status="not_configured", way="none")
        log.error(line("settings", part="ingest", problems=error.problems))  # noqa: TRY400 - the sentences say it all
        message = "The app's settings are incomplete; GET /api/status (with the admin key) lists what is missing."
        return refusal(503, "not_configured", message)
    except NotStored as error:
        if error.reason == "copy":  # its first is held on, so nothing is lost
            return refusal(503, "storage_unavailable", "The same delivery came before, and still waits for storage.")
        # No stack: it would repeat for every event of an outage and says nothing that the code does not.
        DELIVERIES.record(1, status="not_stored", way="none")
        log.error(line("not_stored", correlation_id=trace.correlation_id, reason=error.reason))  # noqa: TRY400
        if error.reason == "full":
            return refusal(503, "secret_not_known", "The webhook's secret is not known yet, and no more can be kept.")
        return refusal(503, "storage_unavailable", "The event could not be stored. Send it again.")
    DELIVERIES.record(1, status=receipt.status, way=receipt.way)
    log.info(
        line(
            "ingest",
            status=receipt.status,
            correlation_id=receipt.correlation_id,
            event=runtime().names.event(receipt.event),
            record=receipt.record,
            way=receipt.way,
            seconds=round(time.monotonic() - started, 3),
        )
    )
    return answer({"status": receipt.status, "correlationId": receipt.correlation_id}, status=202)

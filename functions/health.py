"""`GET /api/health`: what is reachable, for anybody. `HEAD`, which monitors send, has the status only."""

from __future__ import annotations

import azure.functions as func

from functions.answers import answer

blueprint = func.Blueprint()


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding needs it
    """200 when every part answers, else 503 with the parts that do not."""
    from shared.runtime import runtime

    report = await runtime().health.report()
    return answer(report, status=200 if report["status"] == "ok" else 503)

"""`GET /api/health`: which parts are well, for anybody. `GET /api/status`: each part with its reason, for admins.

`HEAD`, which monitors send, has the status only.
"""

from __future__ import annotations

import azure.functions as func

from functions.answers import answer, in_words
from functions.views import health_json, status_json

blueprint = func.Blueprint()


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding needs it
    """200 when every part answers, else 503 with the parts that do not."""
    from shared.runtime import runtime

    report = await runtime().health.report()
    return answer(health_json(report), status=200 if report.well else 503)


@blueprint.function_name("status")
@blueprint.route("status", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@in_words
async def status(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding needs it
    """200 whatever it says: an admin asked, and gets an answer."""
    from shared.runtime import runtime

    return answer(status_json(await runtime().health.report()))

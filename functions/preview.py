"""`POST /api/preview`: what a delivery would write, without writing."""

from __future__ import annotations

import azure.functions as func

from functions.answers import answer, for_admins
from functions.bodies import body_of
from functions.views import dry_run_json

blueprint = func.Blueprint()


@blueprint.function_name("preview")
@blueprint.route("preview", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def preview(req: func.HttpRequest) -> func.HttpResponse:
    """The body is a delivery as Outreach sends it; it needs no signature."""
    from shared.meeting.delivery import parse_json
    from shared.runtime import runtime

    found = await runtime().dry_runner.run(parse_json(body_of(req, "preview")))
    return answer(dry_run_json(found))

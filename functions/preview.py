"""`POST /api/preview`: what a delivery would write, without writing."""

from __future__ import annotations

import azure.functions as func

from functions.answers import answer, for_admins, refusal

blueprint = func.Blueprint()


@blueprint.function_name("preview")
@blueprint.route("preview", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def preview(req: func.HttpRequest) -> func.HttpResponse:
    """The body is a delivery as Outreach sends it; it needs no signature."""
    from shared.meeting.delivery import parse_json
    from shared.pipeline.signature import MAX_BODY_BYTES
    from shared.runtime import runtime

    if len(req.get_body()) > MAX_BODY_BYTES:
        return refusal(413, "body_too_large", f"The body is over {MAX_BODY_BYTES} bytes; Outreach sends far less.")
    found = await runtime().previewer.preview(parse_json(req.get_body()))
    return answer(found.to_json())

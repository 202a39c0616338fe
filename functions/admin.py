"""The admin's routes: look an event or a meeting up, list dead letters, send them again or dismiss them."""

from __future__ import annotations

import re

import azure.functions as func

from functions.answers import answer, for_admins, refusal
from functions.bodies import body_of
from functions.views import dead_letter_json, journal_json, meeting_json

blueprint = func.Blueprint()

_UNKNOWN_MEETING = "Nothing is known of this meeting (yet); an event just accepted may wait."


@blueprint.function_name("correlations")
@blueprint.route("correlations/{correlationId}", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def correlations(req: func.HttpRequest) -> func.HttpResponse:
    """The journal of one event."""
    from shared.runtime import runtime

    found = await runtime().admin.correlation(req.route_params["correlationId"])
    if not found:
        message = (
            "No event with this correlation id was carried out (yet). One just sent may wait; one that was answered "
            "`ignored`, because the mapping does not name its resource, stands in the log only; and a journal is kept "
            "for SYNC_RETENTION_DAYS."
        )
        return refusal(404, "not_found", message)
    return answer(journal_json(found))


@blueprint.function_name("meetings")
@blueprint.route("meetings/{meetingId}", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def meetings(req: func.HttpRequest) -> func.HttpResponse:
    """How one meeting stands."""
    from shared.runtime import runtime

    found = await runtime().admin.meeting(_meeting_id(req))
    if found is None:
        return refusal(404, "not_found", _UNKNOWN_MEETING)
    return answer(meeting_json(found))


@blueprint.function_name("write")
@blueprint.route("meetings/{meetingId}/write", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def write(req: func.HttpRequest) -> func.HttpResponse:
    """Look at Dynamics and write again what differs; what was refused is tried again."""
    from shared.admin.admin import BY_KEY
    from shared.runtime import runtime

    correlation_id = await runtime().admin.write(_meeting_id(req), by=BY_KEY)
    if correlation_id is None:
        return refusal(404, "not_found", _UNKNOWN_MEETING)
    return answer({"correlationId": correlation_id}, status=202)


@blueprint.function_name("deadletters")
@blueprint.route("deadletters", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def deadletters(req: func.HttpRequest) -> func.HttpResponse:
    """Events that need a person, up to 1,000; `?continuation=` with what the answer has as that asks for the next."""
    from shared.runtime import runtime

    dead_letters, continuation = await runtime().admin.dead_letters_from(req.params.get("continuation", ""))
    shown = [dead_letter_json(dead_letter) for dead_letter in dead_letters]
    return answer({"count": len(shown), "deadLetters": shown, "continuation": continuation})


@blueprint.function_name("replay")
@blueprint.route("deadletters/replay", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def replay(req: func.HttpRequest) -> func.HttpResponse:
    """Send dead letters again: `{"all": true}` or `{"correlationIds": […]}`."""
    from functions.requests import read_replay
    from shared.admin.admin import BY_KEY
    from shared.runtime import runtime

    sent = await runtime().admin.replay(read_replay(body_of(req, "replay")), by=BY_KEY)
    return answer({"replayed": len(sent), "correlationIds": sent}, status=202)


@blueprint.function_name("dismiss")
@blueprint.route("deadletters/dismiss", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@for_admins
async def dismiss(req: func.HttpRequest) -> func.HttpResponse:
    """Let dead letters go for good: `{"correlationIds": […], "reason": "…"}`."""
    from functions.requests import read_dismissal
    from shared.admin.admin import BY_KEY
    from shared.runtime import runtime

    correlation_ids, reason = read_dismissal(body_of(req, "dismiss"))
    gone = await runtime().admin.dismiss(correlation_ids, reason=reason, by=BY_KEY)
    return answer({"dismissed": len(gone), "correlationIds": gone})


def _meeting_id(req: func.HttpRequest) -> str:
    """The host decodes what stands in an address, but for an escaped slash."""
    return re.sub("%2f", "/", req.route_params["meetingId"], flags=re.IGNORECASE)

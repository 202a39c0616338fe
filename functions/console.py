"""`GET /api/console`: the web pages, and the two ways in.

The host checks the admin key before it calls `console` and `console_session`. Pages and forms check for a session
themselves, because a browser sends no key when somebody follows a link (docs/decisions/0006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import azure.functions as func

from functions.bodies import body_of

if TYPE_CHECKING:
    from shared.console.pages import Answer, Request

blueprint = func.Blueprint()

# What a page's form may be sent to. One route each: `console/{page}` for POST would match `console/session` too.
_FORMS = ("dismiss", "find", "preview", "replay", "sign-out")


@blueprint.function_name("console")
@blueprint.route("console", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
async def console(req: func.HttpRequest) -> func.HttpResponse:
    """The overview, or for a browser that brings the key in the address: a session."""
    from shared.runtime import runtime

    return _response(await runtime().console.enter(_request(req)))


@blueprint.function_name("console_session")
@blueprint.route("console/session", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
async def console_session(req: func.HttpRequest) -> func.HttpResponse:
    """What the sign-in page calls with the key in a header."""
    from shared.runtime import runtime

    return _response(await runtime().console.sign_in(_request(req)))


@blueprint.function_name("console_pages")
@blueprint.route("console/{page}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def console_pages(req: func.HttpRequest) -> func.HttpResponse:
    """Any page, for whoever has a session."""
    from shared.runtime import runtime

    return _response(await runtime().console.show(_request(req, req.route_params["page"])))


def _add_form(page: str) -> None:
    @blueprint.function_name(f"console_{page}")
    @blueprint.route(f"console/{page}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
    async def console_form(req: func.HttpRequest) -> func.HttpResponse:
        from shared.console.pages import refused
        from shared.errors import BadDelivery
        from shared.runtime import runtime

        try:
            body = body_of(req, f"console_{page}")
        except BadDelivery as error:
            return _response(refused(error))
        return _response(await runtime().console.show(_request(req, page, body)))


for _page in _FORMS:
    _add_form(_page)


def _request(req: func.HttpRequest, page: str = "", body: bytes = b"") -> Request:
    from shared.console.pages import Request

    return Request(
        method=req.method,
        page=page,
        query=dict(req.params),
        headers=dict(req.headers),
        body=body,
        loopback=_is_loopback(req.url),
    )


def _is_loopback(url: str) -> bool:
    """By the host alone: behind a front end, Azure's own or a gateway, the scheme is that of its call to the app."""
    from shared.settings import is_loopback

    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _response(answer: Answer) -> func.HttpResponse:
    return func.HttpResponse(
        answer.html, status_code=answer.status, mimetype="text/html", charset="utf-8", headers=answer.headers
    )

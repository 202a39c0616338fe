"""How Outreach says no: mostly JSON:API errors, sometimes plain text, sometimes `{"error", "description"}`.

The ids and titles are those of https://developers.outreach.io/api/making-requests#error-responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

MEDIA_TYPE: Final = "application/vnd.api+json"


class Refusal(Exception):
    """An answer that is not a success."""

    def __init__(
        self,
        status: int,
        *,
        body: object = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        media_type: str = MEDIA_TYPE,
    ) -> None:
        """`body`: JSON; `text`: plain text in its place."""
        super().__init__(f"{status} {text if text is not None else body}")
        self.status = status
        self.body = body
        self.text = text
        self.headers = dict(headers or {})
        self.media_type = media_type

    def response(self) -> web.Response:
        """The refusal on the wire."""
        if self.text is not None:
            return web.Response(status=self.status, text=self.text, headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers, content_type=self.media_type)


def api_error(
    status: int,
    error_id: str,
    title: str,
    detail: str,
    *,
    pointer: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refusal:
    """A JSON:API error; `pointer` names the member that is wrong."""
    error: dict[str, object] = {"id": error_id, "title": title, "detail": detail}
    if pointer is not None:
        error["source"] = {"pointer": pointer}
    return Refusal(status, body={"errors": [error]}, headers=headers)


def invalid(detail: str, *, pointer: str) -> Refusal:
    """422 for a member of the document."""
    return api_error(422, "validationError", "Validation Error", detail, pointer=pointer)


def not_found(kind: str, record_id: object) -> Refusal:
    """404 for a record."""
    detail = f"Could not find '{kind}' with ID '{record_id}'."
    return api_error(404, "resourceNotFound", "Resource Not Found", detail)


def gone(kind: str, record_id: object) -> Refusal:
    """410 for a record that was deleted; whether Outreach ever answers so is not published."""
    return api_error(410, "resourceGone", "Resource Gone", f"The '{kind}' with ID '{record_id}' was deleted.")


def bad_query(detail: str) -> Refusal:
    """400 for a query parameter; its id is not published."""
    return api_error(400, "badRequest", "Bad Request", detail)


def missing_scope(scope: str) -> Refusal:
    """403 for a token that was not granted `scope`."""
    detail = f"Your authorization does not include the required scope '{scope}'."
    return api_error(403, "unauthorizedOauthScope", "Unauthorized OAuth Scope", detail)


def wrong_media_type() -> Refusal:
    """415; this one is published with `details` in the plural."""
    error = {
        "id": "unsupportedMediaType",
        "title": "Unsupported Media Type",
        "details": f"Expected Content-Type header to be '{MEDIA_TYPE}'.",
    }
    return Refusal(415, body={"errors": [error]})


def rate_limited(retry_after: str) -> Refusal:
    """429 of the API."""
    detail = "You have exceeded your permitted rate limit."
    return api_error(429, "rateLimitExceeded", "Rate Limit Exceeded", detail, headers={"Retry-After": retry_after})


def maintenance(retry_after: str) -> Refusal:
    """503; its `Retry-After` is published as an ISO time."""
    detail = "Scheduled server maintenance is under way."
    return api_error(
        503, "scheduledServerMaintenance", "Scheduled Server Maintenance", detail, headers={"Retry-After": retry_after}
    )


def unauthorized_text() -> Refusal:
    """401 in plain text, for a request without a usable token."""
    return Refusal(401, text="Unauthorized\n")


def unauthorized_json(error: str, description: str) -> Refusal:
    """401 of the gateway, for a token that it cannot read."""
    return Refusal(401, body={"error": error, "description": description}, media_type="application/json")

"""HTTP answers in the one form that the routes share."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func


def answer(body: Any, *, status: int = 200) -> func.HttpResponse:
    """`body` as JSON. Never stored by a cache on the way: it tells of people's meetings."""
    return func.HttpResponse(
        json.dumps(body, ensure_ascii=False),
        status_code=status,
        mimetype="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


def refusal(status: int, code: str, message: str) -> func.HttpResponse:
    """`{"error": {"code", "message"}}`."""
    return answer({"error": {"code": code, "message": message}}, status=status)


Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


def in_words(handler: Handler) -> Handler:
    """`handler`, with errors in words: an admin is allowed to know, and an empty 500 helps nobody."""

    # The worker looks at the handler's own name and parameters, hence `wraps`.
    @functools.wraps(handler)
    async def guarded(req: func.HttpRequest) -> func.HttpResponse:
        from shared.errors import SyncError, describe

        try:
            return await handler(req)
        except SyncError as error:
            described = describe(error)
            return refusal(described.status, described.refusal, described.words)

    return guarded


def for_admins(handler: Handler) -> Handler:
    """`handler` in words, and not in another organisation's storage account: what lies there is not for this admin."""

    @functools.wraps(handler)
    async def owned(req: func.HttpRequest) -> func.HttpResponse:
        from shared.runtime import runtime

        await runtime().check_owner()
        return await handler(req)

    return in_words(owned)

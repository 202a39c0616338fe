"""How much of a request each route reads. A route that is not named here reads nothing, whatever comes along.

The host takes in up to FUNCTIONS_REQUEST_BODY_SIZE_LIMIT before it calls us, for anybody and each body several times
over; that bounds the memory. These bound what is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import azure.functions as func

# A delivery; a thousand ids and a reason, in JSON or a form; a form with a delivery, each byte written as three.
_DELIVERY: Final = 1024 * 1024
_IDS: Final = 256 * 1024
_DELIVERY_IN_A_FORM: Final = 3 * _DELIVERY + _IDS

READ: Final[Mapping[str, int]] = {
    "ingest": _DELIVERY,
    "preview": _DELIVERY,
    "replay": _IDS,
    "dismiss": _IDS,
    "console_find": _IDS,
    "console_replay": _IDS,
    "console_dismiss": _IDS,
    "console_sign-out": _IDS,
    "console_preview": _DELIVERY_IN_A_FORM,
}


def body_of(req: func.HttpRequest, function: str) -> bytes:
    """What came with the request. Raises `BadDelivery`: 413 where it is too large, 400 where it came without a length.

    Without a Content-Length, as with `Transfer-Encoding: chunked`, the host hands over an empty body.
    """
    from shared.errors import BadDelivery

    body: bytes = req.get_body()
    if len(body) > READ[function]:
        message = f"The body is over {READ[function]} bytes, more than this route has a use for."
        raise BadDelivery("body_too_large", message, status=413)
    if not body and "content-length" not in req.headers:
        message = "The body came in pieces (Transfer-Encoding) or not at all. Send it whole, with its Content-Length."
        raise BadDelivery("body_without_length", message)
    return body

"""An HTTP client that takes cookies as browsers do, for tests that sign in without a browser."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx

# The Functions host writes each cookie of an answer anew, with an empty `domain=`. A browser ignores an attribute
# without a value (https://www.rfc-editor.org/rfc/rfc6265#section-5.2.3); Python's cookie jar drops the whole cookie.
_EMPTY_DOMAIN: Final = re.compile(r";\s*domain=\s*(?=;|$)", re.IGNORECASE)


class _AsBrowsersDo(httpx.HTTPTransport):
    """Takes the empty attribute out of every answer's cookies."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; only the answer's cookies are changed."""
        response = super().handle_request(request)
        response.headers = httpx.Headers(
            [
                (name, _EMPTY_DOMAIN.sub("", value) if name.lower() == "set-cookie" else value)
                for name, value in response.headers.multi_items()
            ]
        )
        return response


def browser_client(base_url: str, **options: Any) -> httpx.Client:
    """A client of `base_url`; `options` as httpx takes them."""
    return httpx.Client(base_url=base_url, transport=_AsBrowsersDo(), **options)
